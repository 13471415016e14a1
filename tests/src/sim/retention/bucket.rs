//! Buckets that keep versions, deny, lock, and lose answers.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta};
use recording::{
    AccountId, CopyOf, Destination, Fault, Leftovers, OpenUpload, ParkReason, Remains, Removable,
    Removal, Removers,
};

use super::RetentionMutant;
use super::world::{Life, Lying, Weather, World};

/// What one process reaches.
pub(super) struct Bucket(pub(super) Life);

fn lost() -> Fault {
    Fault::new(ParkReason::DestinationUnreachable, "no answer")
}

impl World {
    fn denies(&self, copy: &CopyOf) -> bool {
        let until = self.denied_until.get(copy.key.account_id.as_str());
        until.is_some_and(|until| *until > self.now())
    }

    fn at_key(&self, copy: &CopyOf) -> Option<(usize, Vec<Lying>)> {
        let number = *self.index.get(&copy.key)?;
        Some((number, self.keys.get(number)?.clone()))
    }
}

impl Bucket {
    /// Deletes a version, unless the store refuses. In the instant of the signature the request is
    /// as good as there.
    fn deleted(&self, copy: &CopyOf, number: usize, one: &Lying) -> Option<Result<Removal, Fault>> {
        let mut world = self.0.shared.world();
        if world.denies(copy) {
            let denied = Fault::new(ParkReason::AccessDenied, "delete: 403 AccessDenied");
            return Some(Err(denied));
        }
        if one.locked_until > world.now() {
            let until = i64::try_from(one.locked_until).unwrap_or(i64::MAX / 2000);
            let until = DateTime::UNIX_EPOCH + TimeDelta::seconds(until);
            return Some(Ok(Removal::Locked(Some(until), "locked".to_owned())));
        }
        world.about_to_delete(number, one);
        if let Some(lying) = world.keys.get_mut(number) {
            lying.retain(|other| other != one);
        }
        None
    }
}

#[async_trait]
impl Removers for Bucket {
    async fn remove(&self, removable: &Removable) -> Result<Removal, Fault> {
        if self.0.request().await != Weather::Fine {
            return Err(lost());
        }
        let copy = removable.copy();
        let Some((number, listed)) = self.0.shared.world().at_key(copy) else {
            return Ok(Removal::Asked(0));
        };
        let sweeping = self.0.shared.world().mutated(RetentionMutant::Sweeping);
        let mut deleted = 0;
        for one in listed.into_iter().filter(|one| one.ours || sweeping) {
            if removable.fence().check().is_err() {
                return Err(Fault::new(ParkReason::Interrupted, "the lease is over"));
            }
            if let Some(ended) = self.deleted(copy, number, &one) {
                return ended;
            }
            let answer = self.0.request().await;
            if answer != Weather::Fine {
                return Ok(Removal::Unclear("no answer".to_owned()));
            }
            deleted += 1;
        }
        Ok(Removal::Asked(deleted))
    }

    async fn remains(&self, copy: &CopyOf) -> Result<Remains, Fault> {
        let weather = self.0.request().await;
        let world = self.0.shared.world();
        if weather != Weather::Fine || world.denies(copy) {
            return match world.mutated(RetentionMutant::Blind) {
                true => Ok(Remains::default()),
                false => Err(lost()),
            };
        }
        let listed = world.at_key(copy).map(|(_, listed)| listed);
        let listed = listed.unwrap_or_default();
        let ours = listed.iter().filter(|one| one.ours).count();
        Ok(Remains {
            versions: u32::try_from(ours).unwrap_or(u32::MAX),
            others: listed.len() > ours,
            versioned: true,
        })
    }
}

/// Nothing is sent in parts here.
#[async_trait]
impl Leftovers for Bucket {
    async fn open_uploads(
        &self,
        _destination: &Destination,
        _account: &AccountId,
    ) -> Result<Vec<OpenUpload>, Fault> {
        match self.0.request().await {
            Weather::Fine => Ok(Vec::new()),
            Weather::FailsBefore | Weather::FailsAfter => Err(lost()),
        }
    }

    async fn abort(
        &self,
        _destination: &Destination,
        _account: &AccountId,
        _upload: &OpenUpload,
    ) -> Result<(), Fault> {
        Ok(())
    }
}
