//! Transfer: brings one recording from staging into the customer's bucket, proves that it
//! arrived, and says so.
//!
//! **What it does.** Claims the recording in the ledger, opens the original beneath the account's
//! folder, sends it once, looks at the copy in a new request, records the receipt, publishes the
//! acknowledgment, and only then settles.
//!
//! **Order of effects.** Claim → (look, if it was tried before) → send, created only if absent →
//! look → record → publish, confirmed → ack. Each is harmless to repeat.
//!
//! **Retries.** [`recording::decide`] alone turns a fault into what happens next: at most three
//! attempts here within 20 s, then parked on the ladder, or for a person.
//!
//! **Crashes.** Before the record, the lease runs out and housekeeping drives the row; the next
//! claim looks before it sends. Between record and acknowledgment, the delivery comes back or the
//! ledger finds the row unacknowledged.
//!
//! **Shutdown.** The consumer lets handlers finish; when `hurry` fires, the lease is given back
//! with the delivery. An upload in parts stays open, and the next claim goes on with it.
//!
//! **Patience of the broker.** A transfer that outlasts ten minutes hands its delivery off: the
//! row carries the obligation, and the broker need not wait.

mod attempt;
mod isolate;
mod uploads;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use recording::{
    Advance, Announcement, Claimed, Clock, Delivery, Granted, HandOff, Handler, Incoming,
    Isolation, Ledger, Lookers, Next, Note, Originals, Parking, Probe, Publisher, ReceiptSigner,
    Recording, RecordingKey, Refusal, RefusalReason, Settlement, Statement, Stored, Unsigned,
    Writers, decide, parse, stored,
};
use telemetry::{Metrics, Stage, TransferOutcome};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Tuning;
use crate::announce::announce;
use crate::keeper::{Keeper, LetGo};
use crate::outage::{Outage, Patience};
use uploads::Uploads;

/// What transfer reaches the outside through. It has no way to delete anything.
#[derive(Clone)]
pub struct TransferPorts {
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// Staging, for reading.
    pub originals: Arc<dyn Originals>,
    /// Buckets, for writing.
    pub writers: Arc<dyn Writers>,
    /// Buckets, for looking.
    pub lookers: Arc<dyn Lookers>,
    /// The broker.
    pub publisher: Arc<dyn Publisher>,
    /// Signs acknowledgments.
    pub signer: Arc<dyn ReceiptSigner>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Fired when the process is asked to end: uploads in parts begin no further part.
    pub draining: CancellationToken,
    /// Fired shortly before the process ends: leases are given back.
    pub hurry: CancellationToken,
    /// Processes of their own for what takes processes down; `None` inside of such a one.
    pub isolation: Option<Arc<dyn Isolation>>,
}

/// The role.
pub struct Transfer {
    ports: TransferPorts,
    tuning: Tuning,
    patience: Patience,
}

/// Why an attempt ended without a stored recording.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Something is wrong with the recording or its destination.
    Fault(recording::Fault),
    /// The ledger or staging itself is down.
    Outage(Outage),
    /// Somebody else has the recording.
    Overtaken,
    /// The process drains; whoever comes next goes on with the upload.
    Paused,
}

impl From<Outage> for Trouble {
    fn from(outage: Outage) -> Self {
        Self::Outage(outage)
    }
}

impl Transfer {
    /// The role over its ports.
    #[must_use]
    pub fn new(ports: TransferPorts, tuning: Tuning) -> Self {
        Self {
            patience: Patience::new(&tuning),
            ports,
            tuning,
        }
    }

    async fn settle(&self, delivery: &Delivery) -> Result<Settlement, Outage> {
        let event = match parse(delivery) {
            Ok(event) => event,
            Err(refusal) => return Ok(Settlement::Quarantine(refusal)),
        };
        let began = Instant::now();
        let ledger = &self.ports.ledger;
        let (claimed, task) = match &event {
            Incoming::Completed(announced, said_at) => {
                if !delivery.redelivered {
                    self.queue_wait(*said_at);
                }
                let claimed = self.patience.ledger(|| ledger.claim(announced)).await?;
                (claimed, Task::new(began, delivery, *said_at))
            }
            Incoming::TransferDue(due) => {
                let claimed = self.patience.ledger(|| ledger.claim_due(&due.key)).await?;
                (claimed, Task::driven(began, delivery))
            }
            Incoming::Stored(_) | Incoming::CleanupDue(_) => {
                let detail = "type: this queue carries completed recordings only";
                return Ok(quarantine(RefusalReason::UnknownType, detail));
            }
        };
        self.ports.metrics.stage(Stage::Claim, began.elapsed());
        self.claimed(claimed, &task).await
    }

    /// Carries one recording to an outcome in this process, whatever happened to others that
    /// tried. For `callferry transfer-one`.
    ///
    /// # Errors
    /// The ledger or staging is down. The text says which.
    pub async fn one(&self, key: &RecordingKey) -> Result<Settlement, String> {
        let began = Instant::now();
        let ledger = &self.ports.ledger;
        let work = async {
            let claimed = self.patience.ledger(|| ledger.claim_due(key)).await?;
            self.claimed(claimed, &Task::driven(began, &Delivery::default()))
                .await
        };
        work.await.map_err(|outage: Outage| outage.to_string())
    }

    fn queue_wait(&self, said_at: Option<DateTime<Utc>>) {
        if let Some(said_at) = said_at {
            // A recorder's clock that runs ahead is no negative wait.
            let waited = self.ports.clock.now() - said_at;
            let waited = waited.to_std().unwrap_or_default();
            self.ports.metrics.stage(Stage::QueueWait, waited);
        }
    }

    async fn claimed(&self, claimed: Claimed, task: &Task) -> Result<Settlement, Outage> {
        let outcome = match claimed {
            Claimed::Granted(granted) => return self.work(*granted, task).await,
            Claimed::Waits(_) => TransferOutcome::Waits,
            Claimed::Beyond(recording) => self.beyond(&recording, task.again).await,
            Claimed::NoDestination(announcement) => {
                self.tell(announcement).await;
                TransferOutcome::NoDestination
            }
            // The row is gone with a ledger that was restored: the audit finds such originals.
            Claimed::NoRow => {
                tracing::warn!("a drive names a recording without a row");
                TransferOutcome::NoRow
            }
            Claimed::AccountUnknown => {
                let detail = "account_id: no such account; it is taken up when it is created";
                return Ok(quarantine(RefusalReason::AccountUnknown, detail));
            }
            Claimed::Conflict(field) => {
                let detail = format!("{field}: differs from what was announced for this id before");
                return Ok(quarantine(RefusalReason::Conflict, detail));
            }
            Claimed::PathInUse => {
                let detail = "original.path: another recording that is not released has this path";
                return Ok(quarantine(RefusalReason::PathInUse, detail));
            }
        };
        self.ports.metrics.outcome(outcome);
        Ok(Settlement::Ack)
    }

    /// A duplicate of something that is already stored. A released recording's acknowledgment is
    /// published again; a stored one's only if the ledger or the broker says that it may have
    /// been lost.
    async fn beyond(&self, recording: &Recording, again: bool) -> TransferOutcome {
        match recording {
            Recording::Stored(stored) if again => {
                self.acknowledge(stored).await;
                TransferOutcome::AcknowledgedAgain
            }
            Recording::Released(released) => {
                self.acknowledge(released.stored()).await;
                TransferOutcome::AcknowledgedAgain
            }
            Recording::Stored(_)
            | Recording::Staged(_)
            | Recording::Parked(_)
            | Recording::Withdrawn(_)
            | Recording::Expired(_) => TransferOutcome::Duplicate,
        }
    }

    async fn work(&self, granted: Granted, task: &Task) -> Result<Settlement, Outage> {
        let size = granted.staged.announced().original.size_bytes;
        let _in_flight = self.ports.metrics.in_flight(size);
        if granted.unclean_claims > 0 {
            self.ports.metrics.lease_ran_out();
        }
        if let Some(shut) = &granted.shut {
            return self.hold(&granted, shut).await;
        }
        let carrying = async {
            match self.isolation_for(&granted) {
                Some(isolation) => Box::pin(self.isolate(&granted, isolation)).await,
                None => self.attempts(&granted, task).await,
            }
        };
        tokio::select! {
            biased;
            () = self.ports.hurry.cancelled() => Ok(self.given_back(&granted).await),
            settlement = carrying => settlement,
            never = self.hand_off(&task.hand_off) => match never {},
        }
    }

    /// After a while the row, not the delivery, carries the obligation.
    async fn hand_off(&self, hand_off: &HandOff) -> std::convert::Infallible {
        tokio::time::sleep(self.tuning.hand_off_after).await;
        self.ports.metrics.handed_off();
        hand_off.carried_by_the_ledger();
        std::future::pending().await
    }

    async fn attempts(&self, granted: &Granted, task: &Task) -> Result<Settlement, Outage> {
        let keeper = self.keeper(granted);
        let uploads = Uploads::new(&*self.ports.ledger, granted);
        let began = task.began;
        let mut tried = 0_u32;
        loop {
            let trouble = match self.carry(granted, &uploads, tried).await {
                Ok(stored) => {
                    let receipt = stored.receipt();
                    self.ports
                        .metrics
                        .stored(receipt.size_bytes, receipt.method);
                    return Ok(self.finish(granted, &stored, task).await);
                }
                Err(trouble) => trouble,
            };
            tried = tried.saturating_add(1);
            let fault = match trouble {
                Trouble::Fault(fault) => fault,
                Trouble::Overtaken => return Ok(self.overtaken()),
                Trouble::Paused => return Ok(self.given_back(granted).await),
                Trouble::Outage(outage @ Outage::Down(_)) => {
                    self.keeper(granted).give_back().await;
                    return Err(outage);
                }
                // The lease runs out by itself, so that the next attempt is not at once.
                Trouble::Outage(outage @ Outage::Refused(_)) => return Err(outage),
            };
            match decide(&fault, tried, began.elapsed(), granted.rungs) {
                Next::RetryHere(wait) => {
                    self.ports.metrics.retried(fault.reason);
                    match keeper.pause(wait).await {
                        Ok(()) => {}
                        Err(LetGo::Lost | LetGo::Deadline) => return Ok(self.overtaken()),
                    }
                }
                Next::Park(after) => return self.park(granted, fault, Some(after)).await,
                Next::ParkForPerson => return self.park(granted, fault, None).await,
            }
        }
    }

    /// The row is stored: it carries the obligation from here on, so the delivery is acked even
    /// if the acknowledgment is not confirmed now; the ledger finds it unacknowledged.
    async fn finish(&self, granted: &Granted, stored: &Stored, task: &Task) -> Settlement {
        let outcome = if granted.lease.fence.check().is_err() {
            // Frozen since the record: others may have gone on. The ledger knows.
            TransferOutcome::StoredLate
        } else if self.acknowledge(stored).await {
            let since = match task.said_at {
                Some(said_at) => (self.ports.clock.now() - said_at)
                    .to_std()
                    .unwrap_or_default(),
                None => granted.known_for.saturating_add(task.began.elapsed()),
            };
            self.ports.metrics.event_to_acknowledgment(since);
            TransferOutcome::Stored
        } else {
            TransferOutcome::StoredUnacknowledged
        };
        self.ports.metrics.outcome(outcome);
        Settlement::Ack
    }

    async fn acknowledge(&self, stored: &Stored) -> bool {
        let began = Instant::now();
        let key = &stored.announced().key;
        let signed = self.ports.signer.sign(&Statement::stored(stored));
        let event = self::stored(stored, signed.as_ref());
        match self.ports.publisher.publish(event).await {
            Ok(()) => {
                self.ports.metrics.acknowledged(signed.is_some());
                self.ports
                    .metrics
                    .stage(Stage::Acknowledge, began.elapsed());
                let note = Note::Acknowledged(key.clone(), stored.acknowledgment_id());
                self.ports.ledger.note(note);
                true
            }
            Err(fault) => {
                self.ports.metrics.unconfirmed();
                tracing::warn!(
                    recording.key = %key, error = %fault,
                    "an acknowledgment is not confirmed; the ledger repeats it"
                );
                false
            }
        }
    }

    async fn park(
        &self,
        granted: &Granted,
        fault: recording::Fault,
        after: Option<Duration>,
    ) -> Result<Settlement, Outage> {
        let key = &granted.staged.announced().key;
        let parking = Parking {
            reason: fault.reason,
            detail: fault.detail,
            after,
        };
        let ledger = &self.ports.ledger;
        let parked = self
            .patience
            .ledger(|| ledger.park(key, &granted.lease, &parking))
            .await?;
        match parked {
            Advance::Done(announcement) => {
                self.ports.metrics.parked(parking.reason);
                tracing::info!(
                    recording.key = %key, reason = %parking.reason, detail = %parking.detail,
                    "recording parked"
                );
                self.tell(announcement).await;
                self.ports.metrics.outcome(TransferOutcome::Parked);
                Ok(Settlement::Ack)
            }
            Advance::Overtaken => Ok(self.overtaken()),
        }
    }

    /// Its destination's breaker is open: it waits there with all the others, and nobody is asked
    /// for anything.
    async fn hold(&self, granted: &Granted, shut: &recording::Fault) -> Result<Settlement, Outage> {
        let key = &granted.staged.announced().key;
        let ledger = &self.ports.ledger;
        let held = self
            .patience
            .ledger(|| ledger.hold(key, &granted.lease, shut))
            .await?;
        match held {
            Advance::Done(announcement) => {
                self.tell(announcement).await;
                self.ports.metrics.outcome(TransferOutcome::Held);
                Ok(Settlement::Ack)
            }
            Advance::Overtaken => Ok(self.overtaken()),
        }
    }

    async fn given_back(&self, granted: &Granted) -> Settlement {
        self.keeper(granted).give_back().await;
        self.ports.metrics.outcome(TransferOutcome::GivenBack);
        Settlement::Requeue("the process is shutting down".to_owned())
    }

    fn overtaken(&self) -> Settlement {
        self.ports.metrics.lease_lost();
        self.ports.metrics.outcome(TransferOutcome::Overtaken);
        Settlement::Ack
    }

    async fn tell(&self, announcement: Option<Announcement>) {
        if let Some(announcement) = announcement
            && !announce(
                (&*self.ports.publisher, &Unsigned),
                &*self.ports.ledger,
                &self.ports.metrics,
                &announcement,
            )
            .await
        {
            self.ports.metrics.unconfirmed();
        }
    }

    fn keeper<'a>(&'a self, granted: &'a Granted) -> Keeper<'a> {
        Keeper {
            ledger: &*self.ports.ledger,
            key: &granted.staged.announced().key,
            lease: &granted.lease,
            tuning: &self.tuning,
        }
    }
}

/// How a recording came to be worked on here.
struct Task {
    began: Instant,
    hand_off: HandOff,
    /// When the recorder said that it is complete, if this is the first delivery of that.
    said_at: Option<DateTime<Utc>>,
    /// Whether the ledger or the broker says that an acknowledgment may have been lost.
    again: bool,
}

impl Task {
    fn new(began: Instant, delivery: &Delivery, said_at: Option<DateTime<Utc>>) -> Self {
        Self {
            began,
            hand_off: delivery.hand_off.clone(),
            said_at,
            again: delivery.redelivered,
        }
    }

    fn driven(began: Instant, delivery: &Delivery) -> Self {
        Self {
            again: true,
            ..Self::new(began, delivery, None)
        }
    }
}

fn quarantine(reason: RefusalReason, detail: impl Into<String>) -> Settlement {
    Settlement::Quarantine(Refusal::new(reason, detail))
}

#[async_trait]
impl Handler for Transfer {
    async fn handle(&self, delivery: Delivery) -> Settlement {
        let settlement = match self.settle(&delivery).await {
            Ok(settlement) => settlement,
            Err(outage) => {
                self.ports.metrics.outcome(TransferOutcome::Outage);
                outage.settlement()
            }
        };
        if let Settlement::Quarantine(refusal) = &settlement {
            self.ports.metrics.refused(refusal.reason);
            self.ports.metrics.outcome(TransferOutcome::Refused);
        }
        settlement
    }
}

#[async_trait]
impl Probe for Transfer {
    async fn probe(&self) -> Result<(), String> {
        self.ports
            .ledger
            .probe()
            .await
            .map_err(|fault| fault.to_string())?;
        self.ports
            .originals
            .probe()
            .await
            .map_err(|fault| fault.to_string())
    }
}
