//! The simulation's own ground truth: what was produced, what customers and producers did, which
//! lease looked at what. Oracles judge by this and never by the ledger's word.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use recording::{RecordingKey, RefusalReason};
use uuid::Uuid;

/// Something about a recording that is not the roles' doing, and that may keep it for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flaw {
    /// The producer put another file at the path.
    Replaced,
    /// The producer wrote into the file after publishing.
    Rewritten,
    /// The event announces another size.
    WrongSize,
    /// The event announces another digest.
    WrongDigest,
    /// A link is at the path.
    NotPlain,
    /// Another recording has the same path.
    SharedPath,
    /// Another event has the same id and other content.
    Conflict,
    /// The account is unknown, for good or for a while.
    UnknownAccount,
    /// The store damaged the copy and said yes.
    Damaged,
    /// The customer deleted the copy.
    Deleted,
    /// The customer overwrote the copy.
    Overwritten,
}

/// One recording, as the outside world means it.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// Which one.
    pub(crate) key: RecordingKey,
    /// Where its file is put.
    pub(crate) path: String,
    /// The bytes it means.
    pub(crate) content: Vec<u8>,
    /// What is wrong with it.
    pub(crate) flaws: BTreeSet<Flaw>,
    /// Whether its event was published.
    pub(crate) published: bool,
}

/// A lease that was granted, as the world saw it.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    /// To which process.
    pub(crate) process: usize,
    /// When, in the order of all effects.
    pub(crate) seq: u64,
}

/// What a process saw at a key.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// When, in the order of all effects.
    pub(crate) seq: u64,
    /// The bytes that were there.
    pub(crate) content: Vec<u8>,
}

/// An original that a process of ours unlinked.
#[derive(Debug, Clone)]
pub(crate) struct Consumed {
    /// Where its copy is.
    pub(crate) place: Place,
    /// Its bytes.
    pub(crate) content: Vec<u8>,
    /// When, in the order of all effects.
    pub(crate) seq: u64,
}

/// A bucket and a key in it.
pub(crate) type Place = (String, String);

/// A stored row whose acknowledgment may be published.
#[derive(Debug, Clone)]
pub(crate) struct Acknowledgment {
    /// Which recording.
    pub(crate) key: RecordingKey,
    /// SHA-256 of what the bucket held when it was recorded, in hexadecimal digits.
    pub(crate) sha256: String,
    /// Where it was, as a URL.
    pub(crate) location: String,
    /// The first body published under this id.
    pub(crate) body: Option<Vec<u8>>,
    /// How many times it reached the queue.
    pub(crate) arrived: u64,
}

/// Everything the world knows by itself.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// The recordings.
    pub(crate) subjects: Vec<Subject>,
    /// Bodies that are bad, and why.
    pub(crate) bad: Vec<(Vec<u8>, RefusalReason)>,
    /// Which revision a recording is pinned to.
    pub(crate) pins: BTreeMap<RecordingKey, i64>,
    /// Leases, by token.
    pub(crate) grants: BTreeMap<Uuid, Grant>,
    /// What each process saw at each key, where it saw something.
    pub(crate) looks: BTreeMap<(usize, Place), Vec<Seen>>,
    /// When each process last saw that a place was empty, and it was.
    pub(crate) absences: BTreeMap<(usize, Place), u64>,
    /// Recordings that were given another revision: from which place, and when.
    pub(crate) moves: BTreeMap<RecordingKey, Vec<(Place, Duration)>>,
    /// When a customer last touched a key.
    pub(crate) touched: BTreeMap<Place, u64>,
    /// Originals that we unlinked.
    pub(crate) consumed: Vec<Consumed>,
    /// Acknowledgments, by id.
    pub(crate) acknowledgments: BTreeMap<Uuid, Acknowledgment>,
    /// Producers that still have something to do.
    pub(crate) producing: usize,
    /// Where our own objects were created, by recording.
    pub(crate) places: BTreeMap<RecordingKey, BTreeSet<Place>>,
    /// Anything worth counting over many runs: outcomes, reasons, weather.
    pub(crate) seen: BTreeMap<String, u64>,
}

impl Truth {
    /// The recording with this key.
    pub(crate) fn subject(&self, key: &RecordingKey) -> Option<&Subject> {
        self.subjects.iter().find(|subject| subject.key == *key)
    }

    /// Marks the recording whose key's last part is in this object's name.
    pub(crate) fn flaw_object(&mut self, object: &str, flaw: Flaw) {
        for subject in &mut self.subjects {
            let name = format!("/{}.wav", subject.key.recording_id);
            if object.ends_with(&name) {
                subject.flaws.insert(flaw);
            }
        }
    }

    /// Counts something worth knowing over many runs.
    pub(crate) fn count(&mut self, what: impl Into<String>) {
        *self.seen.entry(what.into()).or_default() += 1;
    }

    /// Whether a customer touched the key after `seq`.
    pub(crate) fn touched_since(&self, place: &Place, seq: u64) -> bool {
        self.touched.get(place).is_some_and(|at| *at > seq)
    }
}
