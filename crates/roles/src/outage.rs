//! What a role does while the ledger or staging itself is down: it keeps its delivery and waits,
//! and only then says so. An outage is never a settlement.

use std::future::Future;

use recording::{LedgerFault, Refusal, RefusalReason, Settlement, StagingFault};
use retry::{Policy, Verdict};

use crate::Tuning;

/// Why a handler cannot come to an outcome. The text says what was asked and what happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Outage {
    /// The ledger or staging stayed down for as long as a handler waits.
    #[error("{0}")]
    Down(String),
    /// The ledger answers, and cannot take this one message: a defect, not weather. It must not
    /// stop the work on all others.
    #[error("{0}")]
    Refused(String),
}

impl Outage {
    /// What the broker is told. An outage gives everything back; a message that the ledger cannot
    /// take goes to quarantine, from where it returns on the ladder.
    pub(crate) fn settlement(self) -> Settlement {
        match self {
            Self::Down(why) => Settlement::Requeue(why),
            Self::Refused(why) => {
                let detail = format!("not handled, returned later: {why}");
                Settlement::Quarantine(Refusal::new(RefusalReason::DeliveryLimit, detail))
            }
        }
    }
}

impl From<LedgerFault> for Outage {
    fn from(fault: LedgerFault) -> Self {
        match &fault {
            LedgerFault::Unavailable(_) => Self::Down(fault.to_string()),
            LedgerFault::Corrupt(_) => Self::Refused(fault.to_string()),
        }
    }
}

/// Waits for the ledger and for staging.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    policy: Policy,
}

impl Patience {
    pub(crate) fn new(tuning: &Tuning) -> Self {
        let policy = Policy {
            initial: std::time::Duration::from_millis(100),
            cap: tuning.outage_pause_max,
            jitter: tuning.jitter,
            attempts: None,
            patience: Some(tuning.outage_patience),
        };
        Self { policy }
    }

    /// Asks the ledger until it answers, or until patience ends. A corrupt answer is not weather
    /// and is not repeated.
    pub(crate) async fn ledger<T, Fut>(&self, ask: impl FnMut() -> Fut) -> Result<T, Outage>
    where
        Fut: Future<Output = Result<T, LedgerFault>>,
    {
        let verdict = |fault: &LedgerFault| match fault {
            LedgerFault::Unavailable(_) => Verdict::Retry,
            LedgerFault::Corrupt(_) => Verdict::GiveUp,
        };
        retry::run(&self.policy, ask, verdict)
            .await
            .map_err(|fault| {
                tracing::error!(error = %fault, "the ledger does not answer");
                Outage::from(fault)
            })
    }

    /// Asks staging until it answers, or until patience ends. What is wrong with one original is
    /// an answer.
    pub(crate) async fn staging<T, Fut>(
        &self,
        ask: impl FnMut() -> Fut,
    ) -> Result<Result<T, StagingFault>, Outage>
    where
        Fut: Future<Output = Result<T, StagingFault>>,
    {
        let verdict = |fault: &StagingFault| match fault {
            StagingFault::Unavailable(_) => Verdict::Retry,
            StagingFault::Absent
            | StagingFault::NotAPlainFile(_)
            | StagingFault::Unreadable(_)
            | StagingFault::Changed => Verdict::GiveUp,
        };
        match retry::run(&self.policy, ask, verdict).await {
            Ok(value) => Ok(Ok(value)),
            Err(StagingFault::Unavailable(why)) => {
                tracing::error!(error = %why, "staging does not answer");
                Err(Outage::Down(format!("staging cannot be used: {why}")))
            }
            Err(
                fault @ (StagingFault::Absent
                | StagingFault::NotAPlainFile(_)
                | StagingFault::Unreadable(_)
                | StagingFault::Changed),
            ) => Ok(Err(fault)),
        }
    }
}
