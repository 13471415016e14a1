//! What is known after an answer that is no good one.

use std::time::Duration;

use recording::{Digests, Fault, LeaseLost, Operation, ParkReason, RequestResult};
use recording::{SendFault, SendOutcome};

/// A store's answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// HTTP status; 200 for an error document that came with a success.
    pub(crate) status: u16,
    /// The error's code; a HEAD of S3 has none.
    pub(crate) code: Option<String>,
    /// How long the store asks us to wait.
    pub(crate) retry_after: Option<Duration>,
    /// What is known now, by the cloud's own table.
    pub(crate) meaning: Meaning,
    /// What else we know about it, for people.
    pub(crate) hint: Option<String>,
}

/// What is known after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Nothing was done, for this reason.
    Refused(ParkReason),
    /// Something is at the key already, or somebody else is writing there now.
    Taken,
    /// It may have been done.
    Unknown,
    /// The session is no longer good; another one may be.
    Stale,
}

impl Refusal {
    /// What is known now.
    pub(crate) fn meaning(&self) -> Meaning {
        self.meaning
    }

    /// Whether the same request may succeed in a moment.
    pub(crate) fn is_passing(&self) -> bool {
        match self.meaning {
            Meaning::Unknown => true,
            Meaning::Refused(reason) => matches!(
                reason,
                ParkReason::Throttled | ParkReason::DestinationUnreachable
            ),
            Meaning::Taken | Meaning::Stale => false,
        }
    }

    /// The fault, for a request whose effect is not in doubt, or does not matter.
    pub(crate) fn fault(&self, operation: Operation) -> Fault {
        let reason = match self.meaning {
            Meaning::Refused(reason) => reason,
            Meaning::Stale => ParkReason::AccessDenied,
            Meaning::Taken => ParkReason::OutcomeUnknown,
            Meaning::Unknown => ParkReason::DestinationUnreachable,
        };
        Fault {
            reason,
            detail: self.describe(operation),
            retry_after: self.retry_after,
        }
    }

    /// Names the operation and the answer; never a URL, a key or a token.
    pub(crate) fn describe(&self, operation: Operation) -> String {
        let mut text = format!("{}: {}", operation.as_str(), self.status);
        for more in [&self.code, &self.hint].into_iter().flatten() {
            text.push(' ');
            text.push_str(more);
        }
        text
    }

    /// What it is counted as.
    pub(super) fn result(&self) -> RequestResult {
        match self.meaning {
            _ if self.status == 404 => RequestResult::Absent,
            Meaning::Taken => RequestResult::Taken,
            Meaning::Unknown | Meaning::Refused(ParkReason::DestinationUnreachable) => {
                RequestResult::Unreachable
            }
            Meaning::Stale
            | Meaning::Refused(ParkReason::AccessDenied | ParkReason::CredentialRefused) => {
                RequestResult::Denied
            }
            Meaning::Refused(ParkReason::Throttled) => RequestResult::Throttled,
            Meaning::Refused(_) => RequestResult::Refused,
        }
    }
}

/// No good answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The store answered otherwise.
    Refused(Refusal),
    /// The request was never sent.
    Never(Fault),
    /// It was sent, or may have been, and no usable answer came.
    Lost(String),
    /// The lease ended before it could be signed.
    Fenced(LeaseLost),
}

impl Trouble {
    /// The fault, for a request whose effect does not matter.
    pub(crate) fn fault(self, operation: Operation) -> Fault {
        match self {
            Self::Refused(refusal) => refusal.fault(operation),
            Self::Never(fault) => fault,
            Self::Lost(why) => Fault::new(ParkReason::DestinationUnreachable, why),
            Self::Fenced(lost) => Fault::new(ParkReason::Interrupted, lost.to_string()),
        }
    }
}

/// After a write: what was refused was not done; everything else is for a look to find out.
pub(crate) fn unless_refused(
    operation: Operation,
    trouble: Trouble,
    digests: Digests,
) -> Result<SendOutcome, SendFault> {
    match trouble {
        Trouble::Refused(refusal) => match refusal.meaning() {
            Meaning::Refused(_) | Meaning::Stale => Err(refusal.fault(operation).into()),
            Meaning::Taken | Meaning::Unknown => {
                Ok(SendOutcome::Unclear(digests, refusal.describe(operation)))
            }
        },
        Trouble::Never(fault) => Err(fault.into()),
        Trouble::Lost(why) => Ok(SendOutcome::Unclear(digests, why)),
        Trouble::Fenced(lost) => Err(lost.into()),
    }
}
