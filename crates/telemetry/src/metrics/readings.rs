//! What parts of the process say about themselves when somebody scrapes: adapters count in
//! atomics of their own and know nothing of metrics; the service brings both together with
//! [`Metrics::watch`].

mod shown;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Metrics;
use super::family::{Builder, Family, OpenGauge};
use super::words::{Confirm, Connections, Side};
use shown::Families;

/// What one part says now. Several parts' readings are put together: counts are added, and a
/// side has its session only if each part that consumes or publishes has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutsideReadings {
    /// The session that consumes, of a part that does.
    pub consume: Option<Sessions>,
    /// The session that publishes, of a part that does.
    pub publish: Option<Sessions>,
    /// Whether the broker blocks publishing.
    pub blocked: bool,
    /// What became of messages that were published.
    pub confirms: ConfirmCounts,
    /// What consumers did with their deliveries.
    pub deliveries: DeliveryCounts,
    /// Connections to the ledger, of a part that has some.
    pub ledger: Option<LedgerPool>,
    /// Memory for bytes on their way, of a part that has some.
    pub byte_budget: Option<ByteBudget>,
}

/// Sessions with the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sessions {
    /// Whether there is one now.
    pub live: bool,
    /// How many were opened since the process began.
    pub opened: u64,
    /// How many of them ended without being asked to.
    pub lost: u64,
}

/// Deliveries since the process began, and those of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeliveryCounts {
    /// Handed to a handler.
    pub handed: u64,
    /// Acked.
    pub acked: u64,
    /// Given back to the broker.
    pub requeued: u64,
    /// Published to quarantine, and then acked.
    pub quarantined: u64,
    /// Settled after their session had ended; the broker delivers those again.
    pub too_late: u64,
    /// Handlers that panicked.
    pub panics: u64,
    /// Times that everything was given back because the outside is down.
    pub give_backs: u64,
    /// Handed to us and not settled, now.
    pub unsettled: u64,
}

/// Messages published since the process began, by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConfirmCounts {
    /// Confirmed.
    pub ok: u64,
    /// Returned as unroutable.
    pub returned: u64,
    /// Refused by the broker, or impossible to send.
    pub nacked: u64,
    /// No confirm in time, or publishing is blocked.
    pub timed_out: u64,
    /// No session, or it ended while waiting.
    pub disconnected: u64,
}

/// Connections to the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LedgerPool {
    /// Lent.
    pub in_use: u64,
    /// Open and not lent.
    pub idle: u64,
    /// The most there may be.
    pub max: u64,
    /// Statements that wait for one.
    pub waiting: u64,
}

/// Memory for bytes that were read from originals and are not sent yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ByteBudget {
    /// All of it, bytes.
    pub bytes: u64,
    /// What is in use, bytes.
    pub used_bytes: u64,
}

fn both<T>(one: Option<T>, other: Option<T>, put: impl FnOnce(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(put(one, other)),
        (one, other) => one.or(other),
    }
}

impl OutsideReadings {
    fn with(self, other: Self) -> Self {
        let sessions = |one: Sessions, other: Sessions| Sessions {
            live: one.live && other.live,
            opened: one.opened.saturating_add(other.opened),
            lost: one.lost.saturating_add(other.lost),
        };
        let pools = |one: LedgerPool, other: LedgerPool| LedgerPool {
            in_use: one.in_use.saturating_add(other.in_use),
            idle: one.idle.saturating_add(other.idle),
            max: one.max.saturating_add(other.max),
            waiting: one.waiting.saturating_add(other.waiting),
        };
        let budgets = |one: ByteBudget, other: ByteBudget| ByteBudget {
            bytes: one.bytes.saturating_add(other.bytes),
            used_bytes: one.used_bytes.saturating_add(other.used_bytes),
        };
        Self {
            consume: both(self.consume, other.consume, sessions),
            publish: both(self.publish, other.publish, sessions),
            blocked: self.blocked || other.blocked,
            confirms: self.confirms.with(other.confirms),
            deliveries: self.deliveries.with(other.deliveries),
            ledger: both(self.ledger, other.ledger, pools),
            byte_budget: both(self.byte_budget, other.byte_budget, budgets),
        }
    }

    fn sessions(&self, side: Side) -> Sessions {
        let sessions = match side {
            Side::Consume => self.consume,
            Side::Publish => self.publish,
        };
        sessions.unwrap_or_default()
    }
}

impl DeliveryCounts {
    fn with(self, other: Self) -> Self {
        Self {
            handed: self.handed.saturating_add(other.handed),
            acked: self.acked.saturating_add(other.acked),
            requeued: self.requeued.saturating_add(other.requeued),
            quarantined: self.quarantined.saturating_add(other.quarantined),
            too_late: self.too_late.saturating_add(other.too_late),
            panics: self.panics.saturating_add(other.panics),
            give_backs: self.give_backs.saturating_add(other.give_backs),
            unsettled: self.unsettled.saturating_add(other.unsettled),
        }
    }
}

impl ConfirmCounts {
    fn with(self, other: Self) -> Self {
        Self {
            ok: self.ok.saturating_add(other.ok),
            returned: self.returned.saturating_add(other.returned),
            nacked: self.nacked.saturating_add(other.nacked),
            timed_out: self.timed_out.saturating_add(other.timed_out),
            disconnected: self.disconnected.saturating_add(other.disconnected),
        }
    }

    fn of(self, result: Confirm) -> u64 {
        match result {
            Confirm::Ok => self.ok,
            Confirm::Returned => self.returned,
            Confirm::Nacked => self.nacked,
            Confirm::TimedOut => self.timed_out,
            Confirm::Disconnected => self.disconnected,
        }
    }
}

impl LedgerPool {
    fn of(self, connections: Connections) -> u64 {
        match connections {
            Connections::InUse => self.in_use,
            Connections::Idle => self.idle,
            Connections::Max => self.max,
        }
    }
}

type Watcher = Box<dyn Fn() -> OutsideReadings + Send + Sync>;
type Readiness = Box<dyn Fn() -> Vec<(String, bool)> + Send + Sync>;

/// Who is asked.
#[derive(Default)]
struct Asked {
    /// For what adapters counted.
    watchers: Vec<Watcher>,
    /// For how the parts are.
    readiness: Option<Readiness>,
}

/// Who is asked, shared between the process's metrics and the registry.
#[derive(Clone, Default)]
pub(crate) struct Watched(Arc<Mutex<Asked>>);

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} watched", self.asked().watchers.len())
    }
}

impl Watched {
    /// Whatever a panicking holder left is still whole.
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> OutsideReadings {
        let asked = self.asked();
        let readings = asked.watchers.iter().map(|watcher| watcher());
        readings.fold(OutsideReadings::default(), OutsideReadings::with)
    }

    fn parts(&self) -> Vec<(String, bool)> {
        let asked = self.asked();
        asked.readiness.as_ref().map_or_else(Vec::new, |ask| ask())
    }

    pub(crate) fn new(build: &mut Builder) -> prometheus::Result<Self> {
        build.part("Outside, as each process sees it at the moment");
        let from = build.declared.len();
        let families = Families::new(build);
        let parts = build.open_gauge(
            "part",
            "a part of the process, as `/readyz` names it",
            Family::new(
                "part_ready",
                "0 or 1",
                "Whether a part of the process does its work.",
            ),
        );
        let watched = Self::default();
        let asked = watched.clone();
        build.collect(from, move || {
            let mut made = families.fill(&asked.now());
            made.push(ready(&parts, &asked.parts()));
            made
        })?;
        Ok(watched)
    }
}

fn ready(gauge: &OpenGauge, parts: &[(String, bool)]) -> prometheus::proto::MetricFamily {
    let rows = parts.iter();
    gauge.filled(rows.map(|(part, ready)| (part.as_str(), f64::from(u8::from(*ready)))))
}

impl Metrics {
    /// Has a part of the process asked at each scrape. It must not wait, and must only ever
    /// raise what it counts.
    pub fn watch(&self, part: Box<dyn Fn() -> OutsideReadings + Send + Sync>) {
        self.watched.asked().watchers.push(part);
    }

    /// Has `readiness` asked at each scrape how the parts of the process are. Their names must be
    /// the service's own words. It replaces the one before, and must not wait.
    pub fn watch_parts(&self, readiness: Box<dyn Fn() -> Vec<(String, bool)> + Send + Sync>) {
        self.watched.asked().readiness = Some(readiness);
    }
}
