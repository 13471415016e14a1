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
//! with the delivery.

mod attempt;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use recording::{
    Advance, Announcement, Claimed, Clock, Delivery, Granted, Handler, Incoming, Ledger, Lookers,
    Next, Note, Originals, Parking, Probe, Publisher, Recording, Refusal, RefusalReason,
    Settlement, Stored, Writers, decide, parse, stored,
};
use telemetry::{Metrics, Stage};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Tuning;
use crate::announce::announce;
use crate::keeper::{Keeper, LetGo};
use crate::outage::{Outage, Patience};

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
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Fired shortly before the process ends: leases are given back.
    pub hurry: CancellationToken,
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
        let (claimed, driven) = match &event {
            Incoming::Completed(announced) => (
                self.patience.ledger(|| ledger.claim(announced)).await?,
                false,
            ),
            Incoming::TransferDue(due) => (
                self.patience.ledger(|| ledger.claim_due(&due.key)).await?,
                true,
            ),
            Incoming::Stored(_) | Incoming::CleanupDue(_) => {
                let detail = "type: this queue carries completed recordings only";
                return Ok(quarantine(RefusalReason::UnknownType, detail));
            }
        };
        self.ports.metrics.stage(Stage::Claim, began.elapsed());
        let outcome = match claimed {
            Claimed::Granted(granted) => return self.work(*granted, began).await,
            Claimed::Waits(_) => "waits",
            Claimed::Beyond(recording) => {
                let again = driven || delivery.redelivered;
                self.beyond(&recording, again).await
            }
            Claimed::NoDestination(announcement) => {
                self.tell(announcement).await;
                "no_destination"
            }
            // The row is gone with a ledger that was restored: the audit finds such originals.
            Claimed::NoRow => {
                tracing::warn!("a drive names a recording without a row");
                "no_row"
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
        self.ports.metrics.ended("transfer", outcome);
        Ok(Settlement::Ack)
    }

    /// A duplicate of something that is already stored. A released recording's acknowledgment is
    /// published again; a stored one's only if the ledger or the broker says that it may have
    /// been lost.
    async fn beyond(&self, recording: &Recording, again: bool) -> &'static str {
        match recording {
            Recording::Stored(stored) if again => {
                self.acknowledge(stored).await;
                "acknowledged_again"
            }
            Recording::Released(released) => {
                self.acknowledge(released.stored()).await;
                "acknowledged_again"
            }
            Recording::Stored(_)
            | Recording::Staged(_)
            | Recording::Parked(_)
            | Recording::Expired(_) => "duplicate",
        }
    }

    async fn work(&self, granted: Granted, began: Instant) -> Result<Settlement, Outage> {
        let _in_flight = self.ports.metrics.transfer_begins();
        tokio::select! {
            biased;
            () = self.ports.hurry.cancelled() => {
                self.keeper(&granted).give_back().await;
                Ok(Settlement::Requeue("the process is shutting down".to_owned()))
            }
            settlement = self.attempts(&granted, began) => settlement,
        }
    }

    async fn attempts(&self, granted: &Granted, began: Instant) -> Result<Settlement, Outage> {
        let keeper = self.keeper(granted);
        let mut tried = 0_u32;
        loop {
            let trouble = match self.carry(granted, tried).await {
                Ok(stored) => {
                    self.ports.metrics.proven(stored.receipt().size_bytes);
                    return Ok(self.finish(granted, &stored, began).await);
                }
                Err(trouble) => trouble,
            };
            tried = tried.saturating_add(1);
            let fault = match trouble {
                Trouble::Fault(fault) => fault,
                Trouble::Overtaken => return Ok(self.overtaken()),
                Trouble::Outage(outage @ Outage::Down(_)) => {
                    self.keeper(granted).give_back().await;
                    return Err(outage);
                }
                // The lease runs out by itself, so that the next attempt is not at once.
                Trouble::Outage(outage @ Outage::Refused(_)) => return Err(outage),
            };
            match decide(&fault, tried, began.elapsed(), granted.rungs) {
                Next::RetryHere(wait) => match keeper.pause(wait).await {
                    Ok(()) => {}
                    Err(LetGo::Lost | LetGo::Deadline) => return Ok(self.overtaken()),
                },
                Next::Park(after) => return self.park(granted, fault, Some(after)).await,
                Next::ParkForPerson => return self.park(granted, fault, None).await,
            }
        }
    }

    /// The row is stored: it carries the obligation from here on, so the delivery is acked even
    /// if the acknowledgment is not confirmed now; the ledger finds it unacknowledged.
    async fn finish(&self, granted: &Granted, stored: &Stored, began: Instant) -> Settlement {
        let outcome = if granted.lease.fence.check().is_err() {
            // Frozen since the record: others may have gone on. The ledger knows.
            "stored_late"
        } else if self.acknowledge(stored).await {
            self.ports.metrics.acknowledged(began.elapsed());
            "stored"
        } else {
            "stored_unacknowledged"
        };
        self.ports.metrics.ended("transfer", outcome);
        Settlement::Ack
    }

    async fn acknowledge(&self, stored: &Stored) -> bool {
        let began = Instant::now();
        let key = &stored.announced().key;
        match self.ports.publisher.publish(self::stored(stored)).await {
            Ok(()) => {
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
                self.ports.metrics.ended("transfer", "parked");
                Ok(Settlement::Ack)
            }
            Advance::Overtaken => Ok(self.overtaken()),
        }
    }

    fn overtaken(&self) -> Settlement {
        self.ports.metrics.lease_lost();
        self.ports.metrics.ended("transfer", "overtaken");
        Settlement::Ack
    }

    async fn tell(&self, announcement: Option<Announcement>) {
        if let Some(announcement) = announcement
            && !announce(&*self.ports.publisher, &*self.ports.ledger, &announcement).await
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

fn quarantine(reason: RefusalReason, detail: impl Into<String>) -> Settlement {
    Settlement::Quarantine(Refusal::new(reason, detail))
}

#[async_trait]
impl Handler for Transfer {
    async fn handle(&self, delivery: Delivery) -> Settlement {
        let settlement = self
            .settle(&delivery)
            .await
            .unwrap_or_else(Outage::settlement);
        if let Settlement::Quarantine(refusal) = &settlement {
            self.ports.metrics.refused(refusal.reason);
            self.ports.metrics.ended("transfer", "refused");
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
