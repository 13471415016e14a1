//! One attempt at a transfer: from the open original to the recorded receipt.

use async_trait::async_trait;
use recording::{
    Advance, Begun, Digests, Expected, Fault, Granted, Ledger, Original, Outbound, ParkReason,
    Progress, RecordingKey, SendFault, SendOutcome, StagingFault, Stored, Verified,
    object_metadata, safe_media_type,
};
use telemetry::Stage;
use tokio::time::Instant;

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
    pub(super) async fn carry(&self, granted: &Granted, tried: u32) -> Result<Stored, Trouble> {
        let original = self.open(granted).await?;
        let earlier = granted.tried_before || tried > 0;
        let found = if earlier {
            self.find(granted, &*original).await?
        } else {
            None
        };
        let proof = match found {
            Some(proof) => proof,
            None => {
                let (digests, clear) = self.send(granted, &*original).await?;
                self.prove_sent(granted, digests, clear).await?
            }
        };
        self.record(granted, &*original, &proof).await
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
        match self.look(granted, digests).await? {
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
    ) -> Result<(Digests, bool), Trouble> {
        let began = Instant::now();
        let staged = &granted.staged;
        let announced = staged.announced();
        let progress = Progress::default();
        let uploads = Uploads {
            ledger: &*self.ports.ledger,
            granted,
        };
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
            uploads: &uploads,
            abandoned_upload: granted.abandoned_upload.as_deref(),
        };
        let deadline = self.tuning.send_max(announced.original.size_bytes);
        let bounds = Bounds {
            deadline,
            progress: Some(&progress),
        };
        let sending = self.ports.writers.send(destination, outbound);
        let sent = self.keeper(granted).during(bounds, sending).await?;
        self.ports.metrics.stage(Stage::Send, began.elapsed());
        match sent {
            Ok(SendOutcome::Sent(digests)) => Ok((digests, true)),
            Ok(SendOutcome::Unclear(digests, why)) => {
                self.ports.metrics.unknown_outcome();
                tracing::info!(recording.key = %announced.key, %why, "outcome unknown: looking");
                Ok((digests, false))
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
        }
    }

    async fn prove_sent(
        &self,
        granted: &Granted,
        digests: Digests,
        clear: bool,
    ) -> Result<Verified, Trouble> {
        let began = Instant::now();
        let sight = self.look(granted, digests).await?;
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

    async fn look(&self, granted: &Granted, digests: Digests) -> Result<Sight, Trouble> {
        let staged = &granted.staged;
        let (announced, destination) = (staged.announced(), staged.destination());
        let key = staged.object_key();
        let copy = Copy {
            announced,
            destination,
            key: &key,
        };
        let expected = Expected {
            digests,
            first_look: None,
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

/// Remembers a multipart upload in the row.
struct Uploads<'a> {
    ledger: &'a dyn Ledger,
    granted: &'a Granted,
}

#[async_trait]
impl Begun for Uploads<'_> {
    async fn begun(&self, upload_id: &str) -> Result<(), SendFault> {
        let key: &RecordingKey = &self.granted.staged.announced().key;
        match self
            .ledger
            .upload_begun(key, &self.granted.lease, upload_id)
            .await?
        {
            Advance::Done(()) => Ok(()),
            Advance::Overtaken => Err(SendFault::LeaseLost(recording::LeaseLost)),
        }
    }
}
