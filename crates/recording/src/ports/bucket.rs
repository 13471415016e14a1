//! The customers' buckets as two powers, each with sessions of its own: writing (without
//! deleting) and looking.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{
    AccountId, CheckedWrite, Crc64Nvme, Destination, Digests, Fault, Fence, Identity, LeaseLost,
    LedgerFault, ObjectKey, Observed, Original, Sha256, StagingFault,
};

/// Bytes that moved, as the keeper of a lease sees them: no bytes, no renewal.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    bytes: Arc<AtomicU64>,
    waits: Arc<AtomicU64>,
    reading_us: Arc<AtomicU64>,
    resumed: Arc<AtomicU64>,
    paused: Arc<AtomicBool>,
}

impl Progress {
    /// Notes `bytes` more.
    pub fn moved(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Notes that sending still waits for its share of this process's own memory: no byte can
    /// move, and nobody outside is to blame. Called every few seconds while it lasts.
    pub fn waits(&self) {
        self.waits.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that was noted.
    #[must_use]
    pub fn waited(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }

    /// Notes time spent on reading and hashing the original.
    pub fn read(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.reading_us.fetch_add(took, Ordering::Relaxed);
    }

    /// Time spent on reading and hashing so far.
    #[must_use]
    pub fn reading(&self) -> Duration {
        Duration::from_micros(self.reading_us.load(Ordering::Relaxed))
    }

    /// Asks the sender to begin no further part: those on their way land and are remembered, and
    /// sending ends as [`SendFault::Paused`]. What goes in one request is not paused.
    pub fn pause(&self) {
        self.paused.store(true, Ordering::Relaxed);
    }

    /// Whether that was asked.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Notes bytes that an earlier claim sent and that need not be sent again. Reading them anew
    /// is progress too: the bytes are hashed from the first one on.
    pub fn resumed(&self, bytes: u64) {
        self.resumed.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that need not be sent again.
    #[must_use]
    pub fn resumed_bytes(&self) -> u64 {
        self.resumed.load(Ordering::Relaxed)
    }
}

/// An upload in parts that may be open in the bucket, as the ledger remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The store's name for it (S3's upload id), or ours (what begins each Azure block's id).
    pub id: String,
    /// The size of each part but the last.
    pub part_bytes: u64,
    /// The original it was begun from.
    pub identity: Identity,
    /// The parts that the store took, in order.
    pub parts: Vec<Part>,
}

/// One part that the store took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its number, from 1.
    pub number: u32,
    /// The entity tag it was given, or the block's id.
    pub etag: String,
    /// The CRC64NVME of its bytes, which the store checked.
    pub crc64nvme: Crc64Nvme,
}

/// Remembers an upload in parts in the ledger, so that whoever comes next goes on with it.
#[async_trait]
pub trait UploadLog: Send + Sync {
    /// Writes a new upload, without parts, into the row before its first part is sent, fenced by
    /// the lease. It replaces the one remembered before.
    ///
    /// # Errors
    /// [`SendFault::Ledger`] or [`SendFault::LeaseLost`]; the upload is then aborted.
    async fn begun(&self, upload: &Upload) -> Result<(), SendFault>;

    /// Notes a part that the store took. It may be written later, together with others: a note
    /// that is lost costs sending that part again.
    ///
    /// # Errors
    /// [`SendFault::LeaseLost`]: the recording is somebody else's.
    async fn landed(&self, part: Part) -> Result<(), SendFault>;
}

/// One original on its way out.
pub struct Outbound<'a> {
    /// Whose it is: sessions and keys are checked against it.
    pub account: &'a AccountId,
    /// The key.
    pub key: &'a ObjectKey,
    /// The open original.
    pub original: &'a dyn Original,
    /// Its announced size; the original must have exactly this.
    pub size_bytes: u64,
    /// Its announced SHA-256; bytes that differ are not sent to their end.
    pub sha256: Option<Sha256>,
    /// Content type of the copy.
    pub media_type: &'a str,
    /// Metadata of the copy, names without the provider's prefix; `callferry-sha256` is added
    /// where the digest is known before the request.
    pub metadata: BTreeMap<String, String>,
    /// Asked right before a PUT or complete is signed.
    pub fence: &'a Fence,
    /// Told of every byte sent.
    pub progress: &'a Progress,
    /// Told of an upload in parts before its first part, and of each part.
    pub uploads: &'a dyn UploadLog,
    /// An upload that an earlier claim left open. It is gone on with if it is of this very
    /// original and in parts of the size that would be used now, otherwise aborted first (unknown
    /// there is fine).
    pub earlier: Option<&'a Upload>,
}

/// How sending ended, when it was not refused. Either way the next step is a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The store said that it has the object now; and what it checked while it took it, where
    /// that is something which a look cannot show.
    Sent(Digests, Option<CheckedWrite>),
    /// The store said that an object is there already, or its answer was lost, or it cannot be
    /// understood. The text says which.
    Unclear(Digests, String),
}

/// Why nothing, or nothing whole, was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendFault {
    /// The store refused, or could not be reached.
    #[error(transparent)]
    Store(#[from] Fault),
    /// The original could not be read.
    #[error(transparent)]
    Staging(#[from] StagingFault),
    /// The original's bytes are not the announced ones.
    #[error("the original's SHA-256 is not the announced one")]
    DigestMismatch,
    /// The upload could not be remembered.
    #[error(transparent)]
    Ledger(#[from] LedgerFault),
    /// The lease ended before the request could be signed.
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
    /// As asked by [`Progress::pause`]; the upload stays open for whoever comes next.
    #[error("sending is paused: the process is ending")]
    Paused,
}

/// Puts copies into buckets, each created only if absent. Its sessions cannot delete.
#[async_trait]
pub trait Writers: Send + Sync {
    /// Sends the original in one pass: one PUT up to the part size, multipart above it.
    ///
    /// # Errors
    /// Nothing whole was sent; whatever was begun is harmless.
    async fn send(
        &self,
        destination: &Destination,
        outbound: Outbound<'_>,
    ) -> Result<SendOutcome, SendFault>;

    /// Gives up an upload in parts that nobody will go on with. Unknown there is fine, and where
    /// a store has no such thing nothing is done.
    ///
    /// # Errors
    /// It may still be open; the sweep of leftovers finds it.
    async fn give_up(
        &self,
        destination: &Destination,
        account: &AccountId,
        key: &ObjectKey,
        upload_id: &str,
    ) -> Result<(), Fault>;
}

/// What is at a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// An object.
    Present(Observed),
    /// Provably nothing: the destination said so to somebody who may know. A denial is neither
    /// this nor the other, but a [`Fault`].
    Absent,
}

/// Looks at copies. Its sessions can only read.
#[async_trait]
pub trait Lookers: Send + Sync {
    /// Asks what is at the key, in a new request, with the checksum.
    ///
    /// # Errors
    /// It could not be seen.
    async fn look(
        &self,
        destination: &Destination,
        account: &AccountId,
        key: &ObjectKey,
    ) -> Result<Look, Fault>;

    /// Reads the whole copy back under the observed etag and fills [`Observed::read_back`].
    ///
    /// # Errors
    /// It could not be read, or changed meanwhile.
    async fn read_back(
        &self,
        destination: &Destination,
        account: &AccountId,
        key: &ObjectKey,
        observed: Observed,
    ) -> Result<Observed, Fault>;
}

/// An upload that a bucket says is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenUpload {
    /// The key it would make.
    pub key: ObjectKey,
    /// The store's name for it.
    pub upload_id: String,
    /// When it was begun, by the store's clock.
    pub begun_at: DateTime<Utc>,
}

/// Open uploads in customers' buckets. Its sessions can list and abort uploads, and nothing else.
#[async_trait]
pub trait Leftovers: Send + Sync {
    /// The open uploads below the account's prefix, at most some thousands. Empty where a store
    /// has no such thing.
    ///
    /// # Errors
    /// They could not be listed.
    async fn open_uploads(
        &self,
        destination: &Destination,
        account: &AccountId,
    ) -> Result<Vec<OpenUpload>, Fault>;

    /// Aborts one. Unknown there is fine.
    ///
    /// # Errors
    /// It may still be open.
    async fn abort(
        &self,
        destination: &Destination,
        account: &AccountId,
        upload: &OpenUpload,
    ) -> Result<(), Fault>;
}
