//! The operators' gauges: what the ledger says about everything that is open.

use recording::{LedgerFault, Queue};
use tokio_util::sync::CancellationToken;

use super::Housekeeping;

impl Housekeeping {
    /// Reads until `stop` fires. A ledger that does not answer leaves the gauges as they were,
    /// with the time of the last good reading, which has an alert of its own.
    pub(super) async fn run_readings(&self, stop: CancellationToken) {
        loop {
            if let Err(fault) = self.read_ledger().await {
                tracing::debug!(error = %fault, "the gauges are not renewed");
            }
            let wait = retry::jittered(self.tuning.reading_every, self.tuning.jitter);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// One reading.
    ///
    /// # Errors
    /// The ledger does not answer.
    async fn read_ledger(&self) -> Result<(), LedgerFault> {
        let reading = self.ports.ledger.reading().await?;
        let now = self.ports.clock.now();
        self.ports.metrics.ledger_reading(&reading, now);
        // The other queues are asked about before they are driven into.
        let depth = self.ports.publisher.ready(Queue::Quarantine).await;
        self.ports
            .metrics
            .queue_ready(Queue::Quarantine, depth.ok());
        let purged = self.ports.ledger.purge_quarantine().await?;
        if purged > 0 {
            self.ports.metrics.quarantine_purged(purged);
            tracing::info!(
                purged,
                "quarantined messages that nobody can requeue are gone"
            );
        }
        let forgotten = self.ports.ledger.purge_accesses().await?;
        if forgotten > 0 {
            tracing::info!(
                forgotten,
                "rows of the access log are gone: their time is over"
            );
        }
        let erased = self.ports.ledger.finish_erasures().await?;
        if erased > 0 {
            tracing::info!(erased, "words of erased recordings that were left are gone");
        }
        Ok(())
    }
}
