//! The issuer's keys as they are known now: read at the beginning and every few minutes, and once
//! more where a token names one that is not among them.
//!
//! **Retries.** An issuer that is away costs nothing but news: the last good keys stay. Tokens that
//! name unknown keys cause at most one reading in 30 s, whoever sends how many of them.
//!
//! **Who reads.** The keeper alone, once the process serves: a request only wishes and waits, so
//! that a client that goes away takes no reading with it that others wait for.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use recording::Clock;
use storage::KeySetSource;
use telemetry::{KeyReading, Metrics};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::jwks::{self, Algorithm, Key};

/// How often the keys are read anew: for so long a key that was withdrawn is believed.
const EVERY: Duration = Duration::from_secs(300);
/// The same while there are none.
const EVERY_WHILE_MISSING: Duration = Duration::from_secs(5);
/// The least between two readings that tokens cause.
const UNKNOWN_EVERY: Duration = Duration::from_secs(30);
/// How long a request waits for a reading at most; an address is given up sooner.
const WAIT_MAX: Duration = Duration::from_secs(15);
/// The largest file of keys, in bytes.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Where the keys are. An address is asked by `storage`'s operator client, which the design has
/// for everything that the operator names: one set-up of TLS, no redirects, and no second HTTP
/// client in this crate.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// In a file.
    File(PathBuf),
    /// At an address that publishes them.
    Address(KeySetSource),
}

impl Source {
    async fn read(&self) -> Result<Vec<Arc<Key>>, String> {
        match self {
            Self::File(path) => {
                let shown = path.display();
                let size = tokio::fs::metadata(path).await.map(|found| found.len());
                let text = match size {
                    Ok(0..=FILE_BYTES_MAX) => tokio::fs::read_to_string(path).await,
                    Ok(_) => return Err(format!("{shown} is too large to be a set of keys")),
                    Err(error) => Err(error),
                };
                let text = text.map_err(|error| format!("{shown}: {error}"))?;
                jwks::read(&text).map_err(|why| format!("{shown}: {why}"))
            }
            Self::Address(source) => {
                let text = source.read().await.map_err(|fault| fault.to_string())?;
                jwks::read(&text)
            }
        }
    }
}

/// The keys.
pub(crate) struct Keys {
    source: Source,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    known: RwLock<Vec<Arc<Key>>>,
    reading: Mutex<Reading>,
    /// A token names a key that is not known: the keeper is to read now.
    wanted: Notify,
    /// How many readings are over.
    over: watch::Sender<u64>,
}

/// The newest reading.
#[derive(Debug, Default)]
struct Reading {
    /// When it began, by the boot-time clock.
    began_at: Option<Duration>,
    /// Whether it is not over.
    runs: bool,
}

impl Keys {
    /// None yet.
    pub(crate) fn new(source: Source, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self {
            source,
            clock,
            metrics,
            known: RwLock::default(),
            reading: Mutex::default(),
            wanted: Notify::new(),
            over: watch::Sender::default(),
        }
    }

    /// Whether any token can be judged.
    pub(crate) fn are_there(&self) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        !known.is_empty()
    }

    /// The keys that a token of this header may be signed with. Without a key's id, and with
    /// several that would do, each is tried.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<Arc<Key>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().filter(|key| key.answers_to(id, algorithm));
        found.cloned().collect()
    }

    /// Has the keys read, because a token names one that is not among them, and waits for it; not
    /// if they were read within the last 30 s. Who comes while they are read waits for the same
    /// answer. Whoever stops waiting stops nothing.
    pub(super) async fn look_again(&self) {
        // Before the look at what runs: a reading that ends between the two is not missed.
        let mut over = self.over.subscribe();
        {
            let reading = self.reading();
            if !reading.runs {
                if self.is_recent(&reading) {
                    return;
                }
                self.wanted.notify_one();
            }
        }
        // Either it is over or it takes too long; what is known now decides in both cases.
        drop(timeout(WAIT_MAX, over.changed()).await);
    }

    /// Reads the keys now. At the beginning, and then by the keeper alone.
    ///
    /// # Errors
    /// In words; the last good ones stay.
    pub(crate) async fn read(&self) -> Result<(), String> {
        *self.reading() = Reading {
            began_at: Some(self.clock.boot()),
            runs: true,
        };
        let read = self.source.read().await;
        let outcome = read.as_ref().map(drop).map_err(Clone::clone);
        self.note(read);
        self.reading().runs = false;
        self.over.send_modify(|over| *over = over.wrapping_add(1));
        outcome
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it began so little ago that no token causes another.
    fn is_recent(&self, reading: &Reading) -> bool {
        let now = self.clock.boot();
        let since = reading.began_at.map(|at| now.saturating_sub(at));
        since.is_some_and(|since| since < UNKNOWN_EVERY)
    }

    /// Until a token names an unknown key, and the newest reading is not of just now: a wish that
    /// came while that one began is fulfilled by it.
    async fn wished(&self) {
        loop {
            self.wanted.notified().await;
            if !self.is_recent(&self.reading()) {
                return;
            }
        }
    }

    fn note(&self, read: Result<Vec<Arc<Key>>, String>) {
        match read {
            Ok(keys) => {
                self.metrics.http_keys_read(KeyReading::Ok);
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = keys;
            }
            Err(why) => {
                self.metrics.http_keys_read(KeyReading::Failed);
                tracing::warn!(error = why, "the keys of tokens cannot be read");
            }
        }
    }

    /// Reads them again and again until `stop` fires.
    pub(crate) async fn keep(&self, stop: CancellationToken) {
        let reading = async {
            loop {
                // What went wrong is logged and counted where it is noted.
                drop(self.read().await);
                let there = self.are_there();
                let every = if there { EVERY } else { EVERY_WHILE_MISSING };
                tokio::select! {
                    () = sleep(every) => {}
                    () = self.wished() => {}
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = reading => {}
        }
    }
}
