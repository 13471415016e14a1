//! A container of Azure, tried out.
use super::Subject;
use recording::AzureContainer;
/// Tries everything.
pub(super) async fn check(_subject: Subject<'_>, _azure: &AzureContainer) {}
