//! Housekeeping: drives on what the ledger says is due, so that nothing depends on a message.
//!
//! **What it does.** Each tick it sends private drives for due rows, publishes announcements that
//! were not confirmed, tends the breakers of unhealthy destinations, and returns quarantined
//! messages whose reason has passed. Beside the ticks it ends copies whose time has come,
//! reads the ledger for the operators' gauges, checks destinations once a day and sweeps open
//! uploads that nobody needs.
//!
//! **Order of effects.** The ledger marks a row driven in the statement that finds it; a drive
//! that is not confirmed clears the mark. A lost drive is due again by itself.
//!
//! **Retries.** The next tick. **Crashes.** Marks run out. **Shutdown.** Between two ticks.

mod health;
mod leftovers;
mod reading;
mod retention;

use std::sync::Arc;

use futures::stream::{FuturesUnordered, StreamExt};
use recording::{
    Checker, Clock, Ledger, LedgerFault, Leftovers, Outgoing, Publisher, Queue, ReceiptSigner,
    RecordingKey, Requeue, Route, due,
};
use telemetry::Metrics;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Tuning;
use crate::announce::announce;
pub use retention::{Clocks, Retention, RetentionPorts};

/// Announcements and requeues looked at in one tick.
const BATCH: u32 = 200;

/// What housekeeping reaches the outside through.
///
/// It cannot touch originals or copies: all that it can do in a bucket is to list and abort
/// uploads that never became an object, and to check it, which touches no key but the check's own.
/// To end copies it needs [`RetentionPorts`] besides.
#[derive(Clone)]
pub struct HousekeepingPorts {
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The broker.
    pub publisher: Arc<dyn Publisher>,
    /// Signs what is stated about copies that are gone.
    pub signer: Arc<dyn ReceiptSigner>,
    /// Open uploads.
    pub leftovers: Arc<dyn Leftovers>,
    /// The daily check of destinations; `None`: they are not checked.
    pub checker: Option<Arc<dyn Checker>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// The role's ticking half; [`crate::Intake`] is the other.
pub struct Housekeeping {
    ports: HousekeepingPorts,
    tuning: Tuning,
    retention: Option<Retention>,
}

impl Housekeeping {
    /// The role over its ports.
    #[must_use]
    pub fn new(ports: HousekeepingPorts, tuning: Tuning) -> Self {
        Self {
            ports,
            tuning,
            retention: None,
        }
    }

    /// Does all of it until `stop` fires. A bucket that hangs or a slow reading keeps nobody from
    /// driving on.
    pub async fn run(&self, stop: CancellationToken) {
        futures::join!(
            self.run_ticks(stop.clone()),
            self.run_readings(stop.clone()),
            self.run_checks(stop.clone()),
            self.run_retention(stop.clone()),
            self.run_sweeps(stop),
        );
    }

    async fn run_retention(&self, stop: CancellationToken) {
        if let Some(retention) = &self.retention {
            retention.run(stop).await;
        }
    }

    /// Ticks until `stop` fires. A ledger or broker that is down is logged once per change.
    async fn run_ticks(&self, stop: CancellationToken) {
        let mut down = false;
        loop {
            let wait = retry::jittered(self.tuning.tick, self.tuning.jitter);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            match self.tick().await {
                Ok(()) => down = false,
                Err(fault) if down => tracing::debug!(error = %fault, "still down"),
                Err(fault) => {
                    down = true;
                    tracing::warn!(error = %fault, "housekeeping waits for the ledger");
                }
            }
        }
    }

    /// One tick. A part that fails keeps none of the others from its work.
    ///
    /// # Errors
    /// The ledger does not answer, and what the first part that met it says; whatever was sent
    /// stays sent, the rest is due again.
    pub async fn tick(&self) -> Result<(), LedgerFault> {
        if !self.ports.publisher.is_live() {
            return Ok(());
        }
        let parts = [
            ("probes", self.probe().await),
            ("transfer", self.drive(Queue::Transfer).await),
            ("cleanup", self.drive(Queue::Cleanup).await),
            ("announcements", self.announce().await),
            ("health", self.announce_health().await),
            ("quarantine", self.requeue().await),
        ];
        let mut first = Ok(());
        for (part, done) in parts {
            if let Err(fault) = done {
                tracing::debug!(part, error = %fault, "a part of a tick failed");
                first = first.and(Err(fault));
            }
        }
        first
    }

    async fn drive(&self, queue: Queue) -> Result<(), LedgerFault> {
        let ready = self.ports.publisher.ready(queue).await;
        self.ports
            .metrics
            .queue_ready(queue, ready.as_ref().ok().copied());
        match ready {
            Ok(ready) if ready < self.tuning.ready_max => {}
            // Workers have enough to do, or the broker does not say: what is due stays due.
            Ok(_) => return Ok(()),
            Err(fault) => {
                tracing::debug!(queue = queue.name(), error = %fault, "depth unknown: not driven");
                return Ok(());
            }
        }
        let keys = self.ports.ledger.due(queue, self.tuning.drive_max).await?;
        if keys.is_empty() {
            return Ok(());
        }
        let mut sends: FuturesUnordered<_> =
            keys.into_iter().map(|key| self.send(queue, key)).collect();
        let (mut sent, mut failed) = (0_u64, Vec::new());
        while let Some(result) = sends.next().await {
            match result {
                Ok(()) => sent = sent.saturating_add(1),
                Err(key) => failed.push(key),
            }
        }
        self.ports.metrics.driven(queue, sent);
        tracing::info!(
            queue = queue.name(),
            sent,
            failed = failed.len(),
            "driven on"
        );
        if failed.is_empty() {
            Ok(())
        } else {
            self.ports.ledger.undrive(queue, &failed).await
        }
    }

    async fn send(&self, queue: Queue, key: RecordingKey) -> Result<(), RecordingKey> {
        let event = due(queue, &key, Uuid::new_v4(), self.ports.clock.now());
        match self.ports.publisher.publish(event).await {
            Ok(()) => Ok(()),
            Err(fault) => {
                self.ports.metrics.unconfirmed();
                tracing::debug!(recording.key = %key, error = %fault, "a drive is not confirmed");
                Err(key)
            }
        }
    }

    async fn announce(&self) -> Result<(), LedgerFault> {
        for announcement in self.ports.ledger.announcements(BATCH).await? {
            let outside = (&*self.ports.publisher, &*self.ports.signer);
            let (ledger, metrics) = (&*self.ports.ledger, &*self.ports.metrics);
            if !announce(outside, ledger, metrics, &announcement).await {
                metrics.unconfirmed();
                return Ok(());
            }
        }
        Ok(())
    }

    async fn requeue(&self) -> Result<(), LedgerFault> {
        for Requeue { id, queue, message } in self.ports.ledger.requeues(BATCH).await? {
            let event = Outgoing {
                route: Route::Queue(queue),
                message_id: format!("requeued-{id}"),
                body: message.body.to_vec(),
                headers: Vec::new(),
            };
            match self.ports.publisher.publish(event).await {
                Ok(()) => {
                    self.ports.ledger.requeued(id).await?;
                    self.ports.metrics.quarantine_returned();
                }
                Err(fault) => {
                    self.ports.metrics.unconfirmed();
                    tracing::debug!(quarantine.id = id, error = %fault, "not requeued yet");
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
