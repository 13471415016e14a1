//! A recording whose leases keep running out may be what takes its processes down. It then runs
//! in a process of its own, so that only that one dies; after the third it waits for a person.

use recording::{Advance, ChildEnd, Granted, Isolation, Settlement};
use telemetry::TransferOutcome;

use super::Transfer;
use crate::outage::Outage;

impl Transfer {
    /// Whether the recording must not be worked on in this process.
    pub(super) fn isolation_for(&self, granted: &Granted) -> Option<&dyn Isolation> {
        let suspected = granted.unclean_claims >= self.tuning.suspect_after;
        self.ports.isolation.as_deref().filter(|_| suspected)
    }

    /// Lends the recording to a process of its own and waits for that to end.
    pub(super) async fn isolate(
        &self,
        granted: &Granted,
        isolation: &dyn Isolation,
    ) -> Result<Settlement, Outage> {
        let key = &granted.staged.announced().key;
        let ledger = &self.ports.ledger;
        tracing::warn!(
            recording.key = %key, leases.ran_out = granted.unclean_claims,
            "leases keep running out: the recording goes on in a process of its own"
        );
        match self
            .patience
            .ledger(|| ledger.lend(key, &granted.lease))
            .await?
        {
            Advance::Done(()) => {}
            Advance::Overtaken => return Ok(self.overtaken()),
        }
        self.ports.metrics.isolated();
        match isolation.transfer_one(key).await {
            ChildEnd::Settled => {}
            ChildEnd::Died(how) => {
                self.ports.metrics.child_died();
                tracing::error!(recording.key = %key, how, "the process of its own died");
                let announcement = self
                    .patience
                    .ledger(|| ledger.child_died(key, &how))
                    .await?;
                self.tell(announcement).await;
            }
            // The row is due again by itself.
            ChildEnd::NotStarted(why) => {
                tracing::error!(recording.key = %key, why, "no process of its own");
            }
        }
        self.ports.metrics.outcome(TransferOutcome::Isolated);
        Ok(Settlement::Ack)
    }
}
