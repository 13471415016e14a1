//! Deleting originals out of a bucket. An entry of this trash is the object at its path, known to
//! be the copied one; nothing ever lies anywhere else.

use async_trait::async_trait;
use recording::{
    Erasable, Erasers, Identity, Moved, OriginalRemains, RecordingKey, Releasable, SoughtOriginal,
    StagingFault, StagingPath, Trash, TrashEntry,
};
use uuid::Uuid;

use super::BucketStaging;
use super::entries::{Copied, Standing};
use super::marked::Marked;
use super::proof::{self, Unproven};

/// Deletes originals in a bucket. It cannot read them for anybody.
#[derive(Debug, Clone)]
pub struct BucketTrash {
    marked: Marked,
}

impl BucketTrash {
    /// The trash of a staging whose marker must hold `staging_id`.
    ///
    /// # Errors
    /// [`StagingFault::Unavailable`] if the marker is not there or is another's.
    pub async fn open(staging: &BucketStaging, staging_id: Uuid) -> Result<Self, StagingFault> {
        let marked = Marked::open(staging, staging_id).await?;
        Ok(Self { marked })
    }

    /// Shows, on objects of our own below `.callferry/`, that the bucket deletes only what a
    /// deletion names. To be asked once, before the first original is deleted.
    ///
    /// # Errors
    /// [`Unproven::Ignored`] of a bucket that deletes all the same; nothing must be deleted there.
    pub async fn prove_conditions(&self) -> Result<(), Unproven> {
        proof::prove(&self.marked.staging).await
    }
}

#[async_trait]
impl Trash for BucketTrash {
    async fn find(&self, _: &RecordingKey) -> Result<Vec<TrashEntry>, StagingFault> {
        Ok(Vec::new())
    }

    async fn list(&self, _: u64, _: usize) -> Result<Vec<TrashEntry>, StagingFault> {
        Ok(Vec::new())
    }

    async fn take_over(&self, _: TrashEntry, _: Uuid) -> Result<Option<TrashEntry>, StagingFault> {
        Ok(None)
    }

    async fn move_in(
        &self,
        path: &StagingPath,
        permission: &Releasable,
    ) -> Result<Moved, StagingFault> {
        if path != permission.path() {
            return Err(refused("the permission is for another path"));
        }
        let copied = Copied::of(&self.marked, permission)?;
        Ok(match self.marked.standing(&copied).await? {
            Standing::Copied(seen) => Moved::Moved(TrashEntry {
                key: permission.key().clone(),
                token: permission.token(),
                compared: copied.unless_known(&seen),
            }),
            Standing::Other => Moved::NotTheSame,
            Standing::Absent => Moved::Absent,
        })
    }

    async fn compare(
        &self,
        entry: &TrashEntry,
        permission: &Releasable,
    ) -> Result<Option<TrashEntry>, StagingFault> {
        let copied = Copied::of(&self.marked, permission)?;
        Ok(match self.marked.standing(&copied).await? {
            Standing::Copied(seen) => Some(TrashEntry {
                compared: copied.unless_known(&seen),
                ..entry.clone()
            }),
            Standing::Other | Standing::Absent => None,
        })
    }

    async fn in_place(
        &self,
        path: &StagingPath,
        identity: &Identity,
    ) -> Result<bool, StagingFault> {
        let staging = &self.marked.staging;
        match staging.shared.reach.look(&staging.key(path)).await {
            Ok(Some(seen)) => Ok(seen.odd.is_none() && seen.identity() == *identity),
            Ok(None) => self.marked.probe().await.map(|()| false),
            Err(fault) => Err(self.marked.blame(fault).await),
        }
    }

    /// It never left its path.
    async fn put_back(&self, _: &TrashEntry, _: &StagingPath) -> Result<bool, StagingFault> {
        Ok(true)
    }

    async fn unlink(&self, entry: TrashEntry, permission: Releasable) -> Result<(), StagingFault> {
        if (&entry.key, entry.token) != (permission.key(), permission.token()) {
            return Err(refused("the permission is for another entry"));
        }
        let copied = Copied::of(&self.marked, &permission)?;
        let done = self.marked.delete(&copied, entry.compared.as_ref()).await;
        // One look permits one deletion: the permission ends here, whatever came of it.
        drop(permission);
        match done? {
            true => Ok(()),
            false => Err(StagingFault::Changed),
        }
    }

    async fn probe(&self) -> Result<(), StagingFault> {
        self.marked.probe().await
    }
}

#[async_trait]
impl Erasers for BucketTrash {
    async fn erase(&self, permission: Erasable) -> Result<u32, StagingFault> {
        self.marked.erase(&permission).await
    }

    async fn left(&self, original: &SoughtOriginal) -> Result<OriginalRemains, StagingFault> {
        self.marked.left(original).await
    }
}

fn refused(why: &str) -> StagingFault {
    StagingFault::Unreadable(format!("refused to delete: {why}"))
}
