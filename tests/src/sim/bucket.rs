//! The simulated buckets: objects created only if absent, uploads in parts, answers that lie, and
//! customers who do as they please.

mod check;
mod leftovers;
mod look;
mod parts;
mod write;

use std::collections::BTreeMap;
use std::time::Duration;

use recording::{Block, CheckedWrite, Crc64Nvme, Destination, Digests, ParkReason, Sha256, Store};
use sha2::Digest;

use super::mutant::Mutant;
use super::oracle;
use super::truth::{Flaw, Place};
use super::world::World;

pub(crate) use check::CheckPort;
pub(crate) use leftovers::LeftoverPort;
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
    /// The server's own digest of what was sent whole, where the store keeps one.
    pub(crate) content_md5: Option<String>,
    /// The blocks it was put together from, where the store has such.
    pub(crate) blocks: Option<Vec<Block>>,
    /// When it came, in the order of all effects.
    pub(crate) landed: u64,
    /// When the request that made it was signed.
    pub(crate) signed_at: Duration,
}

/// An upload in parts.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenParts {
    /// What it would become.
    pub(crate) key: String,
    /// When it was begun.
    pub(crate) begun_at: Duration,
    /// What arrived so far, each under the entity tag that it was given.
    pub(crate) parts: BTreeMap<u32, (String, Vec<u8>)>,
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
    pub(crate) uploads: BTreeMap<String, OpenParts>,
    /// Blocks that are not committed, by key and block id: they belong to the name, not to an
    /// upload.
    pub(crate) blocks: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// Until when everything is denied.
    pub(crate) denied_until: Duration,
    /// Whether that is because our role is gone, rather than denied something.
    pub(crate) role_gone: bool,
    /// Whether strangers could assume our role: only a check minds.
    pub(crate) role_open: bool,
    /// Whether it reports checksums.
    pub(crate) reports_checksum: bool,
    /// Whether it is of the other cloud: it checks what is sent to it, and reports no checksum.
    pub(crate) has_blocks: bool,
}

impl Bucket {
    /// Why everything is denied.
    pub(crate) fn refusal(&self) -> ParkReason {
        if self.role_gone {
            ParkReason::RoleNotAssumable
        } else {
            ParkReason::AccessDenied
        }
    }
}

/// The name of a destination's bucket.
pub(crate) fn bucket_of(destination: &Destination) -> String {
    match &destination.store {
        Store::S3(s3) => s3.bucket.clone(),
        Store::Azure(azure) => azure.container.clone(),
    }
}

/// What a store answers to a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It has it now; and what it checked meanwhile, if it is a store that does.
    Yes(Option<CheckedWrite>),
    /// Something is at the key already.
    Exists,
    /// It may not be written; why.
    Denied(ParkReason),
    /// There is no such upload, or a part of it is missing.
    NoUpload,
    /// What arrived is not what was sent.
    Damaged,
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
    /// The blocks it is put together from.
    pub(crate) blocks: Option<Vec<Block>>,
    /// When it was signed.
    pub(crate) signed_at: Duration,
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
        return Answer::Denied(ParkReason::BucketMissing);
    };
    if store.denied_until > now {
        return Answer::Denied(store.refusal());
    }
    let has_blocks = store.has_blocks;
    let exists = store.objects.contains_key(&key);
    if exists && !overwrites {
        return Answer::Exists;
    }
    let etag = format!("e{seq}");
    let content_md5 =
        (has_blocks && write.blocks.is_none()).then(|| digests(&write.content).sha256.to_string());
    let checked = has_blocks.then(|| CheckedWrite {
        etag: etag.clone(),
        content_md5: content_md5.clone(),
        blocks: write.blocks.clone(),
    });
    if !world.calm && world.dice.chance(world.mix.loses) {
        world.say(format_args!("  {bucket}/{key}: yes, and nothing is stored"));
        return Answer::Yes(checked);
    }
    let mut content = write.content.clone();
    if !world.calm && !content.is_empty() && world.dice.chance(world.mix.damages) {
        if has_blocks {
            world.say(format_args!("  {bucket}/{key}: it is damaged, and refused"));
            return Answer::Damaged;
        }
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
        etag,
        content_md5,
        blocks: write.blocks,
        version: world.mix.keeps_versions.then(|| format!("v{seq}")),
        metadata: write.metadata,
        ours: true,
        landed: seq,
        signed_at: write.signed_at,
    };
    world.say(format_args!("  {bucket}/{key}: stored as {}", object.etag));
    if let Some(store) = world.buckets.get_mut(&bucket) {
        store
            .once
            .entry(key.clone())
            .or_insert_with(|| object.clone());
        store.blocks.remove(&key);
        store.objects.insert(key, object);
    }
    Answer::Yes(checked)
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
                object.content_md5 = None;
                object.blocks = None;
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
