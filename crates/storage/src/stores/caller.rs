//! Who we are to AWS, for those who make a customer's role trust us.

use recording::Fault;

use super::Stores;
use crate::credentials::CallerIdentity;

impl Stores {
    /// Asks STS in this region who signs our requests there.
    ///
    /// # Errors
    /// When our own identity cannot be had, or STS gives no answer.
    pub async fn caller_identity(&self, region: &str) -> Result<CallerIdentity, Fault> {
        self.shared.sts.caller_identity(region).await
    }
}
