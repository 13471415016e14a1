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
type Counted = Box<dyn Fn() -> Vec<(&'static str, u64)> + Send>;

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
    counted: BTreeMap<String, Counted>,
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

    /// A part with counters of its own, for `/metrics`.
    pub(crate) fn count(
        &self,
        part: &str,
        how: impl Fn() -> Vec<(&'static str, u64)> + Send + 'static,
    ) {
        self.parts().counted.insert(part.to_owned(), Box::new(how));
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

    /// The same and the parts' counters, in Prometheus' text format.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from(
            "# HELP callferry_part_ready Whether a part of the process does its work.\n\
             # TYPE callferry_part_ready gauge\n",
        );
        for (part, seen) in self.report().parts {
            let line = format!(
                "callferry_part_ready{{part=\"{part}\"}} {}\n",
                u8::from(seen.ok)
            );
            text.push_str(&line);
        }
        let mut families: BTreeMap<&str, String> = BTreeMap::new();
        for (part, how) in &self.parts().counted {
            for (name, count) in how() {
                let line = format!("callferry_broker_{name}{{part=\"{part}\"}} {count}\n");
                families.entry(name).or_default().push_str(&line);
            }
        }
        for (name, lines) in families {
            let kind = if name.ends_with("_total") {
                "counter"
            } else {
                "gauge"
            };
            text.push_str(&format!("# TYPE callferry_broker_{name} {kind}\n{lines}"));
        }
        text
    }
}
