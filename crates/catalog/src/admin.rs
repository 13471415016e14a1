//! What the command line and the account API ask of the catalog can fail like this.

use recording::{DestinationOwner, LedgerFault};

use crate::failure::Failure;

/// What helps where two owners would share keys.
pub const OVERLAP_HINT: &str = "give each owner a bucket or container of its own, or a --prefix \
                                that is not part of another's";

/// Why the catalog did not do what a person asked. [`AdminFault::hint`] says what helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminFault {
    /// There is no such thing.
    #[error("{what} does not exist")]
    NotFound {
        /// What was asked for.
        what: String,
        /// What the person can do.
        hint: String,
    },
    /// It is there already; nothing was changed.
    #[error("{what} exists already")]
    Exists {
        /// What was to be made.
        what: String,
        /// What the person can do.
        hint: String,
    },
    /// It must not be done; nothing was changed.
    #[error("{why}")]
    Refused {
        /// Why.
        why: String,
        /// What the person can do.
        hint: String,
    },
    /// Two owners' keys could lie among each other's; nothing was changed.
    #[error("keys of {owner} could lie among those of {other} in {location}")]
    Overlap {
        /// Whose destination was to be set.
        owner: DestinationOwner,
        /// Who writes there: not for the ears of whoever may only act for another.
        other: DestinationOwner,
        /// Where.
        location: String,
    },
    /// The settings cannot be those of a ledger; nothing was tried.
    #[error("{why}")]
    Misconfigured {
        /// Why.
        why: String,
        /// What the person can do.
        hint: String,
    },
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerFault),
}

impl AdminFault {
    /// What the person who reads it can do.
    #[must_use]
    pub fn hint(&self) -> &str {
        match self {
            Self::NotFound { hint, .. }
            | Self::Exists { hint, .. }
            | Self::Refused { hint, .. }
            | Self::Misconfigured { hint, .. } => hint,
            Self::Overlap { .. } => OVERLAP_HINT,
            Self::Ledger(LedgerFault::Unavailable(_)) => {
                "see that PostgreSQL runs and that CALLFERRY_DATABASE_URL is right"
            }
            Self::Ledger(LedgerFault::Corrupt(_)) => {
                "see that `callferry migrate` of this release ran; otherwise this is a defect"
            }
        }
    }

    pub(crate) fn not_found(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::NotFound {
            what: what.into(),
            hint: hint.into(),
        }
    }

    pub(crate) fn refused(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused {
            why: why.into(),
            hint: hint.into(),
        }
    }

    pub(crate) fn no_account(account: &recording::AccountId) -> Self {
        let hint = "run `callferry account create`, or `account list` to see those there are";
        Self::not_found(format!("account {account}"), hint)
    }
}

impl From<Failure> for AdminFault {
    fn from(failure: Failure) -> Self {
        Self::Ledger(failure.fault)
    }
}
