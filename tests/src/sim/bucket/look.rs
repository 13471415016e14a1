//! Looking at copies.

use async_trait::async_trait;
use recording::{AccountId, Destination, Fault, Look, Lookers, ObjectKey, Observed, ParkReason};

use super::{Object, bucket_of, digests};
use crate::sim::call::{Call, Lost};
use crate::sim::mutant::Mutant;
use crate::sim::process::Role;
use crate::sim::side::Side;
use crate::sim::truth::{Place, Seen};
use crate::sim::world::World;

/// One process's looks.
pub(crate) struct LookPort(pub(crate) Side);

/// What a failed request to a store says.
pub(crate) fn unreachable(world: &mut World, lost: Lost) -> Fault {
    let reasons = [
        ParkReason::DestinationUnreachable,
        ParkReason::Throttled,
        ParkReason::OutcomeUnknown,
    ];
    let reason = world.dice.pick(&reasons, ParkReason::OutcomeUnknown);
    let wish = std::time::Duration::from_secs(world.dice.between(0, 40));
    Fault {
        reason,
        detail: format!("{lost:?}"),
        retry_after: (reason == ParkReason::Throttled).then_some(wish),
    }
}

pub(crate) fn denied() -> Fault {
    Fault::new(ParkReason::AccessDenied, "403")
}

fn object_at(world: &mut World, role: Role, place: &Place) -> Result<Option<Object>, Fault> {
    let now = world.now();
    let blind = world.mutated(Mutant::BlindCleanup) && role == Role::Cleanup;
    if world.mutated(Mutant::BlindReroute) && role == Role::Operator {
        return Ok(None);
    }
    let (bucket, key) = place;
    let Some(store) = world.buckets.get(bucket) else {
        return Err(Fault::new(ParkReason::BucketMissing, "404"));
    };
    if blind {
        return Ok(store.once.get(key).cloned());
    }
    if store.denied_until > now {
        return Err(Fault::new(store.refusal(), "403"));
    }
    Ok(store.objects.get(key).cloned())
}

fn look(world: &mut World, side: &Side, place: &Place) -> Result<Look, Fault> {
    let found = object_at(world, side.role, place)?;
    let seq = world.seq;
    // Ground truth: what is really there, whatever the looker is told.
    let (bucket, key) = place;
    let store = world.buckets.get(bucket);
    let really = store.and_then(|store| store.objects.get(key).cloned());
    let who = (side.process, place.clone());
    if let Some(object) = really {
        let content = object.content;
        let looks = world.truth.looks.entry(who).or_default();
        looks.push(Seen { seq, content });
    } else {
        world.truth.absences.insert(who, seq);
    }
    let Some(object) = found else {
        world.say(format_args!("  {key}: nothing"));
        return Ok(Look::Absent);
    };
    world.say(format_args!("  {key}: {}", object.etag));
    let trusting = world.mutated(Mutant::TrustedWrite) && side.role == Role::Transfer;
    let told = if trusting {
        digests(&object.sent)
    } else {
        digests(&object.content)
    };
    let store = world.buckets.get(bucket);
    let reports = trusting || store.is_some_and(|store| store.reports_checksum);
    Ok(Look::Present(Observed {
        size_bytes: told.size_bytes,
        crc64nvme: reports.then_some(told.crc64nvme),
        etag: object.etag,
        version_id: object.version,
        content_md5: object.content_md5,
        blocks: object.blocks,
        metadata: object.metadata,
        read_back: None,
    }))
}

#[async_trait]
impl Lookers for LookPort {
    async fn look(
        &self,
        destination: &Destination,
        _account: &AccountId,
        key: &ObjectKey,
    ) -> Result<Look, Fault> {
        let place = (bucket_of(destination), key.to_string());
        let side = self.0.clone();
        let looked = self
            .0
            .step(Call::Look, key, move |world| look(world, &side, &place))
            .await;
        match looked {
            Ok(answer) => answer,
            Err(lost) => Err(unreachable(&mut self.0.sim.world(), lost)),
        }
    }

    async fn read_back(
        &self,
        destination: &Destination,
        _account: &AccountId,
        key: &ObjectKey,
        observed: Observed,
    ) -> Result<Observed, Fault> {
        let place = (bucket_of(destination), key.to_string());
        let role = self.0.role;
        let read = self
            .0
            .step(Call::ReadBack, key, move |world| {
                let found = object_at(world, role, &place)?;
                match found.filter(|object| object.etag == observed.etag) {
                    Some(object) => Ok(Observed {
                        read_back: Some(digests(&object.content)),
                        ..observed
                    }),
                    None => Err(Fault::new(ParkReason::OutcomeUnknown, "it changed: 412")),
                }
            })
            .await;
        match read {
            Ok(answer) => answer,
            Err(lost) => Err(unreachable(&mut self.0.sim.world(), lost)),
        }
    }
}
