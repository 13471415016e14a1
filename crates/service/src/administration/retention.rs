//! How long copies are kept: what a policy may say, and how far ahead people look.

use anyhow::Result;
use catalog::{AdminFault, Catalog};
use chrono::TimeDelta;
use recording::{AccountId, Kind};
use serde::Serialize;

use crate::failure::Failure;

/// How far ahead a preview looks unless told otherwise.
pub(crate) const AHEAD: TimeDelta = TimeDelta::days(30);
/// The longest that a policy keeps copies, unless for ever.
const MOST_DAYS: u32 = 36_500;

/// A policy that was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PolicySet {
    /// Whose recordings.
    pub(crate) account_id: AccountId,
    /// Of which kind.
    pub(crate) kind: Kind,
    /// How many days their copies are kept; null is for ever.
    pub(crate) days: Option<u32>,
}

/// How long is meant: so many days, or for ever; one of both must be said.
pub(crate) fn days(days: Option<u32>, never: bool) -> Result<Option<u32>> {
    let hint = "use --days 180, or --never to keep copies for ever";
    match (days, never) {
        (Some(days), false) if (1..=MOST_DAYS).contains(&days) => Ok(Some(days)),
        (None, true) => Ok(None),
        (Some(_), false) => {
            let why = format!("--days must be 1 to {MOST_DAYS}");
            Err(Failure::usage(why).hint(hint).into())
        }
        (None, false) | (Some(_), true) => {
            let why = "either --days or --never must be said";
            Err(Failure::usage(why).hint(hint).into())
        }
    }
}

/// Sets a policy.
pub(crate) async fn set(
    ledger: &Catalog,
    account: &AccountId,
    kind: Kind,
    days: Option<u32>,
) -> Result<PolicySet, AdminFault> {
    ledger.set_retention(account, kind, days).await?;
    Ok(PolicySet {
        account_id: account.clone(),
        kind,
        days,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_of_days_or_for_ever_and_never_of_nothing() {
        for (said, never, meant) in [
            (Some(1), false, Some(Some(1))),
            (Some(36_500), false, Some(Some(36_500))),
            (None, true, Some(None)),
            (Some(0), false, None),
            (Some(36_501), false, None),
            (Some(1), true, None),
            (None, false, None),
        ] {
            assert_eq!(days(said, never).ok(), meant, "{said:?} {never}");
        }
    }
}
