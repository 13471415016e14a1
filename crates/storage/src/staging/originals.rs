//! Reading originals. Opened once; every read uses the same descriptor.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use recording::{Digests, Identity, Original, Originals, StagingFault, StagingPath};
use rustix::fd::OwnedFd;
use uuid::Uuid;

use super::blocking;
use super::buffers::Buffers;
use super::compare::{hash, identity, is_regular};
use super::faults::unavailable;
use super::root::{FILE, Root, beneath};

/// Originals in a folder. It can only read.
#[derive(Debug, Clone)]
pub struct LocalStaging {
    root: Arc<Root>,
    buffers: Arc<Buffers>,
}

impl LocalStaging {
    /// Staging in the folder `root`, whose marker must hold `staging_id`.
    ///
    /// # Errors
    /// [`StagingFault::Unavailable`] if the marker is not there or is another's.
    pub fn open(root: &Path, staging_id: Uuid) -> Result<Self, StagingFault> {
        let root = Root::new(root, staging_id);
        root.probe()?;
        Ok(Self {
            root: Arc::new(root),
            buffers: Arc::default(),
        })
    }
}

#[async_trait]
impl Originals for LocalStaging {
    async fn open(&self, path: &StagingPath) -> Result<Box<dyn Original>, StagingFault> {
        let staging = self.clone();
        let path = path.clone();
        let original =
            blocking(move || open(&staging, &path).map_err(|fault| staging.root.blame(fault)))
                .await?;
        Ok(Box::new(original))
    }

    async fn probe(&self) -> Result<(), StagingFault> {
        let root = Arc::clone(&self.root);
        blocking(move || root.probe()).await
    }
}

fn open(staging: &LocalStaging, path: &StagingPath) -> Result<LocalOriginal, StagingFault> {
    let root = &staging.root;
    let folder = root.account_folder(path)?;
    let file = beneath(&folder, path.below_account(), FILE).map_err(|e| root.fault(e))?;
    let stat = rustix::fs::fstat(&file).map_err(|errno| unavailable("fstat", errno))?;
    if !is_regular(&stat) {
        let what = "a folder, FIFO, socket or device is at the path";
        return Err(StagingFault::NotAPlainFile(what.to_owned()));
    }
    if stat.st_nlink != 1 {
        let what = format!("the file has {} names (hard links)", stat.st_nlink);
        return Err(StagingFault::NotAPlainFile(what));
    }
    Ok(LocalOriginal {
        root: Arc::clone(root),
        buffers: Arc::clone(&staging.buffers),
        file: Arc::new(file),
        identity: identity(&stat),
    })
}

struct LocalOriginal {
    /// Asked whose trouble a failure is.
    root: Arc<Root>,
    buffers: Arc<Buffers>,
    file: Arc<OwnedFd>,
    identity: Identity,
}

#[async_trait]
impl Original for LocalOriginal {
    fn identity(&self) -> Identity {
        self.identity.clone()
    }

    async fn read(&self, offset: u64, len: usize) -> Result<Bytes, StagingFault> {
        if len == 0 {
            return Ok(Bytes::new());
        }
        let (root, file) = (Arc::clone(&self.root), Arc::clone(&self.file));
        let buffers = Arc::clone(&self.buffers);
        blocking(move || match buffers.read(&*file, offset, len) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(StagingFault::Changed),
            Err(errno) => Err(root.blame(unavailable("the original cannot be read", errno))),
        })
        .await
    }

    async fn digests(&self) -> Result<Digests, StagingFault> {
        let (root, file) = (Arc::clone(&self.root), Arc::clone(&self.file));
        let size_bytes = self.identity.size_bytes;
        let digests = blocking(move || {
            hash(&*file, size_bytes)
                .map_err(|errno| root.blame(unavailable("the original cannot be read", errno)))
        })
        .await?;
        self.still_same().await?;
        if digests.size_bytes == size_bytes {
            Ok(digests)
        } else {
            Err(StagingFault::Changed)
        }
    }

    async fn still_same(&self) -> Result<(), StagingFault> {
        let file = Arc::clone(&self.file);
        let stat = blocking(move || {
            rustix::fs::fstat(&*file).map_err(|errno| unavailable("fstat", errno))
        })
        .await?;
        if identity(&stat) == self.identity {
            Ok(())
        } else {
            Err(StagingFault::Changed)
        }
    }
}
