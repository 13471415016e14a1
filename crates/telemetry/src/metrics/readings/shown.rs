//! The families that are filled from what parts of the process say when somebody scrapes.

use prometheus::proto::MetricFamily;

use super::{DeliveryCounts, OutsideReadings};
use crate::metrics::family::{Builder, Family, Read, number};
use crate::metrics::words::{Confirm, Connections, Side};

/// Sessions with the broker, and what was published on them.
struct Sessions {
    sessions: Read<Side>,
    opened: Read<Side>,
    lost: Read<Side>,
    blocked: Read<()>,
    confirms: Read<Confirm>,
}

impl Sessions {
    fn new(build: &mut Builder) -> Self {
        Self {
            sessions: build.read_gauges(Family::new(
                "broker_sessions",
                "0 or 1",
                "Whether every part of the process that consumes or publishes has its session.",
            )),
            opened: build.read_counters(Family::new(
                "broker_sessions_opened_total",
                "sessions",
                "Sessions opened with the broker.",
            )),
            lost: build.read_counters(Family::new(
                "broker_sessions_lost_total",
                "sessions",
                "Sessions with the broker that ended without being asked to.",
            )),
            blocked: build.read_gauges(Family::new(
                "broker_blocked",
                "0 or 1",
                "Whether the broker blocks publishing.",
            )),
            confirms: build.read_counters(Family::new(
                "broker_confirms_total",
                "messages",
                "Messages published, by what became of them.",
            )),
        }
    }

    fn fill(&self, now: &OutsideReadings) -> Vec<MetricFamily> {
        vec![
            self.sessions.filled(|side| flag(now.sessions(side).live)),
            self.opened.filled(|side| number(now.sessions(side).opened)),
            self.lost.filled(|side| number(now.sessions(side).lost)),
            self.blocked.filled(|()| flag(now.blocked)),
            self.confirms
                .filled(|result| number(now.confirms.of(result))),
        ]
    }
}

fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

/// Deliveries from the broker.
struct Deliveries {
    unsettled: Read<()>,
    deliveries: Read<()>,
    acks: Read<()>,
    requeues: Read<()>,
    quarantined: Read<()>,
    too_late: Read<()>,
    panics: Read<()>,
    give_backs: Read<()>,
}

impl Deliveries {
    fn new(build: &mut Builder) -> Self {
        Self {
            unsettled: build.read_gauges(Family::new(
                "broker_unsettled",
                "deliveries",
                "Deliveries in hand that the broker has not been told the end of.",
            )),
            deliveries: build.read_counters(Family::new(
                "broker_deliveries_total",
                "deliveries",
                "Deliveries handed to a handler.",
            )),
            acks: build.read_counters(Family::new(
                "broker_acks_total",
                "deliveries",
                "Deliveries acked.",
            )),
            requeues: build.read_counters(Family::new(
                "broker_requeues_total",
                "deliveries",
                "Deliveries given back to the broker, for whatever reason.",
            )),
            quarantined: build.read_counters(Family::new(
                "broker_quarantined_total",
                "deliveries",
                "Deliveries published to quarantine and then acked.",
            )),
            too_late: build.read_counters(Family::new(
                "broker_settled_too_late_total",
                "deliveries",
                "Settlements after the end of their session; the broker delivers those again.",
            )),
            panics: build.read_counters(Family::new(
                "broker_handler_panics_total",
                "deliveries",
                "Handlers that panicked.",
            )),
            give_backs: build.read_counters(Family::new(
                "broker_give_backs_total",
                "times",
                "Times that everything was given back because the outside is down.",
            )),
        }
    }

    fn fill(&self, now: &DeliveryCounts) -> Vec<MetricFamily> {
        vec![
            self.unsettled.filled(|()| number(now.unsettled)),
            self.deliveries.filled(|()| number(now.handed)),
            self.acks.filled(|()| number(now.acked)),
            self.requeues.filled(|()| number(now.requeued)),
            self.quarantined.filled(|()| number(now.quarantined)),
            self.too_late.filled(|()| number(now.too_late)),
            self.panics.filled(|()| number(now.panics)),
            self.give_backs.filled(|()| number(now.give_backs)),
        ]
    }
}

/// What the process has of its own: connections to the ledger, and memory.
struct Own {
    connections: Read<Connections>,
    waiting: Read<()>,
    budget: Read<()>,
    budget_used: Read<()>,
}

impl Own {
    fn new(build: &mut Builder) -> Self {
        Self {
            connections: build.read_gauges(Family::new(
                "ledger_connections",
                "connections",
                "Connections to the ledger, and the most there may be.",
            )),
            waiting: build.read_gauges(Family::new(
                "ledger_waiting",
                "statements",
                "Statements that wait for a connection to the ledger.",
            )),
            budget: build.read_gauges(Family::new(
                "byte_budget_bytes",
                "bytes",
                "Memory for bytes that are read and not yet sent.",
            )),
            budget_used: build.read_gauges(Family::new(
                "byte_budget_used_bytes",
                "bytes",
                "How much of the byte budget is in use.",
            )),
        }
    }

    fn fill(&self, now: &OutsideReadings) -> Vec<MetricFamily> {
        let pool = now.ledger.unwrap_or_default();
        let budget = now.byte_budget.unwrap_or_default();
        vec![
            self.connections.filled(|state| number(pool.of(state))),
            self.waiting.filled(|()| number(pool.waiting)),
            self.budget.filled(|()| number(budget.bytes)),
            self.budget_used.filled(|()| number(budget.used_bytes)),
        ]
    }
}

/// All families.
pub(super) struct Families {
    sessions: Sessions,
    deliveries: Deliveries,
    own: Own,
}

impl Families {
    pub(super) fn new(build: &mut Builder) -> Self {
        Self {
            sessions: Sessions::new(build),
            deliveries: Deliveries::new(build),
            own: Own::new(build),
        }
    }

    pub(super) fn fill(&self, now: &OutsideReadings) -> Vec<MetricFamily> {
        let mut made = self.sessions.fill(now);
        made.extend(self.deliveries.fill(&now.deliveries));
        made.extend(self.own.fill(now));
        made
    }
}
