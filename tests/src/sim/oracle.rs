//! The oracles: what must hold after every effect, judged by the world's own ground truth.
//!
//! - **I1** an unlinked original's bytes are in the right bucket, or its customer took them away
//!   after this very lease saw them there;
//! - **I2** a bucket, or a prefix of the platform's, holds bytes of its own account only;
//! - **I3** an acknowledgment names bytes that the bucket held when they were recorded, and the
//!   same id always says the same;
//! - **I4** a key is written once, and a recording has one object, but for one case: a request
//!   that was signed long before its recording was given another revision may still arrive at the
//!   old place, and make a second copy of the same bytes there;
//! - **I5** the ledger goes along legal transitions only, and a pin changes by a reroute alone;
//! - **I7** nothing is unlinked but bytes that were copied;
//! - **I8** nothing irrevocable is begun without a live lease;
//! - **I9** a recording is given another revision only where its old place was seen empty.
//!
//! **I6**, that everything comes to an end, is in [`super::settled`].

use recording::{AccountId, ObjectKey, RecordingKey, Rerouting, Stored, TrashEntry};
use serde_json::Value;
use uuid::Uuid;

use super::bucket::{Object, Write, bucket_of, digests};
use super::staging::EndedBy;
use super::truth::{Acknowledgment, Consumed, Place};
use super::world::World;

/// Where a recording's copy belongs, spelled out here and not taken from the domain.
pub(crate) fn place_of(world: &World, key: &RecordingKey) -> Option<Place> {
    let revision = world.truth.pins.get(key)?;
    let destination = world.ledger.destinations.get(revision)?;
    let lead = if destination.account_leads_key {
        format!("{}/", key.account_id)
    } else {
        String::new()
    };
    let name = format!("{lead}call/2026/11/22/{}.wav", key.recording_id);
    Some((bucket_of(destination), name))
}

fn content_at<'a>(world: &'a World, place: &Place) -> Option<&'a [u8]> {
    let object = world.buckets.get(&place.0)?.objects.get(&place.1)?;
    Some(&object.content)
}

/// What must hold after every effect.
pub(crate) fn after_effect(world: &mut World) {
    if world.over {
        return;
    }
    if let Some(illegal) = world.ledger.illegal.pop() {
        world.violate(format!("I5 {illegal}"));
        return;
    }
    let lost = world.truth.consumed.iter().find(|one| {
        content_at(world, &one.place) != Some(&*one.content)
            && !world.truth.touched_since(&one.place, one.seq)
    });
    if let Some(place) = lost.map(|one| one.place.clone()) {
        world.violate(format!("I1 neither original nor copy: {place:?}"));
        return;
    }
    let nameless = world
        .files
        .inodes
        .iter()
        .find(|(inode, file)| file.ended.is_none() && !world.files.has_name(**inode));
    if let Some(inode) = nameless.map(|(inode, _)| *inode) {
        world.violate(format!("I1 inode {inode} lost its last name by nobody"));
    }
}

/// A row's pin is set once, but for [`rerouted`].
pub(crate) fn pinned_once(world: &mut World, key: &RecordingKey) {
    let pinned = world.ledger.rows.get(key).and_then(|row| row.destination);
    if let Some(revision) = pinned {
        let first = *world.truth.pins.entry(key.clone()).or_insert(revision);
        if first != revision {
            world.violate(format!("I5 {key} was pinned to {first}, now to {revision}"));
        }
    }
}

/// A write is stored.
pub(crate) fn written(world: &mut World, write: &Write, exists: bool) {
    let (bucket, name) = &write.place;
    if exists {
        world.violate(format!("I4 {bucket}/{name} is overwritten"));
        return;
    }
    let account = world.files.inodes.get(&write.source);
    let account = account.map_or("nobody", |file| &file.account).to_owned();
    let owner = world.buckets.get(bucket).and_then(|b| b.owner.clone());
    let owner = owner.unwrap_or_else(|| name.split('/').next().unwrap_or_default().to_owned());
    if owner != account {
        world.violate(format!("I2 bytes of {account} are in {bucket}/{name}"));
        return;
    }
    let says = |what: &str| write.metadata.get(what).map(String::as_str);
    let claimed = (says("callferry-account"), says("callferry-recording"));
    let subjects = world.truth.subjects.iter();
    let mut keys = subjects.map(|subject| &subject.key);
    let key = keys.find(|key| {
        claimed
            == (
                Some(key.account_id.as_str()),
                Some(key.recording_id.as_str()),
            )
    });
    let Some(key) = key.cloned() else {
        world.violate(format!(
            "I2 {bucket}/{name} names no recording: {claimed:?}"
        ));
        return;
    };
    if place_of(world, &key).as_ref() != Some(&write.place) {
        if comes_late(world, &key, write) {
            world.truth.count("a second copy comes late");
            world.say(format_args!("  {key}: a second copy at its old place"));
        } else {
            world.violate(format!("I4 {key} does not belong at {bucket}/{name}"));
        }
        return;
    }
    let places = world.truth.places.entry(key.clone()).or_default();
    places.insert(write.place.clone());
    if places.len() > 1 {
        world.violate(format!("I4 {key} has more than one object"));
    }
}

/// Whether a write to an old place was signed before its recording was given another revision, and
/// so long before that no lease was live then.
fn comes_late(world: &World, key: &RecordingKey, write: &Write) -> bool {
    let quiet = world.mix.reroute_quiet;
    let moves = world.truth.moves.get(key);
    let mut from_there = moves
        .into_iter()
        .flatten()
        .filter(|(place, _)| *place == write.place);
    from_there
        .next_back()
        .is_some_and(|(_, at)| write.signed_at + quiet <= *at)
}

/// A recording was given another revision by a process that looked at its old place.
pub(crate) fn rerouted(world: &mut World, process: usize, wish: &Rerouting) {
    let key = &wish.key;
    // A row that waited for a destination is pinned before its next claim.
    world.truth.pins.entry(key.clone()).or_insert(wish.from);
    let (old, now) = (place_of(world, key), world.now());
    world.truth.pins.insert(key.clone(), wish.to);
    let (Some(old), Some(new)) = (old, place_of(world, key)) else {
        world.violate(format!("I9 {key} goes nowhere"));
        return;
    };
    if old == new {
        return;
    }
    let bucket = world.buckets.get(&old.0);
    let object = bucket.and_then(|store| store.objects.get(&old.1));
    let copy = object.filter(|object| object.ours);
    let seen_empty = world.truth.absences.get(&(process, old.clone())).copied();
    // What came after the look was on its way for long.
    let came_late = |object: &Object| {
        seen_empty.is_some_and(|seq| seq < object.landed)
            && object.signed_at + world.mix.reroute_quiet <= now
    };
    if copy.is_some_and(|object| !came_late(object)) {
        world.violate(format!(
            "I9 {key} is rerouted away from its copy at {old:?}"
        ));
        return;
    }
    if let Some(places) = world.truth.places.get_mut(key) {
        places.remove(&old);
    }
    let moves = world.truth.moves.entry(key.clone()).or_default();
    moves.push((old, now));
}

/// A row became stored.
pub(crate) fn recorded(world: &mut World, process: usize, stored: &Stored) {
    let key = &stored.announced().key;
    let receipt = stored.receipt();
    let Some(place) = place_of(world, key) else {
        world.violate(format!("I3 {key} is stored nowhere"));
        return;
    };
    let is_it = |content: &[u8]| {
        let found = digests(content);
        found.sha256 == receipt.sha256 && found.size_bytes == receipt.size_bytes
    };
    let there = content_at(world, &place).is_some_and(is_it);
    let saw = world.truth.looks.get(&(process, place.clone()));
    let taken_away = saw
        .into_iter()
        .flatten()
        .any(|seen| is_it(&seen.content) && world.truth.touched_since(&place, seen.seq));
    if !there && !taken_away {
        world.violate(format!(
            "I3 {key} is recorded as stored; {place:?} holds no such bytes"
        ));
        return;
    }
    world.truth.count("stored");
    let sha256 = receipt.sha256.to_string();
    let body = None;
    let acknowledgment = Acknowledgment {
        key: key.clone(),
        sha256,
        location: location_of(world, &place),
        body,
        arrived: 0,
    };
    let id = stored.acknowledgment_id();
    world
        .truth
        .acknowledgments
        .entry(id)
        .or_insert(acknowledgment);
}

/// A place as the world's own URL.
fn location_of(world: &World, (bucket, name): &Place) -> String {
    let has_blocks = world.buckets.get(bucket).is_some_and(|it| it.has_blocks);
    let store = if has_blocks { "az://simulated" } else { "s3:/" };
    format!("{store}/{bucket}/{name}")
}

/// An acknowledgment is published, or has arrived in the queue.
pub(crate) fn acknowledged(world: &mut World, body: &[u8], arrived: bool) {
    let event: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |at: &str| {
        event
            .pointer(at)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let id: Uuid = text("/id").parse().unwrap_or_default();
    let says = (
        text("/data/account_id"),
        text("/data/recording_id"),
        text("/data/receipt/sha256"),
        text("/data/location"),
    );
    let Some(known) = world.truth.acknowledgments.get_mut(&id) else {
        world.violate(format!("I3 an acknowledgment of nothing: {says:?}"));
        return;
    };
    let key = &known.key;
    let is = (
        key.account_id.as_str(),
        key.recording_id.as_str(),
        known.sha256.as_str(),
        known.location.as_str(),
    );
    if says != is {
        let wrong = format!("I3 an acknowledgment says {says:?}, recorded is {is:?}");
        world.violate(wrong);
        return;
    }
    if known.body.get_or_insert_with(|| body.to_vec()) != body {
        world.violate(format!("I3 acknowledgment {id} says two things"));
    } else if arrived {
        known.arrived = known.arrived.saturating_add(1);
    }
}

/// A PUT or complete is about to be signed.
pub(crate) fn signs(world: &mut World, process: usize, account: &AccountId, key: &ObjectKey) {
    let now = world.now();
    let name = key.as_str().rsplit('/').next().unwrap_or_default();
    let id = name.strip_suffix(".wav").unwrap_or_default();
    let rows = &world.ledger.rows;
    let row = rows
        .iter()
        .find(|(key, _)| key.account_id == *account && key.recording_id.as_str() == id);
    let held = row.and_then(|(_, row)| row.lease);
    let mine = held.is_some_and(|held| held.process == process && held.ends_at > now);
    if !mine && !world.over {
        world.violate(format!(
            "I8 a write of {key} is signed without a live lease"
        ));
    }
}

/// Whether a token's lease is live.
pub(crate) fn is_live(world: &World, key: &RecordingKey, token: Uuid) -> bool {
    let now = world.now();
    let held = world.ledger.rows.get(key).and_then(|row| row.lease);
    held.is_some_and(|held| held.token == token && held.ends_at > now)
}

/// An original is about to be moved or deleted under a token.
pub(crate) fn touches(world: &mut World, key: &RecordingKey, token: Uuid) {
    if !is_live(world, key, token) && !world.over {
        world.violate(format!(
            "I8 the original of {key} is touched without a live lease"
        ));
    }
}

/// An entry of the trash is about to lose its name.
pub(crate) fn unlinks(world: &mut World, entry: &TrashEntry) {
    let name = (entry.key.clone(), entry.token);
    let Some(inode) = world.files.trash.get(&name).map(|one| one.inode) else {
        return;
    };
    let content = world.files.content(inode);
    let key = &entry.key;
    let grant = world.truth.grants.get(&entry.token);
    let (Some(place), Some(grant)) = (place_of(world, key), grant) else {
        world.violate(format!("I1 {key} is unlinked without a lease or a place"));
        return;
    };
    let looks = world.truth.looks.get(&(grant.process, place.clone()));
    let mut looks = looks.into_iter().flatten();
    let look = looks.find(|seen| seen.seq > grant.seq && seen.content == content);
    let Some(seq) = look.map(|seen| seen.seq) else {
        world.violate(format!(
            "I1/I7 inode {inode} of {key} is unlinked; its bytes were not seen at {place:?}"
        ));
        return;
    };
    world.say(format_args!("  inode {inode} of {key} is unlinked"));
    if let Some(file) = world.files.inodes.get_mut(&inode) {
        file.ended = Some(EndedBy::Us);
    }
    world.truth.consumed.push(Consumed {
        place,
        content,
        seq,
    });
}

/// A row became released: its original must be gone.
pub(crate) fn released(world: &mut World, key: &RecordingKey) {
    let copy = world.ledger.rows.get(key).and_then(|row| row.copy.clone());
    let inode = copy.map(|copy| u64::try_from(copy.identity.inode).unwrap_or_default());
    if inode.is_some_and(|inode| world.files.has_name(inode)) {
        world.violate(format!(
            "I6 {key} is released and its original is still there"
        ));
    }
}
