//! Erasing an original without a second look at a copy: what is at its path is looked at, held
//! against what is known of the original, and exactly that is deleted. In a bucket with versions
//! an older one may show then, which is looked at the same way.

use recording::{
    AtPath, Erasable, Fault, Judgment, KnownBy, OriginalRemains, ParkReason, SoughtOriginal,
    StagingFault,
};

use super::marked::Marked;
use super::object::{Deleted, Entity, Seen};
use crate::exchange::digest_body;

/// How many objects are deleted at one path at most: nobody writes there but the recorder.
const PASSES: u32 = 20;

impl Marked {
    /// See [`recording::Erasers::erase`].
    pub(super) async fn erase(&self, permission: &Erasable) -> Result<u32, StagingFault> {
        let original = permission.original();
        let account = original.path.as_str().split('/').next();
        if account != Some(original.key.account_id.as_str()) {
            let what = "refused to delete: the path is another account's";
            return Err(StagingFault::Unreadable(what.to_owned()));
        }
        let (key, reach) = (self.staging.key(&original.path), &self.staging.shared.reach);
        let mut deleted: u32 = 0;
        let mut unclear = None;
        for _ in 0..PASSES {
            let Some(seen) = self.its(&key, original).await? else {
                return self.probe().await.map(|()| deleted);
            };
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

    /// The object that is the original: the one that shows at the key, or, below another, the
    /// version that was copied.
    async fn its(
        &self,
        key: &str,
        original: &SoughtOriginal,
    ) -> Result<Option<Seen>, StagingFault> {
        match self.shown(key, original).await? {
            Some((seen, _)) if seen.odd.is_some() => Err(StagingFault::NotAPlainFile(
                seen.odd.unwrap_or_default().to_owned(),
            )),
            Some((seen, Judgment::Its)) => Ok(Some(seen)),
            Some((_, Judgment::Another | Judgment::Doubtful(_))) | None => {
                self.hidden(key, original).await
            }
        }
    }

    /// What shows at the key, and what it is. An odd object was not read.
    async fn shown(
        &self,
        key: &str,
        original: &SoughtOriginal,
    ) -> Result<Option<(Seen, Judgment)>, StagingFault> {
        let reach = &self.staging.shared.reach;
        let seen = match reach.look(key).await {
            Ok(Some(seen)) => seen,
            Ok(None) => return Ok(None),
            Err(fault) => return Err(self.blame(fault).await),
        };
        let judgment = match original.known_by.by_identity(&seen.identity()) {
            Some(judgment) => judgment,
            None if seen.odd.is_some() => Judgment::Another,
            None => {
                let read = match reach.read(key, &seen.entity, None).await {
                    Ok(Some(answer)) => digest_body(answer, seen.size_bytes).await,
                    Ok(None) => return Err(StagingFault::Changed),
                    Err(fault) => Err(fault),
                };
                match read {
                    Ok(digests) => original.known_by.by_bytes(&digests.sha256),
                    Err(fault) => return Err(self.blame(fault).await),
                }
            }
        };
        Ok(Some((seen, judgment)))
    }

    /// The version that was copied, wherever it lies.
    async fn hidden(
        &self,
        key: &str,
        original: &SoughtOriginal,
    ) -> Result<Option<Seen>, StagingFault> {
        let entity = match &original.known_by {
            KnownBy::Copy { identity, .. } => identity.entity.as_deref(),
            KnownBy::Event { .. } => None,
        };
        let entity = entity.and_then(Entity::remembered);
        let Some(entity) = entity.filter(|entity| entity.version.is_some()) else {
            return Ok(None);
        };
        match self.staging.shared.reach.look_at(key, &entity).await {
            Ok(seen) => Ok(seen.filter(|seen| seen.entity == entity)),
            Err(fault) => Err(self.blame(fault).await),
        }
    }

    /// See [`recording::Erasers::left`].
    pub(super) async fn left(
        &self,
        original: &SoughtOriginal,
    ) -> Result<OriginalRemains, StagingFault> {
        let key = self.staging.key(&original.path);
        let shown = match self.shown(&key, original).await? {
            None => AtPath::Nothing,
            Some((seen, _)) if seen.odd.is_some() => AtPath::It,
            Some((_, judgment)) => judgment.into(),
        };
        let at_path = match shown {
            AtPath::Nothing | AtPath::Another => match self.hidden(&key, original).await? {
                Some(_) => AtPath::It,
                None => self.probe().await.map(|()| shown)?,
            },
            AtPath::It | AtPath::Doubtful(_) => shown,
        };
        Ok(OriginalRemains {
            at_path,
            in_trash: 0,
        })
    }
}
