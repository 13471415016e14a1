//! The customers' buckets as two powers, each with sessions of its own: writing (without
//! deleting) and looking.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use crate::{
    AccountId, Destination, Digests, Fault, Fence, LeaseLost, LedgerFault, ObjectKey, Observed,
    Original, Sha256, StagingFault,
};

/// Bytes that moved, as the keeper of a lease sees them: no bytes, no renewal.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    bytes: Arc<AtomicU64>,
    waits: Arc<AtomicU64>,
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
}

/// Remembers a multipart upload in the ledger before its first part is sent.
#[async_trait]
pub trait Begun: Send + Sync {
    /// Writes the upload id into the row, fenced by the lease.
    ///
    /// # Errors
    /// [`SendFault::Ledger`] or [`SendFault::LeaseLost`]; the upload is then aborted.
    async fn begun(&self, upload_id: &str) -> Result<(), SendFault>;
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
    /// Told of a multipart upload before its first part.
    pub uploads: &'a dyn Begun,
    /// An upload that an earlier claim left open; aborted first (unknown there is fine).
    pub abandoned_upload: Option<&'a str>,
}

/// How sending ended, when it was not refused. Either way the next step is a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The store said that it has the object now.
    Sent(Digests),
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
