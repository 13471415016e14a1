//! Checking a destination as the fleet would use it, before it is used and every day after.

use async_trait::async_trait;

use crate::{AccountId, CheckReport, Destination};

/// Checks destinations.
#[async_trait]
pub trait Checker: Send + Sync {
    /// Tries everything that the fleet does at `destination`, with sessions like the fleet's for
    /// each purpose, below `callferry-check/` in the keys of `account`. It touches no other key,
    /// and leaves nothing behind that it is allowed to delete. Checks of one destination at the
    /// same time do not disturb each other.
    ///
    /// `destination` may be one that is not set yet: its revision is then 0. For the platform's
    /// own, which every account leads by its id, `account` is one that no customer has.
    async fn check(&self, destination: &Destination, account: &AccountId) -> CheckReport;
}
