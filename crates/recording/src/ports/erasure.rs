//! The end of an original that no copy was proven of: what an erasure asks of the ledger and of
//! staging.
//!
//! **Order of effects.** The ledger grants the deletion and writes the intent down, under the row's
//! lock, only if the erasure of exactly this recording was asked for, no legal hold is on it and
//! nobody works on it; from then on nobody can claim it for transfer. Then what lies at the path is
//! looked at and deleted on the condition that it still is that; new requests look; and only a look
//! that finds nothing makes an [`OriginalGone`], with which the ledger calls the original erased.
//! Whatever of a copy may lie at its key is then the retention sweep's to end.

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    Advance, Fence, Kept, Lease, LedgerFault, ObjectKey, RecordingKey, StagingFault, StagingPath,
};

/// The permission to delete one original without a proven copy, made by
/// [`ErasingOriginal::erasable`] only. It is not `Clone`.
#[derive(Debug)]
pub struct Erasable {
    key: RecordingKey,
    path: StagingPath,
    token: Uuid,
    fence: Fence,
}

impl Erasable {
    /// Whose original may go.
    #[must_use]
    pub fn key(&self) -> &RecordingKey {
        &self.key
    }

    /// Where it was announced.
    #[must_use]
    pub fn path(&self) -> &StagingPath {
        &self.path
    }

    /// The lease under which it may go.
    #[must_use]
    pub fn token(&self) -> Uuid {
        self.token
    }

    /// The local check of that lease, to be asked right before each step that deletes.
    #[must_use]
    pub fn fence(&self) -> &Fence {
        &self.fence
    }
}

/// A recording whose original is to be erased, leased to us.
#[derive(Debug)]
pub struct ErasingOriginal {
    key: RecordingKey,
    path: StagingPath,
    object_key: Option<ObjectKey>,
    lease: Lease,
    attempts: u32,
    granted: bool,
    copied: bool,
}

impl ErasingOriginal {
    /// What the ledger granted. Without `granted`, a hold came after a deletion may have been
    /// begun: all that may be done is to look. `object_key` is where a copy may lie; `None`: it
    /// was never pinned to a destination.
    #[must_use]
    pub fn new(
        (key, path): (RecordingKey, StagingPath),
        object_key: Option<ObjectKey>,
        lease: Lease,
        (attempts, granted): (u32, bool),
    ) -> Self {
        Self {
            key,
            path,
            object_key,
            lease,
            attempts,
            granted,
            copied: false,
        }
    }

    /// The same of a recording that is stored: a copy was proven, and its release was refused.
    #[must_use]
    pub fn of_a_stored_one(mut self) -> Self {
        self.copied = true;
        self
    }

    /// Whose.
    #[must_use]
    pub fn key(&self) -> &RecordingKey {
        &self.key
    }

    /// Where the original was announced.
    #[must_use]
    pub fn path(&self) -> &StagingPath {
        &self.path
    }

    /// Where a copy may lie.
    #[must_use]
    pub fn object_key(&self) -> Option<&ObjectKey> {
        self.object_key.as_ref()
    }

    /// Our lease.
    #[must_use]
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Deletions begun, this one included.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether a copy was proven, and the ledger has its receipt.
    #[must_use]
    pub fn is_copied(&self) -> bool {
        self.copied
    }

    /// The permission to delete the original, if the ledger gave one.
    #[must_use]
    pub fn erasable(&self) -> Option<Erasable> {
        self.granted.then(|| Erasable {
            key: self.key.clone(),
            path: self.path.clone(),
            token: self.lease.token,
            fence: self.lease.fence.clone(),
        })
    }
}

/// What a look found of an original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OriginalRemains {
    /// Whether anything is at its path.
    pub at_path: bool,
    /// How many files of it lie in the trash.
    pub in_trash: u32,
}

/// The proof that nothing of an original is in staging any more: made by
/// [`OriginalRemains::gone`] only, and not kept.
#[derive(Debug)]
pub struct OriginalGone(());

impl OriginalRemains {
    /// The proof, if nothing is left.
    #[must_use]
    pub fn gone(self) -> Option<OriginalGone> {
        (!self.at_path && self.in_trash == 0).then_some(OriginalGone(()))
    }
}

impl OriginalGone {
    /// What was seen, for the history.
    #[must_use]
    pub fn seen(&self) -> &'static str {
        "nothing is at the path or in the trash, and the marker is there"
    }
}

/// Deletes originals for erasures.
#[async_trait]
pub trait Erasers: Send + Sync {
    /// Deletes what is at the path, on the condition that it is what was seen there, and what
    /// earlier leases left of this recording in the trash, asking the fence before each step that
    /// deletes. Says how many there were; none is fine. A look must follow.
    ///
    /// # Errors
    /// Something of it may be left: staging is unusable, it is no plain file, or others came to be
    /// at the path faster than they could be deleted ([`StagingFault::Changed`]).
    async fn erase(&self, permission: Erasable) -> Result<u32, StagingFault>;

    /// Looks anew what is left of an original. That nothing is there is believed only if the
    /// marker was seen after that.
    ///
    /// # Errors
    /// It could not be seen.
    async fn left(
        &self,
        key: &RecordingKey,
        path: &StagingPath,
    ) -> Result<OriginalRemains, StagingFault>;
}

/// What a turn of erasing originals was given.
#[derive(Debug, Default)]
pub struct ErasureTurn {
    /// Leased to us.
    pub begun: Vec<ErasingOriginal>,
    /// Originals that are to be erased and that a hold keeps; they are looked at again later.
    pub held: u64,
}

/// What erasing originals asks of the ledger.
#[async_trait]
pub trait ErasureLedger: Send + Sync {
    /// Leases up to `batch` recordings that are to be erased, of which no copy was proven or the
    /// release was refused and that nobody works on, the intent to delete their originals written
    /// down.
    async fn begin_original_erasures(&self, batch: u32) -> Result<ErasureTurn, LedgerFault>;

    /// The original is gone, with the proof in the history row: `Staged | Parked → Released`
    /// without a receipt and without the personal words, or `Stored → Released`. `deleted` were
    /// deleted.
    async fn original_erased(
        &self,
        erasing: &ErasingOriginal,
        gone: OriginalGone,
        deleted: u32,
    ) -> Result<Advance<()>, LedgerFault>;

    /// Keeps the recording as it is, with the reason why its original is still there. One that a
    /// hold keeps goes on as any other.
    async fn keep_original(
        &self,
        erasing: &ErasingOriginal,
        kept: &Kept,
    ) -> Result<Advance<()>, LedgerFault>;
}
