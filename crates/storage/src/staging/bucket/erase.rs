//! Erasing an original that nobody copied: what is at its path is looked at, and exactly that is
//! deleted. In a bucket with versions an older one may show then, which goes the same way.

use recording::{Erasable, Fault, OriginalRemains, ParkReason, StagingFault, StagingPath};

use super::marked::Marked;
use super::object::Deleted;

/// How many objects are deleted at one path at most: nobody writes there but the recorder.
const PASSES: u32 = 20;

impl Marked {
    /// See [`recording::Erasers::erase`].
    pub(super) async fn erase(&self, permission: &Erasable) -> Result<u32, StagingFault> {
        let path = permission.path();
        let account = path.as_str().split('/').next();
        if account != Some(permission.key().account_id.as_str()) {
            let what = "refused to delete: the path is another account's";
            return Err(StagingFault::Unreadable(what.to_owned()));
        }
        let (key, reach) = (self.staging.key(path), &self.staging.shared.reach);
        let mut deleted: u32 = 0;
        let mut unclear = None;
        for _ in 0..PASSES {
            let seen = match reach.look(&key).await {
                Ok(Some(seen)) => seen,
                Ok(None) => return self.probe().await.map(|()| deleted),
                Err(fault) => return Err(self.blame(fault).await),
            };
            if let Some(odd) = seen.odd {
                return Err(StagingFault::NotAPlainFile(odd.to_owned()));
            }
            // One whose answer was lost and that is there yet may go a moment later by itself:
            // the next sweep tells.
            if let Some(why) = unclear {
                let detail = format!("not known to be deleted: {why}");
                let fault = Fault::new(ParkReason::OutcomeUnknown, detail);
                return Err(self.blame(fault).await);
            }
            match reach
                .delete(&key, &seen.entity, Some(permission.fence()))
                .await
            {
                Ok(Deleted::Done) => deleted = deleted.saturating_add(1),
                Ok(Deleted::Missing | Deleted::Changed) => {}
                Ok(Deleted::Unclear(why)) => unclear = Some(why),
                Err(fault) => return Err(self.blame(fault).await),
            }
        }
        Err(StagingFault::Changed)
    }

    /// See [`recording::Erasers::left`].
    pub(super) async fn left(&self, path: &StagingPath) -> Result<OriginalRemains, StagingFault> {
        let key = self.staging.key(path);
        let at_path = match self.staging.shared.reach.look(&key).await {
            Ok(Some(_)) => true,
            Ok(None) => self.probe().await.map(|()| false)?,
            Err(fault) => return Err(self.blame(fault).await),
        };
        Ok(OriginalRemains {
            at_path,
            in_trash: 0,
        })
    }
}
