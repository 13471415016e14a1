//! The trash: the only way an original is deleted.
//!
//! An original is first *moved*, then what was moved is compared with what was copied, and only
//! then unlinked: a file that took the path's place between the comparison and the deletion can
//! therefore not be deleted in its stead.

mod entries;
mod erase;
mod moves;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use recording::{
    Erasable, Erasers, Identity, Moved, OriginalRemains, RecordingKey, Releasable, SoughtOriginal,
    StagingFault, StagingPath, Trash, TrashEntry,
};
use uuid::Uuid;

use super::blocking;
use super::root::Root;

/// Originals in a folder, and the trash in it. It can move and delete, not read.
#[derive(Debug, Clone)]
pub struct LocalTrash {
    root: Arc<Root>,
}

impl LocalTrash {
    /// The trash of staging in the folder `root`, whose marker must hold `staging_id`.
    ///
    /// # Errors
    /// [`StagingFault::Unavailable`] if the marker is not there or is another's.
    pub fn open(root: &Path, staging_id: Uuid) -> Result<Self, StagingFault> {
        let root = Root::new(root, staging_id);
        root.probe()?;
        Ok(Self {
            root: Arc::new(root),
        })
    }

    /// Work on one recording: its failure is staging's only if staging itself does not answer.
    async fn on_one<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Root) -> Result<T, StagingFault> + Send + 'static,
    ) -> Result<T, StagingFault> {
        self.on_root(move |root| work(root).map_err(|fault| root.blame(fault)))
            .await
    }

    async fn on_root<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Root) -> Result<T, StagingFault> + Send + 'static,
    ) -> Result<T, StagingFault> {
        let root = Arc::clone(&self.root);
        blocking(move || work(&root)).await
    }
}

/// What a permission says, without being one: it can be handed to a blocking call.
#[derive(Debug, Clone)]
struct Copied {
    key: RecordingKey,
    token: Uuid,
    identity: Identity,
    digests: recording::Digests,
}

impl Copied {
    fn of(permission: &Releasable) -> Self {
        Self {
            key: permission.key().clone(),
            token: permission.token(),
            identity: permission.identity().clone(),
            digests: *permission.digests(),
        }
    }
}

#[async_trait]
impl Trash for LocalTrash {
    async fn find(&self, key: &RecordingKey) -> Result<Vec<TrashEntry>, StagingFault> {
        let key = key.clone();
        self.on_one(move |root| entries::find(root, &key)).await
    }

    async fn list(&self, older_than_s: u64, limit: usize) -> Result<Vec<TrashEntry>, StagingFault> {
        self.on_root(move |root| entries::list(root, older_than_s, limit))
            .await
    }

    async fn take_over(
        &self,
        entry: TrashEntry,
        token: Uuid,
    ) -> Result<Option<TrashEntry>, StagingFault> {
        self.on_one(move |root| moves::take_over(root, entry, token))
            .await
    }

    async fn move_in(
        &self,
        path: &StagingPath,
        permission: &Releasable,
    ) -> Result<Moved, StagingFault> {
        let path = path.clone();
        let copied = Copied::of(permission);
        self.on_one(move |root| moves::move_in(root, &path, &copied))
            .await
    }

    async fn compare(
        &self,
        entry: &TrashEntry,
        permission: &Releasable,
    ) -> Result<Option<TrashEntry>, StagingFault> {
        let entry = entry.clone();
        let copied = Copied::of(permission);
        self.on_one(move |root| entries::compare(root, entry, &copied))
            .await
    }

    async fn in_place(
        &self,
        path: &StagingPath,
        identity: &Identity,
    ) -> Result<bool, StagingFault> {
        let (path, identity) = (path.clone(), identity.clone());
        self.on_one(move |root| moves::in_place(root, &path, &identity))
            .await
    }

    async fn put_back(&self, entry: &TrashEntry, path: &StagingPath) -> Result<bool, StagingFault> {
        let entry = entry.clone();
        let path = path.clone();
        self.on_one(move |root| moves::put_back(root, &entry, &path))
            .await
    }

    async fn unlink(&self, entry: TrashEntry, permission: Releasable) -> Result<(), StagingFault> {
        let copied = Copied::of(&permission);
        let done = self
            .on_one(move |root| entries::unlink(root, &entry, &copied))
            .await;
        // One look permits one deletion: the permission ends here, whatever came of it.
        drop(permission);
        done
    }

    async fn probe(&self) -> Result<(), StagingFault> {
        self.on_root(Root::probe).await
    }
}

#[async_trait]
impl Erasers for LocalTrash {
    async fn erase(&self, permission: Erasable) -> Result<u32, StagingFault> {
        let wanted = erase::Wanted {
            original: permission.original().clone(),
            token: permission.token(),
            fence: permission.fence().clone(),
        };
        let done = self.on_one(move |root| erase::erase(root, &wanted)).await;
        // One grant permits one deletion: the permission ends here, whatever came of it.
        drop(permission);
        done
    }

    async fn left(&self, original: &SoughtOriginal) -> Result<OriginalRemains, StagingFault> {
        let original = original.clone();
        self.on_one(move |root| erase::left(root, &original)).await
    }
}
