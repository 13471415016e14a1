//! Cleanup: deletes one original from staging, and only after looking at the copy once more. (What
//! an erasure takes before there is a copy is in [`erasure`].)
//!
//! **What it does.** On an acknowledgment whose receipt is the ledger's, it takes the row's lease,
//! looks at the copy in a new request with credentials that can only look, moves the original
//! into the trash, compares what was moved with what was copied, deletes it there, and records
//! the release.
//!
//! **Order of effects.** Claim → trash looked into → second look → move → compare → unlink →
//! record → announce → ack. Only the mover of a trash entry can unlink it, under its own lease's
//! token; nothing is unlinked without a `Releasable`, which only this lease's look can make.
//!
//! **A bucket as staging** cannot rename. There the trash is always empty, an entry is the original
//! at its path, and unlinking deletes it only if it still is the one that was compared. So the
//! steps about what lies in the trash find nothing to do, and every other one means the same.
//!
//! **Retries.** A refused release keeps the recording stored, with a reason and a time.
//!
//! **Crashes.** Before the unlink, the original is at its path or in the trash, and the next
//! claim finds it there. After it, original and trash are both absent, and a good look together
//! with the staging marker is enough to record the release.
//!
//! **Shutdown.** Handlers finish; a dropped one is a crash.

mod erasure;
mod release;

use std::sync::Arc;

use async_trait::async_trait;
use recording::{
    Advance, Clock, Delivery, Fault, Handler, Incoming, Ledger, Lookers, Next, ParkReason, Probe,
    Publisher, Receipt, RecordingKey, Refusal, RefusalReason, ReleaseClaim, ReleaseGranted,
    ReleaseRefusal, Settlement, State, Trash, TrashEntry, Unsigned, decide, parse,
};
use telemetry::{CleanupOutcome, Metrics};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Tuning;
use crate::announce::announce;
use crate::keeper::{Keeper, LetGo};
use crate::outage::{Outage, Patience};
pub use erasure::{ErasurePorts, Erasures};

/// What cleanup reaches the outside through. It has no way to write to a bucket.
#[derive(Clone)]
pub struct CleanupPorts {
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// Staging, for deleting.
    pub trash: Arc<dyn Trash>,
    /// Buckets, for looking.
    pub lookers: Arc<dyn Lookers>,
    /// The broker.
    pub publisher: Arc<dyn Publisher>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// The role.
pub struct Cleanup {
    ports: CleanupPorts,
    tuning: Tuning,
    patience: Patience,
}

/// How an attempt at a release ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gone {
    /// We deleted the original.
    Deleted,
    /// It was gone already.
    Already,
}

/// Why an attempt at a release ended otherwise.
#[derive(Debug)]
enum Kept {
    /// The original stays, for this reason.
    Refused(Fault),
    /// The copy is provably gone and the original intact: it is copied again.
    CopyLost,
    /// Staging itself is down.
    Outage(Outage),
    /// Somebody else has the recording.
    Overtaken,
}

impl From<Outage> for Kept {
    fn from(outage: Outage) -> Self {
        Self::Outage(outage)
    }
}

impl From<LetGo> for Kept {
    fn from(let_go: LetGo) -> Self {
        match let_go {
            LetGo::Lost => Self::Overtaken,
            LetGo::Deadline => Self::Refused(Fault::new(
                ParkReason::Interrupted,
                "a look or a comparison outlasted its deadline",
            )),
        }
    }
}

impl Cleanup {
    /// The role over its ports.
    #[must_use]
    pub fn new(ports: CleanupPorts, tuning: Tuning) -> Self {
        Self {
            patience: Patience::new(&tuning),
            ports,
            tuning,
        }
    }

    async fn settle(&self, delivery: &Delivery) -> Result<Settlement, Outage> {
        match parse(delivery) {
            Ok(Incoming::Stored(stored)) => self.drive(&stored.key, Some(&stored.receipt)).await,
            Ok(Incoming::CleanupDue(due)) => self.drive(&due.key, None).await,
            Ok(Incoming::Completed(..) | Incoming::TransferDue(_)) => {
                let detail = "type: this queue carries acknowledgments only";
                Ok(Settlement::Quarantine(Refusal::new(
                    RefusalReason::UnknownType,
                    detail,
                )))
            }
            Err(refusal) => Ok(Settlement::Quarantine(refusal)),
        }
    }

    async fn drive(
        &self,
        key: &RecordingKey,
        receipt: Option<&Receipt>,
    ) -> Result<Settlement, Outage> {
        let ledger = &self.ports.ledger;
        let claim = self
            .patience
            .ledger(|| ledger.claim_release(key, receipt))
            .await?;
        let outcome = match claim {
            ReleaseClaim::Granted(granted) => return self.work(&granted).await,
            ReleaseClaim::Waits => CleanupOutcome::Waits,
            ReleaseClaim::NotStored(..) => CleanupOutcome::NotStored,
            // The ledger drives by key alone: without a row there is nothing to release.
            ReleaseClaim::NoRow if receipt.is_none() => CleanupOutcome::NoRow,
            ReleaseClaim::OtherReceipt | ReleaseClaim::NoRow => {
                let detail = "receipt: the ledger has no such receipt; nothing is deleted for it";
                let refusal = Refusal::new(RefusalReason::ReceiptUnknown, detail);
                return Ok(Settlement::Quarantine(refusal));
            }
        };
        self.ports.metrics.outcome(outcome);
        Ok(Settlement::Ack)
    }

    async fn work(&self, granted: &ReleaseGranted) -> Result<Settlement, Outage> {
        let began = Instant::now();
        let key = &granted.stored.announced().key;
        let keeper = self.keeper(granted);
        let mut tried = 0_u32;
        loop {
            let kept = match self.release(granted).await {
                Ok(gone) => return self.released(granted, gone).await,
                Err(kept) => kept,
            };
            tried = tried.saturating_add(1);
            let fault = match kept {
                Kept::Refused(fault) => fault,
                Kept::CopyLost => return self.copy_lost(granted).await,
                Kept::Overtaken => return Ok(self.overtaken()),
                Kept::Outage(outage @ Outage::Down(_)) => {
                    self.keeper(granted).give_back().await;
                    return Err(outage);
                }
                // The lease runs out by itself, so that the next attempt is not at once.
                Kept::Outage(outage @ Outage::Refused(_)) => return Err(outage),
            };
            let after = match decide(&fault, tried, began.elapsed(), granted.rungs) {
                Next::RetryHere(wait) => match keeper.pause(wait).await {
                    Ok(()) => continue,
                    Err(LetGo::Lost | LetGo::Deadline) => return Ok(self.overtaken()),
                },
                Next::Park(after) => Some(after),
                Next::ParkForPerson => None,
            };
            self.ports.metrics.release_refused(fault.reason);
            tracing::warn!(
                recording.key = %key, reason = %fault.reason, detail = %fault.detail,
                "release refused; the original stays"
            );
            let refusal = ReleaseRefusal {
                reason: fault.reason,
                detail: fault.detail,
                after,
            };
            return self.refuse(granted, &refusal).await;
        }
    }

    async fn released(&self, granted: &ReleaseGranted, gone: Gone) -> Result<Settlement, Outage> {
        let key = &granted.stored.announced().key;
        let (how, outcome) = match gone {
            Gone::Deleted => ("deleted", CleanupOutcome::Released),
            Gone::Already => ("already gone", CleanupOutcome::AlreadyGone),
        };
        let ledger = &self.ports.ledger;
        match self
            .patience
            .ledger(|| ledger.release(key, &granted.lease, how))
            .await?
        {
            Advance::Done(announcement) => {
                let stored_at = granted.stored.receipt().stored_at;
                let after = (announcement.at - stored_at).to_std().unwrap_or_default();
                self.ports.metrics.acknowledgment_to_release(after);
                if !announce(
                    (&*self.ports.publisher, &Unsigned),
                    &**ledger,
                    &self.ports.metrics,
                    &announcement,
                )
                .await
                {
                    self.ports.metrics.unconfirmed();
                }
                self.ports.metrics.outcome(outcome);
                Ok(Settlement::Ack)
            }
            Advance::Overtaken => Ok(self.overtaken()),
        }
    }

    async fn refuse(
        &self,
        granted: &ReleaseGranted,
        refusal: &ReleaseRefusal,
    ) -> Result<Settlement, Outage> {
        let key = &granted.stored.announced().key;
        let ledger = &self.ports.ledger;
        match self
            .patience
            .ledger(|| ledger.refuse_release(key, &granted.lease, refusal))
            .await?
        {
            Advance::Done(()) => {
                self.ports.metrics.outcome(CleanupOutcome::Refused);
                Ok(Settlement::Ack)
            }
            Advance::Overtaken => Ok(self.overtaken()),
        }
    }

    async fn copy_lost(&self, granted: &ReleaseGranted) -> Result<Settlement, Outage> {
        let key = &granted.stored.announced().key;
        tracing::error!(recording.key = %key, "the copy is gone before release; copying it again");
        self.ports.metrics.release_refused(ParkReason::CopyLost);
        let ledger = &self.ports.ledger;
        let detail = "a second look found nothing at the key; the original is intact";
        match self
            .patience
            .ledger(|| ledger.copy_lost(key, &granted.lease, detail))
            .await?
        {
            Advance::Done(announcement) => {
                if let Some(announcement) = announcement
                    && !announce(
                        (&*self.ports.publisher, &Unsigned),
                        &**ledger,
                        &self.ports.metrics,
                        &announcement,
                    )
                    .await
                {
                    self.ports.metrics.unconfirmed();
                }
                self.ports.metrics.outcome(CleanupOutcome::CopyLost);
                Ok(Settlement::Ack)
            }
            Advance::Overtaken => Ok(self.overtaken()),
        }
    }

    fn overtaken(&self) -> Settlement {
        self.ports.metrics.lease_lost();
        self.ports.metrics.outcome(CleanupOutcome::Overtaken);
        Settlement::Ack
    }

    fn keeper<'a>(&'a self, granted: &'a ReleaseGranted) -> Keeper<'a> {
        Keeper {
            ledger: &*self.ports.ledger,
            key: &granted.stored.announced().key,
            lease: &granted.lease,
            tuning: &self.tuning,
        }
    }

    /// The timer: looks through the trash for what a crash left there and handles each entry as
    /// the ledger's drive would be. Ends when `stop` fires.
    pub async fn run_timer(&self, stop: CancellationToken) {
        loop {
            let wait = retry::jittered(self.tuning.trash_every, self.tuning.jitter);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => self.sweep_trash().await,
            }
        }
    }

    /// One pass over the trash.
    pub async fn sweep_trash(&self) {
        let listed = self.ports.trash.list(self.tuning.trash_age_s, 10_000).await;
        let entries = match listed {
            Ok(entries) => entries,
            Err(fault) => {
                tracing::warn!(error = %fault, "the trash cannot be listed");
                return;
            }
        };
        for entry in entries {
            if let Err(outage) = self.sweep_one(&entry).await {
                tracing::warn!(error = %outage, "the trash is looked through later");
                return;
            }
        }
    }

    /// One entry of the trash: finished as the ledger's drive would be, or, where the ledger does
    /// not call the recording stored, put back where transfer and people look for it.
    async fn sweep_one(&self, entry: &TrashEntry) -> Result<(), Outage> {
        let ledger = &self.ports.ledger;
        let claim = self
            .patience
            .ledger(|| ledger.claim_release(&entry.key, None))
            .await?;
        let (state, path) = match claim {
            ReleaseClaim::Granted(granted) => {
                let settlement = self.work(&granted).await?;
                tracing::debug!(recording.key = %entry.key, ?settlement, "trash entry handled");
                return Ok(());
            }
            ReleaseClaim::NotStored(state, path) => (state, path),
            ReleaseClaim::Waits => return Ok(()),
            ReleaseClaim::OtherReceipt | ReleaseClaim::NoRow => {
                tracing::error!(recording.key = %entry.key, "the trash holds what no row explains");
                self.ports.metrics.outcome(CleanupOutcome::TrashUnexplained);
                return Ok(());
            }
        };
        match state {
            State::Staged | State::Parked => {}
            State::Stored | State::Released | State::Expired => {
                tracing::error!(
                    recording.key = %entry.key, state = state.as_str(),
                    "the trash holds an original that is not waiting to go"
                );
                self.ports.metrics.outcome(CleanupOutcome::TrashUnexplained);
                return Ok(());
            }
        }
        let trash = &self.ports.trash;
        let back = self
            .patience
            .staging(|| trash.put_back(entry, &path))
            .await?;
        tracing::warn!(recording.key = %entry.key, ?back, "an original is put back from the trash");
        self.ports.metrics.outcome(CleanupOutcome::PutBack);
        Ok(())
    }
}

#[async_trait]
impl Handler for Cleanup {
    async fn handle(&self, delivery: Delivery) -> Settlement {
        let settlement = match self.settle(&delivery).await {
            Ok(settlement) => settlement,
            Err(outage) => {
                self.ports.metrics.outcome(CleanupOutcome::Outage);
                outage.settlement()
            }
        };
        if let Settlement::Quarantine(refusal) = &settlement {
            self.ports.metrics.refused(refusal.reason);
            self.ports.metrics.outcome(CleanupOutcome::RefusedMessage);
        }
        settlement
    }
}

#[async_trait]
impl Probe for Cleanup {
    async fn probe(&self) -> Result<(), String> {
        self.ports
            .ledger
            .probe()
            .await
            .map_err(|fault| fault.to_string())?;
        self.ports
            .trash
            .probe()
            .await
            .map_err(|fault| fault.to_string())
    }
}
