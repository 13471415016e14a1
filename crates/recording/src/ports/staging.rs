//! Staging as two powers: transfer reads originals, cleanup moves them into the trash and deletes
//! them there. They are separate traits so that transfer cannot even name a deletion.
//!
//! Staging is a folder or a bucket. A bucket cannot rename: there an entry of the trash is the
//! object itself, still at its path and known to be the copied one, and deleting it is one request
//! that the bucket carries out only if it still is. So nothing ever lies in a bucket's trash that
//! another lease could find, list, take over or put back.

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use crate::{Digests, Identity, RecordingKey, Releasable, StagingFault, StagingPath};

/// Opens originals for reading.
#[async_trait]
pub trait Originals: Send + Sync {
    /// Opens a plain file with one link beneath the account's folder, following no link.
    ///
    /// # Errors
    /// [`StagingFault::Absent`] is returned only if the staging marker was seen, in the root
    /// reopened by path, *after* the file was found missing; otherwise the root may merely be
    /// unmounted, which is [`StagingFault::Unavailable`].
    async fn open(&self, path: &StagingPath) -> Result<Box<dyn Original>, StagingFault>;

    /// Looks for the staging marker in the root reopened by path.
    ///
    /// # Errors
    /// [`StagingFault::Unavailable`] if it is not there or is another's.
    async fn probe(&self) -> Result<(), StagingFault>;
}

/// One open original. Every read uses the same descriptor.
#[async_trait]
pub trait Original: Send + Sync {
    /// The identity when it was opened.
    fn identity(&self) -> Identity;

    /// Reads exactly `len` bytes at `offset`.
    ///
    /// # Errors
    /// [`StagingFault::Changed`] if the file ends before that.
    async fn read(&self, offset: u64, len: usize) -> Result<Bytes, StagingFault>;

    /// Reads the whole file once and hashes it, without sending it anywhere; ends with
    /// [`Original::still_same`].
    ///
    /// # Errors
    /// As [`Original::read`] and [`Original::still_same`].
    async fn digests(&self) -> Result<Digests, StagingFault>;

    /// Compares the identity with the one when it was opened; called after the last read.
    ///
    /// # Errors
    /// [`StagingFault::Changed`] if it differs.
    async fn still_same(&self) -> Result<(), StagingFault>;
}

/// An original that lies in the trash under one lease's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrashEntry {
    /// Whose original it is.
    pub key: RecordingKey,
    /// The token in its name: only the holder of that lease may unlink it.
    pub token: Uuid,
    /// What it is now, where its bytes had to tell that it is what was copied: exactly this is
    /// deleted, and nothing is read again for it. `None`: not compared, or its identity told.
    pub compared: Option<Identity>,
}

/// What moving an original into the trash found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// It lies in the trash, and is the file that was copied.
    Moved(TrashEntry),
    /// Nothing was at the path (believed as in [`Originals::open`]).
    Absent,
    /// What was at the path is not the file that was copied; it was put back, or, where the path
    /// was taken again meanwhile, is kept in the trash.
    NotTheSame,
}

/// The trash: the only way an original is deleted.
#[async_trait]
pub trait Trash: Send + Sync {
    /// The entries of one recording, whoever's token they carry.
    ///
    /// # Errors
    /// Staging is unusable.
    async fn find(&self, key: &RecordingKey) -> Result<Vec<TrashEntry>, StagingFault>;

    /// Every entry older than `older_than_s` seconds, at most `limit`, for cleanup's timer.
    ///
    /// # Errors
    /// Staging is unusable.
    async fn list(&self, older_than_s: u64, limit: usize) -> Result<Vec<TrashEntry>, StagingFault>;

    /// Renames an entry that another lease left to carry `token`. `None`: somebody was faster.
    ///
    /// # Errors
    /// Staging is unusable.
    async fn take_over(
        &self,
        entry: TrashEntry,
        token: Uuid,
    ) -> Result<Option<TrashEntry>, StagingFault>;

    /// Moves the original at `path` into the trash under the permission's token, without
    /// replacing anything, makes both folders durable, and compares *what was moved* with what
    /// was copied: by identity, otherwise by SHA-256.
    ///
    /// # Errors
    /// Staging is unusable; the file is then at its path or in the trash, never gone.
    async fn move_in(
        &self,
        path: &StagingPath,
        permission: &Releasable,
    ) -> Result<Moved, StagingFault>;

    /// Compares an entry with what was copied, as [`Trash::move_in`] does. `None`: it is not that;
    /// otherwise the entry as it was found, for [`Trash::unlink`].
    ///
    /// # Errors
    /// Staging is unusable.
    async fn compare(
        &self,
        entry: &TrashEntry,
        permission: &Releasable,
    ) -> Result<Option<TrashEntry>, StagingFault>;

    /// Whether the file at `path` is, by identity, the one that was copied.
    ///
    /// # Errors
    /// Staging is unusable.
    async fn in_place(&self, path: &StagingPath, identity: &Identity)
    -> Result<bool, StagingFault>;

    /// Puts an entry back to `path` without replacing anything. `false`: the path is taken, the
    /// entry stays in the trash.
    ///
    /// # Errors
    /// Staging is unusable.
    async fn put_back(&self, entry: &TrashEntry, path: &StagingPath) -> Result<bool, StagingFault>;

    /// Deletes an entry. The permission is consumed; its key and token must be the entry's.
    /// Deleting what is no longer there is success.
    ///
    /// # Errors
    /// Staging is unusable, the permission is for something else, or, as
    /// [`StagingFault::Changed`], what is there is no longer what was copied: it stays.
    async fn unlink(&self, entry: TrashEntry, permission: Releasable) -> Result<(), StagingFault>;

    /// Looks for the staging marker in the root reopened by path.
    ///
    /// # Errors
    /// [`StagingFault::Unavailable`] if it is not there or is another's.
    async fn probe(&self) -> Result<(), StagingFault>;
}
