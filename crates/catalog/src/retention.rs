//! Retention policies: revisions in force from the moment they are set. What a recording was
//! stamped with at its claim never changes.

use recording::{AccountId, Kind};

use crate::Catalog;
use crate::admin::AdminFault;

const SET: &str = "-- name: set_retention
    insert into retention_policies (account_id, kind, days)
    select account_id, $2, $3 from accounts where account_id = $1
    returning true";

impl Catalog {
    /// Sets how many days copies of this account and kind are kept; `None` is for ever. It
    /// touches only recordings that are completed from now on.
    ///
    /// # Errors
    /// When there is no such account, the days are out of range, or the database fails.
    pub async fn set_retention(
        &self,
        account: &AccountId,
        kind: Kind,
        days: Option<u32>,
    ) -> Result<(), AdminFault> {
        let days = days.map(i32::try_from).transpose().ok();
        let Some(days) = days.filter(|days| days.is_none_or(|days| (1..=36_500).contains(&days)))
        else {
            return Err(AdminFault::refused(
                "retention must be 1 to 36,500 days, or never end",
                "use --days 180, or --never",
            ));
        };
        let row = self
            .pool
            .row(SET, &[&account.as_str(), &kind.as_str(), &days])
            .await?;
        row.map(drop).ok_or_else(|| AdminFault::no_account(account))
    }
}
