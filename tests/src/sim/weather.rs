//! The weather: what happens by itself while a run is stormy, and how it ends.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use recording::{Queue, Receipt};
use serde_json::json;
use tokio::time::sleep;

use super::bucket::customer_acts;
use super::call::Port;
use super::stage::{Later, set_destination, settle_later};
use super::world::{Sim, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Outage,
    Freeze,
    Kill,
    Stop,
    Cut,
    Delete,
    Overwrite,
    Deny,
    Revise,
    Forge,
    Nonsense,
}

fn possible(world: &World) -> Vec<Event> {
    let mix = &world.mix;
    let events = [
        (mix.outages, Event::Outage),
        (mix.freezes, Event::Freeze),
        (mix.kills, Event::Kill),
        (mix.kills, Event::Stop),
        (mix.cuts, Event::Cut),
        (mix.deletes, Event::Delete),
        (mix.overwrites, Event::Overwrite),
        (mix.denials, Event::Deny),
        (true, Event::Revise),
        (true, Event::Forge),
        (!world.truth.bad.is_empty(), Event::Nonsense),
    ];
    let on = events.into_iter().filter(|(on, _)| *on);
    on.map(|(_, event)| event).collect()
}

/// Blows until it is calm.
pub(crate) async fn blow(sim: Sim, later: Later) {
    let (mut bad, ends) = {
        let world = sim.world();
        (world.truth.bad.clone(), world.mix.chaos)
    };
    loop {
        let wait = {
            let mut world = sim.world();
            if world.now() >= ends || world.over {
                break;
            }
            let most = world.mix.weather;
            world.dice.up_to(most)
        };
        sleep(wait).await;
        let mut world = sim.world();
        let events = possible(&world);
        let event = world.dice.pick(&events, Event::Forge);
        world.truth.count(format!("weather {event:?}"));
        world.apply(|world| happen(world, event));
        if event == Event::Nonsense {
            publish_bad(&mut world, &mut bad);
        }
    }
    let mut world = sim.world();
    while !bad.is_empty() {
        publish_bad(&mut world, &mut bad);
    }
    world.calm = true;
    world.outages.clear();
    world.files.unmounted_until = Duration::ZERO;
    for bucket in world.buckets.values_mut() {
        bucket.denied_until = Duration::ZERO;
        bucket.role_open = false;
    }
    world.say(format_args!("calm"));
    settle_later(&mut world, later);
}

fn publish_bad(world: &mut World, bad: &mut Vec<(Vec<u8>, recording::RefusalReason)>) {
    if let Some((body, reason)) = bad.pop() {
        world
            .broker
            .enqueue(Queue::Transfer, Bytes::from(body), BTreeMap::new());
        world.say(format_args!("a bad event: {reason}"));
    }
}

fn anybody(world: &mut World) -> usize {
    let count = u64::try_from(world.processes.len()).unwrap_or(1);
    usize::try_from(world.dice.below(count)).unwrap_or(0)
}

fn happen(world: &mut World, event: Event) {
    match event {
        Event::Outage => outage(world),
        Event::Freeze => {
            let who = anybody(world);
            let most = world.dice.pick(&[20, 60, 400], 60);
            let time = world.dice.up_to(Duration::from_secs(most));
            world.freeze(who, time);
        }
        Event::Kill => {
            let who = anybody(world);
            world.crash(who);
        }
        Event::Stop => {
            let who = anybody(world);
            world.stop(who);
        }
        Event::Cut => {
            let who = anybody(world);
            world.say(format_args!("the session of process {who} is cut"));
            world.broker.cut(who);
        }
        Event::Delete | Event::Overwrite => {
            customer_acts(world, event == Event::Overwrite);
        }
        Event::Deny => deny(world),
        Event::Revise => {
            let (most, share) = if world.mix.reroutes { (9, 2) } else { (5, 4) };
            let number = world.ledger.destinations.len();
            if number < most && world.dice.below(share) == 0 {
                // Another bucket, or another credential for the first one.
                let bucket = if world.mix.reroutes && world.dice.below(4) == 0 {
                    "bucket-acme".to_owned()
                } else {
                    format!("bucket-acme-{number}")
                };
                set_destination(world, Some("acme"), &bucket);
            }
        }
        Event::Forge => forge(world),
        // Published by the caller, who knows which are left.
        Event::Nonsense => {}
    }
}

fn outage(world: &mut World) {
    let port = world.dice.pick(&Port::ALL, Port::Ledger);
    let most = world.dice.pick(&[10, 50, 200], 50);
    let until = world.now() + world.dice.up_to(Duration::from_secs(most));
    world.say(format_args!("{port:?} is down until {until:?}"));
    if port == Port::Staging {
        world.files.unmounted_until = until;
    } else {
        world.outages.insert(port, until);
    }
    if port == Port::Broker {
        for process in 0..world.processes.len() {
            world.broker.cut(process);
        }
    }
}

fn deny(world: &mut World) {
    let names: Vec<String> = world.buckets.keys().cloned().collect();
    let count = u64::try_from(names.len()).unwrap_or(0);
    let index = usize::try_from(world.dice.below(count)).unwrap_or(0);
    let most = world.dice.pick(&[60, 900], 60);
    let until = world.now() + world.dice.up_to(Duration::from_secs(most));
    let role_gone = world.dice.coin();
    let role_open = world.dice.coin();
    if let Some(name) = names.get(index) {
        world.say(format_args!(
            "{name} denies until {until:?} (role gone: {role_gone}, open: {role_open})"
        ));
        if let Some(bucket) = world.buckets.get_mut(name) {
            bucket.denied_until = until;
            bucket.role_gone = role_gone;
            bucket.role_open = role_open;
        }
    }
}

/// Somebody with access to the broker says that a copy is stored.
fn forge(world: &mut World) {
    let rows: Vec<_> = world.ledger.rows.values().cloned().collect();
    let count = u64::try_from(rows.len()).unwrap_or(0);
    let index = usize::try_from(world.dice.below(count)).unwrap_or(0);
    let Some(row) = rows.get(index) else {
        return;
    };
    let key = &row.announced.key;
    let now = world.wall();
    let receipt = row.copy.as_ref().map_or_else(
        || {
            let digests = super::bucket::digests(b"forged");
            Receipt {
                size_bytes: digests.size_bytes,
                sha256: digests.sha256,
                etag: "e1".to_owned(),
                version_id: None,
                checksum: format!("crc64nvme:{}", digests.crc64nvme),
                content_md5: None,
                method: recording::Method::ReportedChecksum,
                stored_at: now,
            }
        },
        |copy| Receipt {
            etag: "forged".to_owned(),
            ..copy.receipt.clone()
        },
    );
    let event = json!({
        "specversion": "1.0", "id": "forged", "source": "urn:stranger",
        "type": "callferry.recording.stored.v1",
        "data": {
            "account_id": key.account_id, "recording_id": key.recording_id, "receipt": receipt
        }
    });
    world.say(format_args!("an acknowledgment of {key} is forged"));
    let body = Bytes::from(event.to_string());
    world.broker.enqueue(Queue::Cleanup, body, BTreeMap::new());
}
