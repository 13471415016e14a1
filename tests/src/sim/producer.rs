//! Producers: recorders that write files and publish events, mostly as they should.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use recording::{Queue, RecordingKey};
use serde_json::json;
use tokio::time::sleep;

use super::bucket::digests;
use super::dice::Dice;
use super::side::nap;
use super::truth::{Flaw, Subject};
use super::world::{Sim, World};

/// What is odd about a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Oddity {
    /// Nothing.
    Plain,
    /// The file appears after its event.
    Late,
    /// The file is complete only after its event.
    Growing,
    /// The file is replaced at some time.
    Replaced,
    /// The file is written to at some time.
    Rewritten,
    /// The event announces more or fewer bytes.
    WrongSize,
    /// The event announces another digest.
    WrongDigest,
    /// The file is a link.
    Link,
    /// Another event has the same id, and another file.
    Conflict,
    /// It takes over the path of the recording before it, once the ledger took its event.
    Reuses,
    /// It takes over the path of the recording before it as soon as nothing is there.
    Shares,
}

/// One recording's producer.
#[derive(Debug, Clone)]
pub(crate) struct Producer {
    /// Which subject.
    pub(crate) index: usize,
    /// What is odd.
    pub(crate) oddity: Oddity,
    /// When it begins.
    pub(crate) start: Duration,
    /// How many times the event is published.
    pub(crate) copies: u64,
    /// Whether the event names the digest.
    pub(crate) digest: bool,
}

impl Oddity {
    /// An oddity, of those that a person or the roles must deal with.
    pub(crate) fn drawn(dice: &mut Dice) -> Self {
        let odd = [
            Self::Late,
            Self::Growing,
            Self::Replaced,
            Self::Rewritten,
            Self::WrongSize,
            Self::WrongDigest,
            Self::Link,
            Self::Conflict,
            Self::Reuses,
            Self::Reuses,
            Self::Shares,
        ];
        dice.pick(&odd, Self::Late)
    }

    /// What a person may be asked because of it.
    pub(crate) fn flaw(self) -> Option<Flaw> {
        match self {
            Self::Plain | Self::Late | Self::Growing | Self::Reuses => None,
            Self::Replaced => Some(Flaw::Replaced),
            Self::Rewritten => Some(Flaw::Rewritten),
            Self::WrongSize => Some(Flaw::WrongSize),
            Self::WrongDigest => Some(Flaw::WrongDigest),
            Self::Link => Some(Flaw::NotPlain),
            Self::Conflict => Some(Flaw::Conflict),
            Self::Shares => Some(Flaw::SharedPath),
        }
    }
}

/// A new subject: every recording's bytes are its own.
pub(crate) fn subject(dice: &mut Dice, account: &str, number: usize) -> Option<Subject> {
    let id = format!("rec-{number}");
    let mut content = format!("{account}/{id}:").into_bytes();
    let more = dice.pick(&[0_usize, 3, 20], 3);
    content.extend((0..more).map(|_| u8::try_from(dice.below(256)).unwrap_or(0)));
    if dice.below(12) == 0 {
        content.clear();
    }
    Some(Subject {
        key: RecordingKey {
            account_id: account.parse().ok()?,
            recording_id: id.parse().ok()?,
        },
        path: format!("{account}/2026/11/22/{id}.wav"),
        content,
        flaws: BTreeSet::new(),
        published: false,
    })
}

/// The event of a recording.
pub(crate) fn completed(subject: &Subject, path: &str, size: usize, sha: Option<String>) -> Bytes {
    let mut original = json!({ "path": path, "size_bytes": size });
    if let (Some(sha), Some(object)) = (sha, original.as_object_mut()) {
        object.insert("sha256".to_owned(), json!(sha));
    }
    let id = subject.key.recording_id.as_str();
    let event = json!({
        "specversion": "1.0", "id": format!("e-{id}"), "source": "urn:recorder:sim",
        "type": "callferry.recording.completed.v1", "subject": id,
        "time": "2026-11-22T10:00:00Z", "datacontenttype": "application/json",
        "data": {
            "recording_id": id, "account_id": subject.key.account_id,
            "interaction_id": "call-19", "kind": "call", "media_type": "audio/wav",
            "started_at": "2026-11-22T09:58:00Z", "completed_at": "2026-11-22T09:59:00Z",
            "original": original, "attributes": {"queue": "sales"},
        }
    });
    Bytes::from(event.to_string())
}

fn announce(world: &mut World, body: &Bytes) {
    world.apply(|world| {
        let body = body.clone();
        let number = world.broker.enqueue(Queue::Transfer, body, BTreeMap::new());
        world.say(format_args!("an event is published: #{number}"));
    });
}

fn create(world: &mut World, path: &str, content: Vec<u8>) {
    world.apply(|world| {
        let now = world.now();
        let replaced = world.files.create(path, content, now);
        world.say(format_args!("a file is at {path} (replaced: {replaced})"));
    });
}

/// The same length, other bytes, still this recording's own.
fn changed(content: &[u8]) -> Vec<u8> {
    let mut other = content.to_vec();
    match other.last_mut() {
        Some(byte) => *byte = byte.wrapping_add(1),
        None => other.push(1),
    }
    other
}

impl Producer {
    fn event(&self, subject: &Subject) -> Bytes {
        let real = subject.content.len();
        let size = match self.oddity {
            Oddity::WrongSize if self.digest => real.saturating_add(3),
            Oddity::WrongSize => real.saturating_sub(1).max(usize::from(real == 0)),
            Oddity::Plain
            | Oddity::Late
            | Oddity::Growing
            | Oddity::Replaced
            | Oddity::Rewritten
            | Oddity::WrongDigest
            | Oddity::Link
            | Oddity::Conflict
            | Oddity::Reuses
            | Oddity::Shares => real,
        };
        let sha = if self.oddity == Oddity::WrongDigest {
            Some(digests(b"other bytes").sha256.to_string())
        } else {
            let sha = digests(&subject.content).sha256.to_string();
            self.digest.then_some(sha)
        };
        completed(subject, &subject.path, size, sha)
    }

    /// Writes the file and publishes the event, and whatever else it does.
    pub(crate) async fn run(self, sim: Sim) {
        nap(self.start).await;
        let (subject, wait) = {
            let mut world = sim.world();
            let Some(subject) = world.truth.subjects.get(self.index).cloned() else {
                return;
            };
            let wait = world.dice.up_to(Duration::from_secs(600));
            (subject, wait)
        };
        let body = self.event(&subject);
        if self.oddity == Oddity::Reuses && !someone_has(&sim, &subject.path).await {
            return;
        }
        match self.oddity {
            Oddity::Late | Oddity::Reuses | Oddity::Shares => {}
            Oddity::Growing => {
                let half = subject.content.len() / 2;
                let first = subject.content.get(..half).unwrap_or_default().to_vec();
                create(&mut sim.world(), &subject.path, first);
            }
            Oddity::Link => {
                let mut world = sim.world();
                create(&mut world, &subject.path, subject.content.clone());
                world.files.make_link(&subject.path);
            }
            Oddity::Plain
            | Oddity::Replaced
            | Oddity::Rewritten
            | Oddity::WrongSize
            | Oddity::WrongDigest
            | Oddity::Conflict => {
                create(&mut sim.world(), &subject.path, subject.content.clone());
            }
        }
        if let Some(known) = sim.world().truth.subjects.get_mut(self.index) {
            known.published = true;
        }
        announce(&mut sim.world(), &body);
        tokio::join!(
            self.again(&sim, &body),
            self.afterwards(&sim, &subject, wait)
        );
        let mut world = sim.world();
        world.truth.producing = world.truth.producing.saturating_sub(1);
    }

    async fn again(&self, sim: &Sim, body: &Bytes) {
        for _ in 1..self.copies {
            let wait = sim.world().dice.up_to(Duration::from_secs(300));
            sleep(wait).await;
            announce(&mut sim.world(), body);
        }
    }

    async fn afterwards(&self, sim: &Sim, subject: &Subject, wait: Duration) {
        let path = &subject.path;
        match self.oddity {
            Oddity::Plain | Oddity::WrongSize | Oddity::WrongDigest | Oddity::Link => {}
            Oddity::Late => {
                sleep(wait).await;
                create(&mut sim.world(), path, subject.content.clone());
            }
            // What is empty does not grow: touching it later would be a second write.
            Oddity::Growing if subject.content.is_empty() => {}
            Oddity::Growing => {
                sleep(wait).await;
                rewrite(sim, path, subject.content.clone());
            }
            Oddity::Replaced => {
                sleep(wait).await;
                let other = changed(&subject.content);
                create(&mut sim.world(), path, other);
            }
            Oddity::Rewritten => {
                sleep(wait / 4).await;
                rewrite(sim, path, changed(&subject.content));
            }
            Oddity::Conflict => {
                sleep(wait / 4).await;
                let other = format!("{}-other.wav", path.trim_end_matches(".wav"));
                let content = changed(&subject.content);
                let event = completed(subject, &other, content.len(), None);
                create(&mut sim.world(), &other, content);
                announce(&mut sim.world(), &event);
            }
            // Its own row says that the path is its own now.
            Oddity::Reuses => {
                wait_and_create(sim, subject, |world, path| {
                    let mine = world.ledger.rows.contains_key(&subject.key);
                    mine && !world.files.paths.contains_key(path)
                })
                .await;
            }
            Oddity::Shares => {
                wait_and_create(sim, subject, |world, path| {
                    !world.files.paths.contains_key(path)
                })
                .await;
            }
        }
    }
}

fn rewrite(sim: &Sim, path: &str, content: Vec<u8>) {
    sim.world().apply(|world| {
        let now = world.now();
        let done = world.files.rewrite(path, content, now);
        world.say(format_args!("{path} is written to: {done}"));
    });
}

/// Waits until the path is somebody's: its producer cannot come before the one it comes after.
/// `false`: the run ended before.
async fn someone_has(sim: &Sim, path: &str) -> bool {
    loop {
        {
            let world = sim.world();
            let mut rows = world.ledger.rows.values();
            if rows.any(|row| row.announced.original.path.as_str() == path) {
                return true;
            }
            if world.over {
                return false;
            }
        }
        sleep(Duration::from_secs(3)).await;
    }
}

/// Waits for the path; a producer that waits has nothing else to do.
async fn wait_and_create(sim: &Sim, subject: &Subject, free: impl Fn(&World, &str) -> bool) {
    {
        let mut world = sim.world();
        world.truth.producing = world.truth.producing.saturating_sub(1);
    }
    loop {
        sleep(Duration::from_secs(3)).await;
        let mut world = sim.world();
        if world.over {
            return;
        }
        if free(&world, &subject.path) {
            create(&mut world, &subject.path, subject.content.clone());
            world.truth.producing = world.truth.producing.saturating_add(1);
            return;
        }
    }
}
