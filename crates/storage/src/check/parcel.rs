//! A probe object on its way: what the senders of recordings take, around bytes in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use recording::{
    AccountId, Clock, Digests, Fence, Identity, ObjectKey, Original, Outbound, Part, Progress,
    SendFault, StagingFault, Upload, UploadLog,
};

use crate::digest::Hashing;

/// What the small probe says to whoever finds it.
pub(super) const SMALL: &str =
    "callferry checked here that it can store recordings. This object may be deleted.\n";
/// Longer than a check may take.
const LEASE: Duration = Duration::from_secs(120);

/// A probe.
pub(super) struct Parcel {
    account: AccountId,
    pub(super) key: ObjectKey,
    original: InMemory,
    fence: Fence,
    progress: Progress,
    uploads: Forgotten,
}

impl Parcel {
    pub(super) fn new(
        account: &AccountId,
        key: ObjectKey,
        bytes: impl Into<Bytes>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        Self {
            account: account.clone(),
            key,
            original: InMemory(bytes.into()),
            fence: Fence::new(Arc::clone(clock), clock.boot(), LEASE),
            progress: Progress::default(),
            uploads: Forgotten,
        }
    }

    /// As the senders take it.
    pub(super) fn outbound(&self) -> Outbound<'_> {
        let note = "may be deleted".to_owned();
        Outbound {
            account: &self.account,
            key: &self.key,
            original: &self.original,
            size_bytes: self.original.identity().size_bytes,
            sha256: None,
            media_type: "text/plain",
            metadata: BTreeMap::from([("callferry-check".to_owned(), note)]),
            fence: &self.fence,
            progress: &self.progress,
            uploads: &self.uploads,
            earlier: None,
        }
    }

    /// The digests of its bytes.
    pub(super) fn digests(&self) -> Digests {
        self.original.hash()
    }
}

/// Bytes as an original.
struct InMemory(Bytes);

impl InMemory {
    fn hash(&self) -> Digests {
        let mut hashing = Hashing::new();
        hashing.update(&self.0);
        hashing.finish()
    }
}

#[async_trait]
impl Original for InMemory {
    fn identity(&self) -> Identity {
        Identity {
            size_bytes: u64::try_from(self.0.len()).unwrap_or(u64::MAX),
            mtime_ns: 0,
            inode: 0,
            entity: None,
        }
    }

    async fn read(&self, offset: u64, len: usize) -> Result<Bytes, StagingFault> {
        let begin = usize::try_from(offset).map_err(|_| StagingFault::Changed)?;
        let end = begin.checked_add(len).ok_or(StagingFault::Changed)?;
        if end > self.0.len() {
            return Err(StagingFault::Changed);
        }
        Ok(self.0.slice(begin..end))
    }

    async fn digests(&self) -> Result<Digests, StagingFault> {
        Ok(self.hash())
    }

    async fn still_same(&self) -> Result<(), StagingFault> {
        Ok(())
    }
}

/// Nobody goes on with a probe's upload: what is left of it is aborted by the check itself.
struct Forgotten;

#[async_trait]
impl UploadLog for Forgotten {
    async fn begun(&self, _: &Upload) -> Result<(), SendFault> {
        Ok(())
    }

    async fn landed(&self, _: Part) -> Result<(), SendFault> {
        Ok(())
    }
}
