//! The end of an original that no copy was proven of: what an erasure asks of the ledger and of
//! staging.
//!
//! **Order of effects.** The ledger grants the deletion and writes the intent down, under the row's
//! lock, only if the erasure of exactly this recording was asked for, no legal hold is on it and
//! nobody works on it; from then on nobody can claim it for transfer. Then what lies at the path is
//! looked at, held against what is known of the original, and deleted on the condition that it
//! still is that; new requests look; and only a look that finds nothing of it makes an
//! [`OriginalGone`], with which the ledger calls the original erased. Whatever of a copy may lie at
//! its key is then the retention sweep's to end.
//!
//! **Whose file it is.** A recorder may use a path twice, and then the only original of another
//! recording lies at this one's path. Whatever is not known to be this one's stays.

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    Advance, Fence, Identity, Kept, Lease, LeaseLost, LedgerFault, ObjectKey, RecordingKey, Sha256,
    StagingFault, StagingPath,
};

/// What an original is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownBy {
    /// A copy of it was proven: it is the file of this identity, or one with the same bytes, and
    /// nothing else.
    Copy {
        /// Of the file that was copied.
        identity: Identity,
        /// Of its bytes.
        sha256: Sha256,
    },
    /// No copy was proven: only its event tells.
    Event {
        /// The announced size.
        size_bytes: u64,
        /// The announced digest, if there was one.
        sha256: Option<Sha256>,
        /// Whether another recording's event waits for the path.
        path_is_wanted: bool,
    },
}

/// What a file was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgment {
    /// The original.
    Its,
    /// Certainly not the original.
    Another,
    /// It may be the original, or another recording's.
    Doubtful(Doubt),
}

/// Why a file is not taken to be the original that an event announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Another recording's event waits for the path.
    PathIsWanted,
    /// It has another size.
    Size,
    /// It has another SHA-256.
    Digest,
}

impl Doubt {
    /// What was seen, for people.
    #[must_use]
    pub fn seen(self) -> &'static str {
        match self {
            Self::PathIsWanted => {
                "another recording's event waits for its path (quarantined, path_in_use), and the \
                 file there may be that one's only original"
            }
            Self::Size => "the file at its path has another size than was announced",
            Self::Digest => "the file at its path has another SHA-256 than was announced",
        }
    }
}

impl KnownBy {
    /// What a file is by its identity; `None`: its bytes have to tell.
    #[must_use]
    pub fn by_identity(&self, found: &Identity) -> Option<Judgment> {
        match self {
            Self::Copy { identity, .. } if identity == found => Some(Judgment::Its),
            Self::Copy { identity, .. } => {
                (identity.size_bytes != found.size_bytes).then_some(Judgment::Another)
            }
            Self::Event {
                path_is_wanted: true,
                ..
            } => Some(Judgment::Doubtful(Doubt::PathIsWanted)),
            Self::Event { size_bytes, .. } if *size_bytes != found.size_bytes => {
                Some(Judgment::Doubtful(Doubt::Size))
            }
            Self::Event { sha256, .. } => sha256.is_none().then_some(Judgment::Its),
        }
    }

    /// What a file of the right size is by its bytes.
    #[must_use]
    pub fn by_bytes(&self, found: &Sha256) -> Judgment {
        match self {
            Self::Copy { sha256, .. } if sha256 == found => Judgment::Its,
            Self::Copy { .. } => Judgment::Another,
            Self::Event { sha256, .. } if sha256.as_ref().is_none_or(|known| known == found) => {
                Judgment::Its
            }
            Self::Event { .. } => Judgment::Doubtful(Doubt::Digest),
        }
    }

    /// Its size.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::Copy { identity, .. } => identity.size_bytes,
            Self::Event { size_bytes, .. } => *size_bytes,
        }
    }
}

/// An original that is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoughtOriginal {
    /// Whose.
    pub key: RecordingKey,
    /// Where it was announced.
    pub path: StagingPath,
    /// What it is known by.
    pub known_by: KnownBy,
}

/// The permission to delete one original without a proven copy, made by
/// [`ErasingOriginal::erasable`] only. It is not `Clone`.
#[derive(Debug)]
pub struct Erasable {
    original: SoughtOriginal,
    token: Uuid,
    fence: Fence,
}

impl Erasable {
    /// Which original may go.
    #[must_use]
    pub fn original(&self) -> &SoughtOriginal {
        &self.original
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
    original: SoughtOriginal,
    object_key: Option<ObjectKey>,
    lease: Lease,
    attempts: u32,
    granted: bool,
}

impl ErasingOriginal {
    /// What the ledger granted. Without `granted`, a hold came after a deletion may have been
    /// begun: all that may be done is to look. `object_key` is where a copy may lie; `None`: it
    /// was never pinned to a destination.
    #[must_use]
    pub fn new(
        original: SoughtOriginal,
        object_key: Option<ObjectKey>,
        lease: Lease,
        (attempts, granted): (u32, bool),
    ) -> Self {
        Self {
            original,
            object_key,
            lease,
            attempts,
            granted,
        }
    }

    /// Whose.
    #[must_use]
    pub fn key(&self) -> &RecordingKey {
        &self.original.key
    }

    /// The original.
    #[must_use]
    pub fn original(&self) -> &SoughtOriginal {
        &self.original
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

    /// Whether a copy was proven, and the ledger has its receipt: its release was refused.
    #[must_use]
    pub fn is_copied(&self) -> bool {
        match self.original.known_by {
            KnownBy::Copy { .. } => true,
            KnownBy::Event { .. } => false,
        }
    }

    /// The permission to delete the original, if the ledger gave one.
    #[must_use]
    pub fn erasable(&self) -> Option<Erasable> {
        self.granted.then(|| Erasable {
            original: self.original.clone(),
            token: self.lease.token,
            fence: self.lease.fence.clone(),
        })
    }
}

/// What a look found at an original's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AtPath {
    /// Nothing.
    #[default]
    Nothing,
    /// The original, or what cannot even be read.
    It,
    /// A file that certainly is not the original.
    Another,
    /// A file that may be the original, or another recording's.
    Doubtful(Doubt),
}

impl From<Judgment> for AtPath {
    fn from(judgment: Judgment) -> Self {
        match judgment {
            Judgment::Its => Self::It,
            Judgment::Another => Self::Another,
            Judgment::Doubtful(doubt) => Self::Doubtful(doubt),
        }
    }
}

/// What a look found of an original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OriginalRemains {
    /// What is at its path.
    pub at_path: AtPath,
    /// How many files lie in the trash under its name.
    pub in_trash: u32,
}

/// The proof that nothing of an original is in staging any more: made by
/// [`OriginalRemains::gone`] only, and not kept.
#[derive(Debug)]
pub struct OriginalGone {
    another: bool,
}

impl OriginalRemains {
    /// The proof, if nothing is left of it.
    #[must_use]
    pub fn gone(self) -> Option<OriginalGone> {
        let another = match self.at_path {
            AtPath::Nothing => false,
            AtPath::Another => true,
            AtPath::It | AtPath::Doubtful(_) => return None,
        };
        (self.in_trash == 0).then_some(OriginalGone { another })
    }
}

impl OriginalGone {
    /// What was seen, for the history.
    #[must_use]
    pub fn seen(&self) -> &'static str {
        match self.another {
            false => "nothing is at the path or in the trash, and the marker is there",
            true => {
                "at the path is another file than the one that was copied, which stays; nothing \
                 is in the trash, and the marker is there"
            }
        }
    }
}

/// Deletes originals for erasures.
#[async_trait]
pub trait Erasers: Send + Sync {
    /// Deletes what is at the path if it is the original, on the condition that it still is what
    /// was seen there, and what earlier leases left of it in the trash, asking the fence before
    /// each step that deletes. What in the trash is not known to be it is put back where the path
    /// is free. Says how many were deleted; none is fine. A look must follow.
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
    async fn left(&self, original: &SoughtOriginal) -> Result<OriginalRemains, StagingFault>;
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

    /// Renews the lease while a file is read to be compared.
    ///
    /// # Errors
    /// [`LeaseLost`]: the recording is somebody else's now.
    async fn renew_erasure(
        &self,
        erasing: &ErasingOriginal,
    ) -> Result<Result<(), LeaseLost>, LedgerFault>;

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

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size_bytes: u64, mtime_ns: i64) -> Identity {
        Identity {
            size_bytes,
            mtime_ns,
            inode: 7,
            entity: None,
        }
    }

    fn gone(at_path: AtPath, in_trash: u32) -> bool {
        OriginalRemains { at_path, in_trash }.gone().is_some()
    }

    #[test]
    fn of_a_copied_one_only_the_file_or_its_bytes_are_it() {
        let (its, other) = (Sha256::new([1; 32]), Sha256::new([2; 32]));
        let known = KnownBy::Copy {
            identity: file(9, 1),
            sha256: its,
        };
        assert_eq!(known.by_identity(&file(9, 1)), Some(Judgment::Its));
        assert_eq!(known.by_identity(&file(8, 1)), Some(Judgment::Another));
        assert_eq!(known.by_identity(&file(9, 2)), None);
        assert_eq!(known.by_bytes(&its), Judgment::Its);
        assert_eq!(known.by_bytes(&other), Judgment::Another);
    }

    #[test]
    fn of_an_announced_one_whatever_speaks_against_it_is_a_doubt() {
        let (its, other) = (Sha256::new([1; 32]), Sha256::new([2; 32]));
        let known = |sha256, path_is_wanted| KnownBy::Event {
            size_bytes: 9,
            sha256,
            path_is_wanted,
        };
        let doubtful = |doubt| Some(Judgment::Doubtful(doubt));
        for (known, size_bytes, by_identity) in [
            (known(None, false), 9, Some(Judgment::Its)),
            (known(None, false), 8, doubtful(Doubt::Size)),
            (known(Some(its), false), 8, doubtful(Doubt::Size)),
            (known(Some(its), false), 9, None),
            (known(None, true), 9, doubtful(Doubt::PathIsWanted)),
            (known(Some(its), true), 9, doubtful(Doubt::PathIsWanted)),
        ] {
            assert_eq!(known.by_identity(&file(size_bytes, 1)), by_identity);
        }
        assert_eq!(known(Some(its), false).by_bytes(&its), Judgment::Its);
        let differs = known(Some(its), false).by_bytes(&other);
        assert_eq!(differs, Judgment::Doubtful(Doubt::Digest));
    }

    #[test]
    fn it_is_gone_only_where_nothing_of_it_can_be_left() {
        assert!(gone(AtPath::Nothing, 0) && gone(AtPath::Another, 0));
        assert!(!gone(AtPath::Nothing, 1) && !gone(AtPath::Another, 1));
        assert!(!gone(AtPath::It, 0) && !gone(AtPath::Doubtful(Doubt::Size), 0));
    }
}
