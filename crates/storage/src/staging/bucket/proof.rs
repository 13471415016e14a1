//! Whether a bucket deletes only what a deletion names, shown on an object of our own.
//!
//! Some stores that speak S3 ignore `If-Match` on DELETE. There a deletion meant for the original
//! that was copied would delete whatever is at its path. So before the first original is deleted
//! the bucket must refuse a deletion under an entity tag that is not the object's, and carry out
//! one that is; and where it keeps versions, delete the one that was named and no other.

use bytes::Bytes;
use recording::{Fault, Operation, ParkReason};
use uuid::Uuid;

use super::BucketStaging;
use super::object::{Deleted, Entity, Put, Seen};
use super::reach::Reach;

/// An entity tag that no object has.
const NOBODYS: &str = "\"callferry-nobodys\"";

/// Why originals may not be deleted there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The bucket deleted what it was not asked to.
    #[error("the bucket deletes objects that a deletion does not name: {0}")]
    Ignored(&'static str),
    /// The bucket refused what the proof needs; the text says which request and how.
    #[error("the bucket cannot be asked to prove that it deletes only what is named: {0}")]
    Refused(String),
    /// The bucket could not be asked now.
    #[error("the bucket cannot be reached: {0}")]
    Unreachable(String),
}

impl From<Fault> for Unproven {
    fn from(fault: Fault) -> Self {
        let is_passing = matches!(
            fault.reason,
            ParkReason::DestinationUnreachable
                | ParkReason::Throttled
                | ParkReason::OutcomeUnknown
                | ParkReason::Interrupted
        );
        match is_passing {
            true => Self::Unreachable(fault.detail),
            false => Self::Refused(fault.detail),
        }
    }
}

/// An object of our own to try it on.
struct Trial<'a> {
    reach: &'a Reach,
    key: String,
}

/// See [`super::BucketTrash::prove_conditions`].
pub(super) async fn prove(staging: &BucketStaging) -> Result<(), Unproven> {
    let trial = Trial {
        reach: &staging.shared.reach,
        key: staging.own_key(&format!("probe-{}", Uuid::new_v4())),
    };
    let first = trial.put("one").await?;
    let wrong = Entity {
        tag: NOBODYS.to_owned(),
        version: None,
    };
    match trial.delete(&wrong).await? {
        Deleted::Changed => {}
        Deleted::Done | Deleted::Missing => {
            return Err(Unproven::Ignored("it ignores If-Match on DELETE"));
        }
        Deleted::Unclear(why) => return Err(Unproven::Unreachable(why)),
    }
    if trial.look().await?.as_ref() != Some(&first) {
        let why = "it refuses a deletion for its condition and deletes all the same";
        return Err(Unproven::Ignored(why));
    }
    if first.entity.version.is_some() {
        let second = trial.put("the other").await?;
        trial.deletes(&first.entity).await?;
        if trial.look().await?.as_ref() != Some(&second) {
            let why = "it deletes another version than the one that is named";
            return Err(Unproven::Ignored(why));
        }
        trial.deletes(&second.entity).await?;
    } else {
        trial.deletes(&first.entity).await?;
    }
    match trial.look().await? {
        None => Ok(()),
        Some(_) => Err(Unproven::Refused(
            "delete: it was carried out, and the object still is there".to_owned(),
        )),
    }
}

impl Trial<'_> {
    async fn put(&self, text: &'static str) -> Result<Seen, Unproven> {
        let put = self
            .reach
            .put(&self.key, Bytes::from_static(text.as_bytes()), false);
        match put.await? {
            Put::Done => {}
            Put::Taken => return Err(Unproven::Unreachable("put: taken".to_owned())),
        }
        let seen = self.look().await?;
        seen.ok_or_else(|| Unproven::Unreachable("look: what was put is not there".to_owned()))
    }

    async fn look(&self) -> Result<Option<Seen>, Unproven> {
        Ok(self.reach.look(&self.key).await?)
    }

    async fn delete(&self, entity: &Entity) -> Result<Deleted, Unproven> {
        Ok(self.reach.delete(&self.key, entity, None).await?)
    }

    async fn deletes(&self, entity: &Entity) -> Result<(), Unproven> {
        let name = Operation::Delete.as_str();
        match self.delete(entity).await? {
            Deleted::Done => Ok(()),
            Deleted::Changed | Deleted::Missing => Err(Unproven::Refused(format!(
                "{name}: it does not delete the object whose entity tag and version are named"
            ))),
            Deleted::Unclear(why) => Err(Unproven::Unreachable(why)),
        }
    }
}
