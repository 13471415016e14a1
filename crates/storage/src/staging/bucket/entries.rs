//! What is at an original's path, held against what was copied, and its deletion.

use recording::{Digests, Fault, Fence, Identity, Releasable, StagingFault};

use super::marked::Marked;
use super::object::{Deleted, Entity, Seen};
use crate::exchange::digest_body;

/// What is at a path now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// The object that was copied, or one with the very same bytes.
    Copied(Seen),
    /// Another one.
    Other,
    /// Nothing that was copied is there (any more), and the marker was seen after that.
    Absent,
}

/// What was copied, and where it was.
#[derive(Debug)]
pub(super) struct Copied<'a> {
    key: String,
    identity: &'a Identity,
    digests: &'a Digests,
    fence: &'a Fence,
}

impl<'a> Copied<'a> {
    /// What the permission is for.
    ///
    /// # Errors
    /// The path is not the recording's account's.
    pub(super) fn of(marked: &Marked, permission: &'a Releasable) -> Result<Self, StagingFault> {
        let path = permission.path();
        let account = path.as_str().split('/').next();
        if account != Some(permission.key().account_id.as_str()) {
            let what = "refused to delete: the path is another account's";
            return Err(StagingFault::Unreadable(what.to_owned()));
        }
        Ok(Self {
            key: marked.staging.key(path),
            identity: permission.identity(),
            digests: permission.digests(),
            fence: permission.fence(),
        })
    }

    /// What the bucket called it, if it was read out of a bucket.
    fn entity(&self) -> Option<Entity> {
        Entity::remembered(self.identity.entity.as_deref()?)
    }

    /// What was found to be the copied one by its bytes; `None` if it is known by its identity.
    pub(super) fn unless_known(&self, seen: &Seen) -> Option<Identity> {
        Some(seen.identity()).filter(|identity| identity != self.identity)
    }
}

impl Marked {
    /// Looks at the path, and reads what is there only if it has the size and another identity.
    pub(super) async fn standing(&self, copied: &Copied<'_>) -> Result<Standing, StagingFault> {
        let reach = &self.staging.shared.reach;
        let seen = match reach.look(&copied.key).await {
            Ok(Some(seen)) => seen,
            Ok(None) => return self.gone().await,
            Err(fault) => return Err(self.blame(fault).await),
        };
        if seen.identity() == *copied.identity {
            return Ok(Standing::Copied(seen));
        }
        if seen.odd.is_none() && self.has_its_bytes(&seen, copied).await? {
            return Ok(Standing::Copied(seen));
        }
        // Of a version it is known for certain whether it still is there, whatever lies above it.
        match copied.entity() {
            Some(entity) if entity.version.is_some() => {
                match reach.look_at(&copied.key, &entity).await {
                    Ok(Some(_)) => Ok(Standing::Other),
                    Ok(None) => self.gone().await,
                    Err(fault) => Err(self.blame(fault).await),
                }
            }
            Some(_) | None => Ok(Standing::Other),
        }
    }

    async fn has_its_bytes(&self, seen: &Seen, copied: &Copied<'_>) -> Result<bool, StagingFault> {
        if seen.size_bytes != copied.digests.size_bytes {
            return Ok(false);
        }
        let reach = &self.staging.shared.reach;
        let read = match reach.read(&copied.key, &seen.entity, None).await {
            Ok(Some(answer)) => digest_body(answer, seen.size_bytes).await,
            Ok(None) => return Ok(false),
            Err(fault) => Err(fault),
        };
        match read {
            Ok(digests) => Ok(digests == *copied.digests),
            Err(fault) => Err(self.blame(fault).await),
        }
    }

    async fn gone(&self) -> Result<Standing, StagingFault> {
        self.probe().await.map(|()| Standing::Absent)
    }

    /// Deletes what was copied, and nothing else: what was `compared` with it a moment ago, or what
    /// its identity names. `false`: another object is there; it stays.
    pub(super) async fn delete(
        &self,
        copied: &Copied<'_>,
        compared: Option<&Identity>,
    ) -> Result<bool, StagingFault> {
        let remembered = copied.entity();
        let compared =
            compared.and_then(|identity| Entity::remembered(identity.entity.as_deref()?));
        let there = match (compared, &remembered) {
            (Some(compared), _) => compared,
            // The usual case needs no second look: the condition is the look.
            (None, Some(entity)) if entity.version.is_none() => entity.clone(),
            (None, _) => match self.standing(copied).await? {
                Standing::Copied(seen) => seen.entity,
                Standing::Other => return Ok(false),
                Standing::Absent => return Ok(true),
            },
        };
        if !self.delete_one(copied, &there).await? {
            return self.is_gone(copied).await;
        }
        // The same bytes were put over it again: the version that was copied would show now.
        match remembered {
            Some(entity) if entity.version.is_some() && entity != there => {
                self.delete_one(copied, &entity).await
            }
            Some(_) | None => Ok(true),
        }
    }

    /// A condition that is not met: by another object, which stays, or because none is there, of
    /// which some stores say the same.
    async fn is_gone(&self, copied: &Copied<'_>) -> Result<bool, StagingFault> {
        match self.staging.shared.reach.look(&copied.key).await {
            Ok(None) => self.probe().await.map(|()| true),
            Ok(Some(_)) => Ok(false),
            Err(fault) => Err(self.blame(fault).await),
        }
    }

    /// Deletes one object. `false`: it is another one now.
    async fn delete_one(&self, copied: &Copied<'_>, entity: &Entity) -> Result<bool, StagingFault> {
        let reach = &self.staging.shared.reach;
        match reach.delete(&copied.key, entity, Some(copied.fence)).await {
            Ok(Deleted::Done) => Ok(true),
            Ok(Deleted::Changed) => Ok(false),
            Ok(Deleted::Missing) => self.probe().await.map(|()| true),
            Ok(Deleted::Unclear(why)) => self.settle(copied, entity, why).await,
            Err(fault) => Err(self.blame(fault).await),
        }
    }

    /// It may have been deleted: a look tells. What is still there may go a moment later by the
    /// request whose answer was lost, so nothing but a new attempt settles it.
    async fn settle(
        &self,
        copied: &Copied<'_>,
        entity: &Entity,
        why: String,
    ) -> Result<bool, StagingFault> {
        match self.staging.shared.reach.look_at(&copied.key, entity).await {
            Ok(None) => self.probe().await.map(|()| true),
            Ok(Some(seen)) if seen.entity != *entity => Ok(false),
            Ok(Some(_)) => Err(self.blame(unknown(why)).await),
            Err(fault) => Err(self.blame(fault).await),
        }
    }
}

fn unknown(why: String) -> Fault {
    let detail = format!("not known to be deleted: {why}");
    Fault::new(recording::ParkReason::OutcomeUnknown, detail)
}
