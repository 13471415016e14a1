//! The issuer's keys as they are known now: read at the beginning and every few minutes, and once
//! more where a token names one that is not among them.
//!
//! **Retries.** An issuer that is away costs nothing but news: the last good keys stay. Tokens that
//! name unknown keys cause at most one reading in 30 s, whoever sends how many of them.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use recording::Clock;
use storage::KeySetSource;
use telemetry::{KeyReading, Metrics};
use tokio::sync::Mutex;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::jwks::{self, Algorithm, Key};

/// How often the keys are read anew: for so long a key that was withdrawn is believed.
const EVERY: Duration = Duration::from_secs(300);
/// The same while there are none.
const EVERY_WHILE_MISSING: Duration = Duration::from_secs(5);
/// The least between two readings that tokens cause.
const UNKNOWN_EVERY: Duration = Duration::from_secs(30);
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
    /// When they were read last, by the boot-time clock. Whoever holds it is the one who reads.
    read_at: Mutex<Option<Duration>>,
}

impl Keys {
    /// None yet.
    pub(crate) fn new(source: Source, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self {
            source,
            clock,
            metrics,
            known: RwLock::default(),
            read_at: Mutex::default(),
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

    /// Reads the keys, because a token names one that is not among them; not if they were read
    /// within the last 30 s. Who comes while somebody reads waits for the same answer.
    pub(super) async fn look_again(&self) {
        let mut read_at = self.read_at.lock().await;
        let now = self.clock.boot();
        if read_at.is_some_and(|at| now.saturating_sub(at) < UNKNOWN_EVERY) {
            return;
        }
        *read_at = Some(now);
        self.note(self.source.read().await);
    }

    /// Reads the keys now.
    ///
    /// # Errors
    /// In words; the last good ones stay.
    pub(crate) async fn read(&self) -> Result<(), String> {
        let mut read_at = self.read_at.lock().await;
        *read_at = Some(self.clock.boot());
        let read = self.source.read().await;
        let outcome = read.as_ref().map(drop).map_err(Clone::clone);
        self.note(read);
        outcome
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
                sleep(if there { EVERY } else { EVERY_WHILE_MISSING }).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = reading => {}
        }
    }
}
