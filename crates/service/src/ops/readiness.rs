//! The parts of a process and how they are. Parts either report themselves ([`Readiness::note`])
//! or are asked when somebody wants to know ([`Readiness::ask`]); asking never waits.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// How a part is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Seen {
    /// Whether it does its work.
    ok: bool,
    /// In words.
    says: String,
}

impl Seen {
    /// It does its work.
    pub(crate) fn fine(says: impl Into<String>) -> Self {
        let says = says.into();
        Self { ok: true, says }
    }

    /// It does not, and why.
    pub(crate) fn down(why: impl Into<String>) -> Self {
        let says = why.into();
        Self { ok: false, says }
    }
}

type Asked = Box<dyn Fn() -> Seen + Send>;

/// Where the process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Life {
    /// Its parts are not all there yet.
    #[default]
    Starting,
    /// It works.
    Started,
    /// It takes on nothing new.
    Stopping,
}

#[derive(Default)]
struct Parts {
    life: Life,
    noted: BTreeMap<String, Seen>,
    asked: BTreeMap<String, Asked>,
}

/// All parts of one process.
#[derive(Default)]
pub(crate) struct Readiness(Mutex<Parts>);

/// What `/readyz` says.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// Whether every part does its work.
    pub(crate) ready: bool,
    /// Each part.
    parts: BTreeMap<String, Seen>,
}

impl Readiness {
    /// Plain data: whatever a panicking holder left is still whole.
    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A part reports itself. Returns whether it is another condition than before.
    pub(crate) fn note(&self, part: &str, seen: Seen) -> bool {
        let ok = seen.ok;
        let before = self.parts().noted.insert(part.to_owned(), seen);
        before.is_none_or(|before| before.ok != ok)
    }

    /// A part that is asked each time.
    pub(crate) fn ask(&self, part: &str, how: impl Fn() -> Seen + Send + 'static) {
        self.parts().asked.insert(part.to_owned(), Box::new(how));
    }

    /// Every part is there now.
    pub(crate) fn started(&self) {
        self.parts().life = Life::Started;
    }

    /// The process takes on nothing new.
    pub(crate) fn stopping(&self) {
        self.parts().life = Life::Stopping;
    }

    /// How everything is.
    pub(crate) fn report(&self) -> Report {
        let held = self.parts();
        let mut parts = held.noted.clone();
        parts.extend(held.asked.iter().map(|(part, how)| (part.clone(), how())));
        let process = match held.life {
            Life::Starting => Seen::down("starting"),
            Life::Started => Seen::fine("running"),
            Life::Stopping => Seen::down("stopping"),
        };
        parts.insert("process".to_owned(), process);
        let ready = parts.values().all(|seen| seen.ok);
        Report { ready, parts }
    }

    /// Each part and whether it does its work, for the metrics.
    pub(crate) fn parts_ready(&self) -> Vec<(String, bool)> {
        let parts = self.report().parts.into_iter();
        parts.map(|(part, seen)| (part, seen.ok)).collect()
    }
}
