//! Having what is parked tried again.

use catalog::{AdminFault, Catalog, ParkedFilter};
use recording::RecordingId;
use serde::Serialize;

/// What is due now, and which of those that were named are not parked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Retried {
    /// How many are due now.
    pub(crate) due: u64,
    /// Which were named and are not parked.
    pub(crate) not_parked: Vec<RecordingId>,
}

/// Makes these due now, or without any everything that the filter lets through.
pub(crate) async fn retry(
    ledger: &Catalog,
    filter: &ParkedFilter,
    ids: &[RecordingId],
) -> Result<Retried, AdminFault> {
    let mut retried = Retried::default();
    if ids.is_empty() {
        retried.due = ledger.retry_parked_of(filter, None).await?;
    }
    for id in ids {
        match ledger.retry_parked_of(filter, Some(id)).await? {
            0 => retried.not_parked.push(id.clone()),
            due => retried.due = retried.due.saturating_add(due),
        }
    }
    Ok(retried)
}
