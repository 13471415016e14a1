//! The simulated buckets: objects created only if absent, uploads in parts, answers that lie, and
//! customers who do as they please.

mod look;
mod write;

use std::collections::BTreeMap;
use std::time::Duration;

use recording::{Crc64Nvme, Digests, Sha256};
use sha2::Digest;

use super::mutant::Mutant;
use super::oracle;
use super::truth::{Flaw, Place};
use super::world::World;

pub(crate) use look::LookPort;
pub(crate) use write::WritePort;

/// One object.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    /// What is stored.
    pub(crate) content: Vec<u8>,
    /// What was sent, for a destination that lies about it.
    pub(crate) sent: Vec<u8>,
    /// Entity tag.
    pub(crate) etag: String,
    /// Version.
    pub(crate) version: Option<String>,
    /// Metadata.
    pub(crate) metadata: BTreeMap<String, String>,
    /// Whether we wrote it.
    pub(crate) ours: bool,
}

/// An upload in parts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Upload {
    /// What arrived so far.
    pub(crate) parts: BTreeMap<usize, Vec<u8>>,
}

/// One bucket.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// Whose it is; the platform's own is nobody's, its keys begin with the account.
    pub(crate) owner: Option<String>,
    /// Its objects.
    pub(crate) objects: BTreeMap<String, Object>,
    /// What was at each key when it was first ours, for a mutant that looks no more.
    pub(crate) once: BTreeMap<String, Object>,
    /// Uploads that are not complete.
    pub(crate) uploads: BTreeMap<String, Upload>,
    /// Until when everything is denied.
    pub(crate) denied_until: Duration,
    /// Whether it reports checksums.
    pub(crate) reports_checksum: bool,
}

/// What a store answers to a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It has it now.
    Yes,
    /// Something is at the key already.
    Exists,
    /// It may not be written.
    Denied,
    /// There is no such upload.
    NoUpload,
}

/// One write.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    /// Where.
    pub(crate) place: Place,
    /// What.
    pub(crate) content: Vec<u8>,
    /// With what.
    pub(crate) metadata: BTreeMap<String, String>,
    /// Whose file it came from.
    pub(crate) source: u64,
}

/// Digests of a few bytes.
pub(crate) fn digests(content: &[u8]) -> Digests {
    let mut crc = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
    crc.update(content);
    Digests {
        size_bytes: u64::try_from(content.len()).unwrap_or(u64::MAX),
        sha256: Sha256::new(sha2::Sha256::digest(content).into()),
        crc64nvme: Crc64Nvme::new(crc.finalize()),
    }
}

/// A write arrives.
pub(crate) fn put(world: &mut World, write: Write) -> Answer {
    let (bucket, key) = write.place.clone();
    let now = world.now();
    let seq = world.seq;
    let overwrites = world.mutated(Mutant::OverwritingBucket);
    let Some(store) = world.buckets.get(&bucket) else {
        world.violate(format!("a write to a bucket that nobody named: {bucket}"));
        return Answer::Denied;
    };
    if store.denied_until > now {
        return Answer::Denied;
    }
    let exists = store.objects.contains_key(&key);
    if exists && !overwrites {
        return Answer::Exists;
    }
    if !world.calm && world.dice.chance(world.mix.loses) {
        world.say(format_args!("  {bucket}/{key}: yes, and nothing is stored"));
        return Answer::Yes;
    }
    let mut content = write.content.clone();
    if !world.calm && !content.is_empty() && world.dice.chance(world.mix.damages) {
        if world.dice.coin() {
            content.pop();
        } else if let Some(byte) = content.first_mut() {
            *byte ^= 0x80;
        }
        world.say(format_args!("  {bucket}/{key}: yes, and it is damaged"));
        world.truth.flaw_object(&key, Flaw::Damaged);
    }
    oracle::written(world, &write, exists);
    let object = Object {
        content,
        sent: write.content,
        etag: format!("e{seq}"),
        version: world.mix.keeps_versions.then(|| format!("v{seq}")),
        metadata: write.metadata,
        ours: true,
    };
    world.say(format_args!("  {bucket}/{key}: stored as {}", object.etag));
    if let Some(store) = world.buckets.get_mut(&bucket) {
        store
            .once
            .entry(key.clone())
            .or_insert_with(|| object.clone());
        store.objects.insert(key, object);
    }
    Answer::Yes
}

/// A customer deletes or overwrites one of the copies. `false`: there is none.
pub(crate) fn customer_acts(world: &mut World, overwrites: bool) -> bool {
    let places: Vec<Place> = world
        .buckets
        .iter()
        .flat_map(|(name, bucket)| bucket.objects.keys().map(|key| (name.clone(), key.clone())))
        .collect();
    let most = u64::try_from(places.len()).unwrap_or(0);
    let index = usize::try_from(world.dice.below(most)).unwrap_or(0);
    let Some(place) = places.into_iter().nth(index) else {
        return false;
    };
    let seq = world.seq;
    let (bucket, key) = &place;
    let verb = if overwrites { "overwrites" } else { "deletes" };
    world.say(format_args!("the customer {verb} {bucket}/{key}"));
    world.truth.count(format!("customer {verb}"));
    let foreign = world.dice.coin();
    if let Some(store) = world.buckets.get_mut(bucket) {
        if overwrites {
            if let Some(object) = store.objects.get_mut(key) {
                object.content = b"something else".to_vec();
                object.sent = object.content.clone();
                object.etag = format!("e{seq}");
                object.ours = false;
                if foreign {
                    object.metadata.clear();
                }
            }
        } else {
            store.objects.remove(key);
        }
    }
    let flaw = if overwrites {
        Flaw::Overwritten
    } else {
        Flaw::Deleted
    };
    world.truth.flaw_object(key, flaw);
    world.truth.touched.insert(place.clone(), seq);
    true
}
