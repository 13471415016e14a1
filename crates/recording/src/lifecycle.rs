//! The states of a recording, one type each, and the transitions between them.
//!
//! ```text
//!            stored                released              expired
//!  Staged ──────────▶ Stored ─────────────────▶ Released ─────────▶ Expired
//!   │  ▲               │ (copy proven,           (original gone)     (copy gone)
//!   ▼  │ claimed again │  original still there)
//!  Parked ◀────────────┘ only when the copy is provably gone and the original intact
//!
//!  Staged | Parked ──▶ Withdrawn ──▶ Expired      only by an erasure
//!           (original gone, no copy was ever proven)
//! ```
//!
//! Fields are private. Besides the transitions only [`Recording::recall`] makes a state, because
//! the catalog must turn rows back into states; it yields receipts, never proofs.

mod withdrawn;

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::proof::FirstLook;
use crate::{
    Announced, Crc64Nvme, Destination, Digests, Expected, Fence, Lease, Location, ObjectKey,
    ParkReason, Receipt, RecordingKey, StagingPath, Verified, object_key,
};

pub use withdrawn::{Withdrawn, WithdrawnRecord};

/// The state's name, as the ledger, the command line and metrics spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Claimed at least once; the copy is not proven yet.
    Staged,
    /// Cannot go on now; has a reason.
    Parked,
    /// The copy is proven; the original is still there.
    Stored,
    /// The original is gone.
    Released,
    /// The copy is gone, at the end of its retention.
    Expired,
}

impl State {
    /// Every state, in the order of a recording's life.
    pub const ALL: [Self; 5] = [
        Self::Staged,
        Self::Parked,
        Self::Stored,
        Self::Released,
        Self::Expired,
    ];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Parked => "parked",
            Self::Stored => "stored",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }
}

/// What tells one original from another at the same path: two originals are the same only if
/// everything here is equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Size.
    pub size_bytes: u64,
    /// Time of the last change of content, in nanoseconds since 1970; whole seconds where staging
    /// is a bucket.
    pub mtime_ns: i64,
    /// Inode number, as the file system gives it (a bit pattern, hence signed in the ledger); 0
    /// where staging is a bucket.
    pub inode: i64,
    /// What the bucket calls this very object: its entity tag, and its version where it keeps
    /// versions. `None` of a file. Only whoever reads the bucket knows the words in it.
    pub entity: Option<String>,
}

/// A recording on its way: the copy is not proven yet.
#[derive(Debug, Clone)]
pub struct Staged {
    announced: Announced,
    destination: Destination,
    retain_until: Option<DateTime<Utc>>,
}

/// A recording whose copy is proven and whose original is still there.
#[derive(Debug, Clone)]
pub struct Stored {
    announced: Announced,
    destination: Destination,
    key: ObjectKey,
    receipt: Receipt,
    identity: Identity,
    acknowledgment_id: Uuid,
}

/// A recording whose original is gone.
#[derive(Debug, Clone)]
pub struct Released {
    stored: Stored,
}

/// A recording whose copy is gone, at the end of its retention.
#[derive(Debug, Clone)]
pub struct Expired {
    key: RecordingKey,
}

/// A recording that cannot go on now.
#[derive(Debug, Clone)]
pub struct Parked {
    key: RecordingKey,
    reason: ParkReason,
    next_attempt_at: Option<DateTime<Utc>>,
}

/// A recording in whichever state it is.
#[derive(Debug, Clone)]
pub enum Recording {
    /// On its way.
    Staged(Box<Staged>),
    /// Cannot go on now.
    Parked(Parked),
    /// The copy is proven.
    Stored(Box<Stored>),
    /// The original is gone.
    Released(Box<Released>),
    /// The original was erased, and no copy was proven.
    Withdrawn(Box<Withdrawn>),
    /// The copy is gone.
    Expired(Expired),
}

/// The permission to delete one original, made by [`Stored::releasable`] only. It is not
/// `Clone`, so that one look permits one deletion.
#[derive(Debug)]
pub struct Releasable {
    key: RecordingKey,
    path: StagingPath,
    token: Uuid,
    fence: Fence,
    identity: Identity,
    digests: Digests,
}

/// A row of the ledger, as [`Recording::recall`] takes it.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "it lives from the row to the state, and is never kept"
)]
pub enum Record {
    /// A row in `staged`, or a parked one that was just claimed.
    Staged {
        /// The event's data.
        announced: Announced,
        /// The pinned revision.
        destination: Destination,
        /// When retention ends; `None` is never.
        retain_until: Option<DateTime<Utc>>,
    },
    /// A row in `parked`.
    Parked {
        /// Which recording.
        key: RecordingKey,
        /// Why.
        reason: ParkReason,
        /// When it is tried again; `None` waits for a person.
        next_attempt_at: Option<DateTime<Utc>>,
    },
    /// A row in `stored` or `released`.
    Stored {
        /// The event's data.
        announced: Announced,
        /// The pinned revision.
        destination: Destination,
        /// The object's key.
        key: ObjectKey,
        /// The remembered evidence.
        receipt: Receipt,
        /// The original that was copied.
        identity: Identity,
        /// The id every acknowledgment of this copy carries.
        acknowledgment_id: Uuid,
        /// Whether the original is gone.
        released: bool,
    },
    /// A row in `released` that has no receipt.
    Withdrawn(WithdrawnRecord),
    /// A row in `expired`.
    Expired {
        /// Which recording.
        key: RecordingKey,
    },
}

impl Recording {
    /// Turns a row back into a state. Only the catalog calls this.
    #[must_use]
    pub fn recall(record: Record) -> Self {
        match record {
            Record::Staged {
                announced,
                destination,
                retain_until,
            } => Self::Staged(Box::new(Staged {
                announced,
                destination,
                retain_until,
            })),
            Record::Parked {
                key,
                reason,
                next_attempt_at,
            } => Self::Parked(Parked {
                key,
                reason,
                next_attempt_at,
            }),
            Record::Stored {
                announced,
                destination,
                key,
                receipt,
                identity,
                acknowledgment_id,
                released,
            } => {
                let stored = Stored {
                    announced,
                    destination,
                    key,
                    receipt,
                    identity,
                    acknowledgment_id,
                };
                if released {
                    Self::Released(Box::new(Released { stored }))
                } else {
                    Self::Stored(Box::new(stored))
                }
            }
            Record::Withdrawn(record) => Self::Withdrawn(Box::new(Withdrawn::recalled(record))),
            Record::Expired { key } => Self::Expired(Expired { key }),
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        match self {
            Self::Staged(_) => State::Staged,
            Self::Parked(_) => State::Parked,
            Self::Stored(_) => State::Stored,
            Self::Released(_) | Self::Withdrawn(_) => State::Released,
            Self::Expired(_) => State::Expired,
        }
    }
}

impl Staged {
    /// The event's data.
    #[must_use]
    pub fn announced(&self) -> &Announced {
        &self.announced
    }

    /// The revision it is pinned to.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// When retention ends; `None` is never.
    #[must_use]
    pub fn retain_until(&self) -> Option<DateTime<Utc>> {
        self.retain_until
    }

    /// The key of its copy: the same for every attempt.
    #[must_use]
    pub fn object_key(&self) -> ObjectKey {
        object_key(&self.announced, &self.destination)
    }

    /// The copy is proven. `acknowledgment_id` is fresh and stays with this copy.
    #[must_use]
    pub fn stored(
        self,
        proof: &Verified,
        identity: Identity,
        acknowledgment_id: Uuid,
        now: DateTime<Utc>,
    ) -> Stored {
        let key = self.object_key();
        let digests = proof.digests();
        let receipt = Receipt {
            size_bytes: digests.size_bytes,
            sha256: digests.sha256,
            etag: proof.observed().etag.clone(),
            version_id: proof.observed().version_id.clone(),
            checksum: format!("crc64nvme:{}", digests.crc64nvme),
            content_md5: proof.observed().content_md5.clone(),
            method: proof.method(),
            stored_at: now.trunc_subsecs(6),
        };
        let Self {
            announced,
            destination,
            ..
        } = self;
        Stored {
            announced,
            destination,
            key,
            receipt,
            identity,
            acknowledgment_id,
        }
    }
}

impl Stored {
    /// The event's data.
    #[must_use]
    pub fn announced(&self) -> &Announced {
        &self.announced
    }

    /// The revision the copy lies in.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The copy's key.
    #[must_use]
    pub fn object_key(&self) -> &ObjectKey {
        &self.key
    }

    /// The evidence remembered.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Where the copy is.
    #[must_use]
    pub fn location(&self) -> Location {
        Location::new(&self.destination, &self.key)
    }

    /// The original that was copied.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The id every acknowledgment of this copy carries.
    #[must_use]
    pub fn acknowledgment_id(&self) -> Uuid {
        self.acknowledgment_id
    }

    /// What a second look must find. `None` if the receipt's checksum cannot be read, which only
    /// a damaged ledger can cause; nothing is released then.
    #[must_use]
    pub fn expected(&self) -> Option<Expected> {
        let crc64nvme: Crc64Nvme = self
            .receipt
            .checksum
            .strip_prefix("crc64nvme:")?
            .parse()
            .ok()?;
        Some(Expected {
            digests: Digests {
                size_bytes: self.receipt.size_bytes,
                sha256: self.receipt.sha256,
                crc64nvme,
            },
            sent: None,
            first_look: Some(FirstLook {
                etag: self.receipt.etag.clone(),
                version_id: self.receipt.version_id.clone(),
                content_md5: self.receipt.content_md5.clone(),
                method: self.receipt.method,
            }),
        })
    }

    /// The permission to delete the original, if the second look found this very copy.
    #[must_use]
    pub fn releasable(&self, second_look: &Verified, lease: &Lease) -> Option<Releasable> {
        let expected = self.expected()?;
        (*second_look.digests() == expected.digests).then(|| Releasable {
            key: self.announced.key.clone(),
            path: self.announced.original.path.clone(),
            token: lease.token,
            fence: lease.fence.clone(),
            identity: self.identity.clone(),
            digests: expected.digests,
        })
    }
}

impl Releasable {
    /// Which recording's original may go.
    #[must_use]
    pub fn key(&self) -> &RecordingKey {
        &self.key
    }

    /// The lease under which the look was made.
    #[must_use]
    pub fn token(&self) -> Uuid {
        self.token
    }

    /// Where the original was announced.
    #[must_use]
    pub fn path(&self) -> &StagingPath {
        &self.path
    }

    /// The local check of that lease, to be asked right before each request that deletes.
    #[must_use]
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// The original that was copied.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Its bytes.
    #[must_use]
    pub fn digests(&self) -> &Digests {
        &self.digests
    }
}

impl Released {
    /// The recording as it was stored.
    #[must_use]
    pub fn stored(&self) -> &Stored {
        &self.stored
    }
}

impl Expired {
    /// Which recording.
    #[must_use]
    pub fn key(&self) -> &RecordingKey {
        &self.key
    }
}

impl Parked {
    /// Which recording.
    #[must_use]
    pub fn key(&self) -> &RecordingKey {
        &self.key
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> ParkReason {
        self.reason
    }

    /// When it is tried again; `None` waits for a person.
    #[must_use]
    pub fn next_attempt_at(&self) -> Option<DateTime<Utc>> {
        self.next_attempt_at
    }
}
