//! What a role does while the ledger or staging itself is down: it keeps its delivery and waits,
//! and only then says so. An outage is never a settlement.

use std::future::Future;

use recording::{LedgerFault, StagingFault};
use retry::{Policy, Verdict};

use crate::Tuning;

/// The ledger or staging stayed down for as long as a handler waits. The text says which.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Outage(pub(crate) String);

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
                Outage(fault.to_string())
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
            StagingFault::Absent | StagingFault::NotAPlainFile(_) | StagingFault::Changed => {
                Verdict::GiveUp
            }
        };
        match retry::run(&self.policy, ask, verdict).await {
            Ok(value) => Ok(Ok(value)),
            Err(StagingFault::Unavailable(why)) => {
                tracing::error!(error = %why, "staging does not answer");
                Err(Outage(format!("staging cannot be used: {why}")))
            }
            Err(
                fault @ (StagingFault::Absent
                | StagingFault::NotAPlainFile(_)
                | StagingFault::Changed),
            ) => Ok(Err(fault)),
        }
    }
}
