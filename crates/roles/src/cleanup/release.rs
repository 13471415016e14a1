//! One attempt at a release: from the trash and the second look to the unlink.

use recording::{
    Fault, Moved, ParkReason, Releasable, ReleaseGranted, StagingFault, TrashEntry, Verified,
};
use telemetry::Stage;
use tokio::time::Instant;

use super::{Cleanup, Gone, Kept};
use crate::keeper::{Bounds, LetGo};
use crate::outage::Outage;
use crate::prove::{Copy, Sight, look};

fn refused(reason: ParkReason, detail: impl Into<String>) -> Kept {
    Kept::Refused(Fault::new(reason, detail))
}

impl Cleanup {
    pub(super) async fn release(&self, granted: &ReleaseGranted) -> Result<Gone, Kept> {
        let left = self.left_in_trash(granted).await?;
        let proof = match self.second_look(granted).await {
            Ok(proof) => proof,
            Err(kept) => {
                // Nothing is written while the original lies where nobody looks for it.
                if let Some(entry) = left {
                    self.put_back(granted, &entry).await?;
                }
                return Err(self.if_intact(granted, kept).await?);
            }
        };
        let Some(permission) = granted.stored.releasable(&proof, &granted.lease) else {
            return Err(refused(
                ParkReason::CopyDiffers,
                "the look was for other bytes",
            ));
        };
        match left {
            Some(entry) => self.finish_left(granted, entry, permission).await,
            None => self.move_and_unlink(granted, permission).await,
        }
    }

    /// What an earlier claim left in the trash, renamed to this lease's token.
    ///
    /// SUBTLE: a rename whose answer was lost leaves the entry under our own token, so every
    /// repetition begins by looking, and asks the fence anew: staging may be down for longer than
    /// the lease lasts.
    async fn left_in_trash(&self, granted: &ReleaseGranted) -> Result<Option<TrashEntry>, Kept> {
        let left = self.patience.staging(|| self.take_over(granted)).await?;
        left.map_err(staging_kept)?
    }

    /// One round of looking and renaming. The inner result is what the fence says.
    async fn take_over(
        &self,
        granted: &ReleaseGranted,
    ) -> Result<Result<Option<TrashEntry>, Kept>, StagingFault> {
        let key = &granted.stored.announced().key;
        let token = granted.lease.token;
        let mut entries = self.ports.trash.find(key).await?;
        if let Some(ours) = entries.iter().position(|entry| entry.token == token) {
            return Ok(Ok(Some(entries.swap_remove(ours))));
        }
        for entry in entries {
            if granted.lease.fence.check().is_err() {
                return Ok(Err(Kept::Overtaken));
            }
            if let Some(entry) = self.ports.trash.take_over(entry, token).await? {
                return Ok(Ok(Some(entry)));
            }
        }
        Ok(Ok(None))
    }

    /// Whether the original lies in the trash after all. A predecessor that froze between its
    /// fence and its rename may have moved it after this claim looked there: then this attempt
    /// knows nothing and begins again.
    async fn unless_moved_late(&self, granted: &ReleaseGranted) -> Result<(), Kept> {
        let key = &granted.stored.announced().key;
        let trash = &self.ports.trash;
        let entries = self
            .patience
            .staging(|| trash.find(key))
            .await?
            .map_err(staging_kept)?;
        // Our own entry is no surprise: it could not be put back.
        if entries
            .iter()
            .all(|entry| entry.token == granted.lease.token)
        {
            return Ok(());
        }
        Err(refused(
            ParkReason::Interrupted,
            "the original was moved while it was looked for",
        ))
    }

    async fn second_look(&self, granted: &ReleaseGranted) -> Result<Verified, Kept> {
        let stored = &granted.stored;
        let Some(expected) = stored.expected() else {
            return Err(refused(
                ParkReason::CopyDiffers,
                "the receipt's checksum is unreadable",
            ));
        };
        let copy = Copy {
            announced: stored.announced(),
            destination: stored.destination(),
            key: stored.object_key(),
        };
        let began = Instant::now();
        let looking = look(&*self.ports.lookers, &copy, &expected);
        let sight = self.kept(granted, looking).await?;
        self.ports.metrics.stage(Stage::Look, began.elapsed());
        match sight {
            Ok(Sight::Proven(proof)) => Ok(*proof),
            Ok(Sight::Absent) => Err(Kept::CopyLost),
            Ok(Sight::Other(mismatch)) => {
                Err(refused(ParkReason::CopyDiffers, mismatch.to_string()))
            }
            Err(fault) => Err(Kept::Refused(fault)),
        }
    }

    /// Keeps the lease while something lasts that may read the whole recording.
    async fn kept<T>(
        &self,
        granted: &ReleaseGranted,
        work: impl Future<Output = T>,
    ) -> Result<T, LetGo> {
        let size = granted.stored.receipt().size_bytes;
        let bounds = Bounds {
            deadline: self.tuning.look_max.max(self.tuning.send_max(size)),
            progress: None,
        };
        self.keeper(granted).during(bounds, work).await
    }

    /// A copy that is gone leads back to parked only while the original is provably intact;
    /// otherwise a person must look, at once.
    async fn if_intact(&self, granted: &ReleaseGranted, kept: Kept) -> Result<Kept, Kept> {
        match kept {
            Kept::CopyLost => {}
            other @ (Kept::Refused(_) | Kept::Outage(_) | Kept::Overtaken) => return Ok(other),
        }
        let path = &granted.stored.announced().original.path;
        let identity = granted.stored.identity();
        let trash = &self.ports.trash;
        let intact = self
            .patience
            .staging(|| trash.in_place(path, identity))
            .await?;
        if intact.map_err(staging_kept)? {
            return Ok(Kept::CopyLost);
        }
        self.unless_moved_late(granted).await?;
        let detail = "nothing is at the key, and the original is not in its place";
        Ok(refused(ParkReason::OriginalReplaced, detail))
    }

    async fn finish_left(
        &self,
        granted: &ReleaseGranted,
        entry: TrashEntry,
        permission: Releasable,
    ) -> Result<Gone, Kept> {
        let trash = &self.ports.trash;
        let comparing = self.patience.staging(|| trash.compare(&entry, &permission));
        let compared = self.kept(granted, comparing).await??;
        if let Some(entry) = compared.map_err(staging_kept)? {
            return self.unlink(granted, entry, permission).await;
        }
        self.put_back(granted, &entry).await?;
        Err(refused(
            ParkReason::OriginalReplaced,
            "what lay in the trash is not what was copied",
        ))
    }

    async fn move_and_unlink(
        &self,
        granted: &ReleaseGranted,
        permission: Releasable,
    ) -> Result<Gone, Kept> {
        let path = &granted.stored.announced().original.path;
        granted.lease.fence.check().map_err(|_| Kept::Overtaken)?;
        let began = Instant::now();
        // One attempt: after a failure the next claim looks into the trash first.
        let moving = self.ports.trash.move_in(path, &permission);
        let moved = self.kept(granted, moving).await;
        self.ports.metrics.stage(Stage::Move, began.elapsed());
        let moved = moved?;
        match moved {
            Ok(Moved::Moved(entry)) => self.unlink(granted, entry, permission).await,
            Ok(Moved::Absent) => {
                self.unless_moved_late(granted).await?;
                Ok(Gone::Already)
            }
            Ok(Moved::NotTheSame) => Err(refused(
                ParkReason::OriginalReplaced,
                "the file at the path is not the one that was copied",
            )),
            Err(fault) => Err(staging_kept(fault)),
        }
    }

    async fn unlink(
        &self,
        granted: &ReleaseGranted,
        entry: TrashEntry,
        permission: Releasable,
    ) -> Result<Gone, Kept> {
        granted.lease.fence.check().map_err(|_| Kept::Overtaken)?;
        let began = Instant::now();
        let unlinked = self.ports.trash.unlink(entry, permission).await;
        self.ports.metrics.stage(Stage::Delete, began.elapsed());
        match unlinked {
            Ok(()) => Ok(Gone::Deleted),
            // What is there now was not compared: the next attempt judges it.
            Err(StagingFault::Changed) => Err(refused(
                ParkReason::Interrupted,
                "another object came between the comparison and the deletion",
            )),
            Err(fault) => Err(staging_kept(fault)),
        }
    }

    /// Puts the original back where transfer and people look for it; the fence is asked before
    /// every repetition. An entry that is no longer there was put back by an attempt whose answer
    /// was lost, or taken by a successor.
    async fn put_back(&self, granted: &ReleaseGranted, entry: &TrashEntry) -> Result<(), Kept> {
        let path = &granted.stored.announced().original.path;
        let trash = &self.ports.trash;
        let round = async || {
            if granted.lease.fence.check().is_err() {
                return Ok(None);
            }
            trash.put_back(entry, path).await.map(Some)
        };
        match self.patience.staging(round).await? {
            Ok(Some(true)) | Err(StagingFault::Absent) => Ok(()),
            Ok(Some(false)) => {
                tracing::error!(
                    recording.key = %entry.key,
                    "an original stays in the trash: another file has its path"
                );
                Ok(())
            }
            Ok(None) => Err(Kept::Overtaken),
            Err(fault) => Err(staging_kept(fault)),
        }
    }
}

fn staging_kept(fault: StagingFault) -> Kept {
    match fault {
        StagingFault::Unavailable(why) => Kept::Outage(Outage::Down(why)),
        StagingFault::Unreadable(why) => refused(ParkReason::OriginalUnreadable, why),
        StagingFault::Absent => refused(
            ParkReason::Interrupted,
            "the file went away while it was handled",
        ),
        StagingFault::NotAPlainFile(what) => refused(ParkReason::NotAPlainFile, what),
        StagingFault::Changed => refused(ParkReason::OriginalReplaced, fault.to_string()),
    }
}
