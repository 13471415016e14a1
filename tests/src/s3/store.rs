//! Buckets, objects and uploads on the local disk.
//!
//! Bytes lie in `blobs/<number>`, one file per PUT or part; an object is a list of such files, so
//! that completing an upload copies nothing. Everything else is an index in memory and a journal on
//! disk: one line per change, written before the change is made visible and before it is
//! acknowledged. Opening replays the journal. A process killed at any moment loses nothing it
//! acknowledged; a machine that loses power may (nothing is fsynced).

mod blob;
mod journal;
mod objects;
mod records;
mod state;
mod uploads;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use s3s::{S3Error, S3Result, s3_error};
use tokio_util::task::TaskTracker;

use super::clock::{locked, now_ms};

pub(crate) use blob::{BlobReader, BlobWriter};
use journal::Journal;
pub(crate) use objects::{Condition, Put};
use records::Entry;
pub(crate) use records::{Attributes, Checksum, ObjectRecord, PartRecord, UploadRecord};
use state::{Bucket, State};
pub(crate) use uploads::{CompletedPart, Completion, NewPart};

/// The version id of objects in buckets without versioning.
pub(crate) const NULL_VERSION: &str = "null";

/// Everything stored.
pub(crate) struct Store {
    blobs: PathBuf,
    next_blob: AtomicU64,
    inner: Mutex<Inner>,
    work: TaskTracker,
}

struct Inner {
    state: State,
    journal: Journal,
}

impl Store {
    /// Opens a data directory, empty or used before.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let blobs = root.join("blobs");
        fs::create_dir_all(&blobs)?;
        let mut state = State::default();
        let journal = Journal::open(&root.join("journal.jsonl"), |entry| {
            // What was freed then was unlinked then; leftovers are swept below.
            state.apply(entry);
        })?;
        let used = state.blobs();
        let mut next = 0;
        for file in fs::read_dir(&blobs)? {
            let file = file?;
            let name = file.file_name();
            let Some(number) = name.to_str().and_then(|name| name.parse::<u64>().ok()) else {
                continue;
            };
            next = next.max(number + 1);
            if !used.contains(&number) {
                fs::remove_file(file.path())?;
            }
        }
        Ok(Self {
            blobs,
            next_blob: AtomicU64::new(next),
            inner: Mutex::new(Inner { state, journal }),
            work: TaskTracker::new(),
        })
    }

    /// Runs work that touches the disk where it may block.
    pub(crate) async fn blocking<T, F>(self: &Arc<Self>, work: F) -> S3Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> S3Result<T> + Send + 'static,
    {
        let store = Arc::clone(self);
        let task = self.work.spawn_blocking(move || work(&store));
        match task.await {
            Ok(result) => result,
            Err(error) => Err(s3_error!(error, InternalError)),
        }
    }

    /// Waits until no work is running: after that the directory may be opened by somebody else.
    pub(crate) async fn settle(&self) {
        self.work.close();
        self.work.wait().await;
    }

    /// Makes a bucket; false when it exists.
    pub(crate) fn create_bucket(
        &self,
        name: &str,
        owner: &str,
        (versioned, locking): (bool, bool),
    ) -> io::Result<bool> {
        let mut inner = locked(&self.inner);
        if inner.state.buckets.contains_key(name) {
            return Ok(false);
        }
        self.commit(
            &mut inner,
            Entry::BucketMade {
                name: name.to_owned(),
                owner: owner.to_owned(),
                versioned,
                locking,
                made_ms: now_ms(),
            },
        )?;
        Ok(true)
    }

    /// Removes a bucket with all that is in it; false when there is none.
    pub(crate) fn delete_bucket(&self, name: &str) -> io::Result<bool> {
        let mut inner = locked(&self.inner);
        if !inner.state.buckets.contains_key(name) {
            return Ok(false);
        }
        let name = name.to_owned();
        self.commit(&mut inner, Entry::BucketGone { name })?;
        Ok(true)
    }

    /// Has a bucket keep versions from now on; false when there is none.
    pub(crate) fn keep_versions(&self, name: &str) -> io::Result<bool> {
        let mut inner = locked(&self.inner);
        if !inner.state.buckets.contains_key(name) {
            return Ok(false);
        }
        let name = name.to_owned();
        self.commit(&mut inner, Entry::VersionsKept { name })?;
        Ok(true)
    }

    /// The account that owns the bucket.
    pub(crate) fn owner(&self, bucket: &str) -> Option<String> {
        let inner = locked(&self.inner);
        let bucket = inner.state.buckets.get(bucket)?;
        Some(bucket.owner.clone())
    }

    /// Looks at a bucket under the lock.
    pub(crate) fn with_bucket<T>(
        &self,
        name: &str,
        look: impl FnOnce(&Bucket) -> T,
    ) -> S3Result<T> {
        let inner = locked(&self.inner);
        Ok(look(inner.state.bucket(name)?))
    }

    /// Makes everything in a bucket older, until the server is started again.
    pub(crate) fn age(&self, bucket: &str, by_ms: u64) {
        let mut inner = locked(&self.inner);
        let bucket = inner.state.buckets.get_mut(bucket);
        let versions = bucket.map(|bucket| bucket.objects.values_mut().flatten());
        for version in versions.into_iter().flatten() {
            let version = Arc::make_mut(version);
            version.modified_ms = version.modified_ms.saturating_sub(by_ms);
        }
    }

    fn blob_path(&self, number: u64) -> PathBuf {
        self.blobs.join(number.to_string())
    }

    fn new_blob(&self) -> u64 {
        self.next_blob.fetch_add(1, Ordering::Relaxed)
    }

    /// Journal first, then memory, then the files nobody needs any more.
    fn commit(&self, inner: &mut Inner, entry: Entry) -> io::Result<()> {
        inner.journal.append(&entry)?;
        for number in inner.state.apply(entry) {
            self.unlink(number);
        }
        Ok(())
    }

    fn unlink(&self, number: u64) {
        if let Err(error) = fs::remove_file(self.blob_path(number)) {
            tracing::warn!(blob = number, %error, "a freed blob could not be removed");
        }
    }
}

/// An input or output error as S3 reports its own troubles.
pub(crate) fn internal(error: io::Error) -> S3Error {
    s3_error!(error, InternalError)
}
