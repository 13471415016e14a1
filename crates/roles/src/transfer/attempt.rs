//! One attempt at a transfer: from the open original to the recorded receipt.

use recording::{
    Advance, Digests, Expected, Fault, Granted, Original, Outbound, ParkReason, Progress,
    SendFault, SendOutcome, StagingFault, Stored, Verified, object_metadata, safe_media_type,
};
use telemetry::{Metrics, Stage};
use tokio::time::Instant;

use super::uploads::Uploads;
use super::{Transfer, Trouble};
use crate::keeper::{Bounds, LetGo};
use crate::outage::Outage;
use crate::prove::{Copy, Sight, look};

fn fault(reason: ParkReason, detail: impl Into<String>) -> Trouble {
    Trouble::Fault(Fault::new(reason, detail))
}

impl From<LetGo> for Trouble {
    fn from(let_go: LetGo) -> Self {
        match let_go {
            LetGo::Lost => Self::Overtaken,
            LetGo::Deadline => fault(ParkReason::Interrupted, "a stage outlasted its deadline"),
        }
    }
}

impl Transfer {
    /// Open, look or send, prove, record.
    pub(super) async fn carry(
        &self,
        granted: &Granted,
        uploads: &Uploads<'_>,
        tried: u32,
    ) -> Result<Stored, Trouble> {
        let original = self.open(granted).await?;
        let earlier = granted.tried_before || tried > 0;
        let found = if earlier {
            self.find(granted, &*original).await?
        } else {
            None
        };
        let proof = match found {
            Some(proof) => proof,
            None => match self.send_and_prove(granted, &*original, uploads).await {
                Ok(proof) => {
                    uploads.ended();
                    proof
                }
                Err(trouble) => {
                    if is_about_the_upload(&trouble) && uploads.was_only_completed() {
                        self.give_up_upload(granted, uploads).await;
                    }
                    return Err(trouble);
                }
            },
        };
        self.give_up_upload(granted, uploads).await;
        self.record(granted, &*original, &proof).await
    }

    async fn send_and_prove(
        &self,
        granted: &Granted,
        original: &dyn Original,
        uploads: &Uploads<'_>,
    ) -> Result<Verified, Trouble> {
        let (expected, clear) = self.send(granted, original, uploads).await?;
        self.prove_sent(granted, expected, clear).await
    }

    /// Nobody goes on with the upload: the copy is there by another attempt's hand, or the upload
    /// has every part and still does not become a copy, because the store lost it, or a rule of
    /// the bucket ended it. One attempt; what stays open is found by the sweep of leftovers.
    async fn give_up_upload(&self, granted: &Granted, uploads: &Uploads<'_>) {
        let Some(upload) = uploads.known() else {
            return;
        };
        let staged = &granted.staged;
        let account = &staged.announced().key.account_id;
        let (destination, key) = (staged.destination(), staged.object_key());
        let writers = &self.ports.writers;
        match writers
            .give_up(destination, account, &key, &upload.id)
            .await
        {
            Ok(()) => {}
            Err(fault) => tracing::info!(
                recording.key = %staged.announced().key, error = %fault,
                "an upload that nobody needs may still be open; the sweep finds it"
            ),
        }
        uploads.ended();
    }

    async fn open(&self, granted: &Granted) -> Result<Box<dyn Original>, Trouble> {
        let announced = &granted.staged.announced().original;
        let originals = &self.ports.originals;
        let opened = self
            .patience
            .staging(|| originals.open(&announced.path))
            .await?;
        let growing = granted.known_for < self.tuning.growing_max;
        let original = match opened {
            Ok(original) => original,
            Err(StagingFault::Absent) if growing => {
                return Err(fault(ParkReason::StillGrowing, "no file at the path yet"));
            }
            Err(StagingFault::Absent) => {
                return Err(fault(ParkReason::OriginalMissing, "no file at the path"));
            }
            Err(error) => return Err(unreadable(error)),
        };
        let (size, expected) = (original.identity().size_bytes, announced.size_bytes);
        let detail = || format!("the file has {size} bytes, {expected} were announced");
        if size < expected && growing {
            Err(fault(ParkReason::StillGrowing, detail()))
        } else if size != expected {
            Err(fault(ParkReason::SizeMismatch, detail()))
        } else {
            Ok(original)
        }
    }

    /// Every attempt after the first looks before it sends. What is found must be the original,
    /// byte for byte, so the original is read for it.
    async fn find(
        &self,
        granted: &Granted,
        original: &dyn Original,
    ) -> Result<Option<Verified>, Trouble> {
        let staged = &granted.staged;
        let keeper = self.keeper(granted);
        let key = staged.object_key();
        let account = &staged.announced().key.account_id;
        let bounds = || Bounds {
            deadline: self.tuning.look_max,
            progress: None,
        };
        let asked = self.ports.lookers.look(staged.destination(), account, &key);
        match keeper
            .during(bounds(), asked)
            .await?
            .map_err(Trouble::Fault)?
        {
            recording::Look::Absent => return Ok(None),
            recording::Look::Present(_) => {}
        }
        let size = staged.announced().original.size_bytes;
        let reading = Bounds {
            deadline: self.tuning.send_max(size),
            progress: None,
        };
        let digests = keeper
            .during(reading, original.digests())
            .await?
            .map_err(unreadable)?;
        check_announced(granted, &digests)?;
        // Found, not sent by this claim: only what the bytes themselves show counts.
        let expected = Expected {
            digests,
            sent: None,
            first_look: None,
        };
        match self.look(granted, expected).await? {
            Sight::Proven(proof) => Ok(Some(*proof)),
            Sight::Absent => Ok(None),
            Sight::Other(mismatch) => Err(fault(ParkReason::ForeignObject, mismatch.to_string())),
        }
    }

    /// Sends once. `true`: the store said that it has the copy.
    async fn send(
        &self,
        granted: &Granted,
        original: &dyn Original,
        uploads: &Uploads<'_>,
    ) -> Result<(Expected, bool), Trouble> {
        let staged = &granted.staged;
        let announced = staged.announced();
        let progress = Progress::default();
        let measured = Measured {
            metrics: &self.ports.metrics,
            progress: &progress,
            began: Instant::now(),
        };
        let earlier = uploads.known();
        let sha256 = announced.original.sha256;
        let destination = staged.destination();
        let metadata = object_metadata(announced, destination, staged.retain_until(), sha256);
        let outbound = Outbound {
            account: &announced.key.account_id,
            key: &staged.object_key(),
            original,
            size_bytes: announced.original.size_bytes,
            sha256,
            media_type: safe_media_type(&announced.media_type),
            metadata,
            fence: &granted.lease.fence,
            progress: &progress,
            uploads,
            earlier: earlier.as_ref(),
        };
        let deadline = self.tuning.send_max(announced.original.size_bytes);
        let bounds = Bounds {
            deadline,
            progress: Some(&progress),
        };
        let sending = self.pausing(&progress, self.ports.writers.send(destination, outbound));
        let sent = self.keeper(granted).during(bounds, sending).await?;
        drop(measured);
        uploads.sent(&progress);
        let expected = |digests, sent| Expected {
            digests,
            sent,
            first_look: None,
        };
        match sent {
            Ok(SendOutcome::Sent(digests, checked)) => Ok((expected(digests, checked), true)),
            Ok(SendOutcome::Unclear(digests, why)) => {
                self.ports.metrics.unknown_outcome();
                tracing::info!(recording.key = %announced.key, %why, "outcome unknown: looking");
                Ok((expected(digests, None), false))
            }
            Err(SendFault::Store(store)) => Err(Trouble::Fault(store)),
            Err(SendFault::Staging(StagingFault::Unavailable(why))) => {
                Err(Trouble::Outage(Outage::Down(why)))
            }
            Err(SendFault::Staging(error)) => Err(unreadable(error)),
            Err(SendFault::DigestMismatch) => Err(fault(
                ParkReason::DigestMismatch,
                SendFault::DigestMismatch.to_string(),
            )),
            Err(SendFault::Ledger(error)) => Err(Trouble::Outage(Outage::from(error))),
            Err(SendFault::LeaseLost(_)) => Err(Trouble::Overtaken),
            Err(SendFault::Paused) => Err(Trouble::Paused),
        }
    }

    /// Sends, and begins no further part once the process drains: what is on its way lands and is
    /// remembered, so that nothing of it is sent again.
    async fn pausing<T>(&self, progress: &Progress, sending: impl Future<Output = T>) -> T {
        let mut sending = std::pin::pin!(sending);
        tokio::select! {
            biased;
            sent = &mut sending => return sent,
            () = self.ports.draining.cancelled() => progress.pause(),
        }
        sending.await
    }

    async fn prove_sent(
        &self,
        granted: &Granted,
        expected: Expected,
        clear: bool,
    ) -> Result<Verified, Trouble> {
        let began = Instant::now();
        let sight = self.look(granted, expected).await?;
        self.ports.metrics.stage(Stage::Prove, began.elapsed());
        match sight {
            Sight::Proven(proof) => Ok(*proof),
            Sight::Absent if clear => {
                let detail = "the store took the copy, and a look finds nothing at the key";
                Err(fault(ParkReason::CopyAbsent, detail))
            }
            Sight::Absent => Err(fault(
                ParkReason::OutcomeUnknown,
                "the copy is not at the key",
            )),
            Sight::Other(mismatch) => Err(fault(ParkReason::ForeignObject, mismatch.to_string())),
        }
    }

    async fn look(&self, granted: &Granted, expected: Expected) -> Result<Sight, Trouble> {
        let staged = &granted.staged;
        let (announced, destination) = (staged.announced(), staged.destination());
        let key = staged.object_key();
        let copy = Copy {
            announced,
            destination,
            key: &key,
        };
        // A read-back takes as long as sending did.
        let deadline = self
            .tuning
            .look_max
            .max(self.tuning.send_max(announced.original.size_bytes));
        let looking = look(&*self.ports.lookers, &copy, &expected);
        let bounds = Bounds {
            deadline,
            progress: None,
        };
        self.keeper(granted)
            .during(bounds, looking)
            .await?
            .map_err(Trouble::Fault)
    }

    /// Compare-and-set to stored. The acknowledgment's id is the claim's token: random, fresh with
    /// every claim, and the same when an unknown outcome is asked for again.
    async fn record(
        &self,
        granted: &Granted,
        original: &dyn Original,
        proof: &Verified,
    ) -> Result<Stored, Trouble> {
        let began = Instant::now();
        let (lease, now) = (&granted.lease, self.ports.clock.now());
        let stored = granted
            .staged
            .clone()
            .stored(proof, original.identity(), lease.token, now);
        let ledger = &self.ports.ledger;
        let advance = self
            .patience
            .ledger(|| ledger.store(lease, &stored))
            .await?;
        self.ports.metrics.stage(Stage::Record, began.elapsed());
        match advance {
            Advance::Done(()) => Ok(stored),
            Advance::Overtaken => Err(Trouble::Overtaken),
        }
    }
}

/// Counts what sending did, however it ends: also what a shutdown or a lost lease cut short.
struct Measured<'a> {
    metrics: &'a Metrics,
    progress: &'a Progress,
    began: Instant,
}

impl Drop for Measured<'_> {
    fn drop(&mut self) {
        let Self {
            metrics,
            progress,
            began,
        } = self;
        metrics.stage(Stage::Read, progress.reading());
        metrics.stage(Stage::Upload, began.elapsed());
        metrics.sent(progress.bytes());
        if progress.resumed_bytes() > 0 {
            metrics.resumed(progress.resumed_bytes());
        }
    }
}

/// Whether trouble may come from an upload that can never become a copy. Unreachable and denied
/// stores say nothing about it, and it may hold many gigabytes.
fn is_about_the_upload(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Fault(fault) => matches!(
            fault.reason,
            ParkReason::OutcomeUnknown | ParkReason::CopyAbsent | ParkReason::DestinationRefused
        ),
        Trouble::Outage(_) | Trouble::Overtaken | Trouble::Paused => false,
    }
}

/// Whether the bytes that were read are the announced ones.
fn check_announced(granted: &Granted, digests: &Digests) -> Result<(), Trouble> {
    let announced = &granted.staged.announced().original;
    if announced
        .sha256
        .is_some_and(|sha256| sha256 != digests.sha256)
    {
        return Err(fault(
            ParkReason::DigestMismatch,
            SendFault::DigestMismatch.to_string(),
        ));
    }
    Ok(())
}

/// What an unreadable original means for its recording.
fn unreadable(error: StagingFault) -> Trouble {
    match error {
        StagingFault::Unavailable(why) => Trouble::Outage(Outage::Down(why)),
        StagingFault::Unreadable(why) => fault(ParkReason::OriginalUnreadable, why),
        StagingFault::Absent => fault(ParkReason::StillGrowing, "the file went away"),
        StagingFault::NotAPlainFile(what) => fault(ParkReason::NotAPlainFile, what),
        StagingFault::Changed => fault(ParkReason::ChangedWhileRead, error.to_string()),
    }
}
