//! How deliveries ended, what was refused, what looked like an attack or a contradiction.

use prometheus::IntCounter;
use recording::{ParkReason, RefusalReason};

use super::Metrics;
use super::family::{Builder, Family, Series};
use super::outcome::Outcome;
use super::words::{Divergence, Suspicion};

/// The families.
#[derive(Debug)]
pub(crate) struct Outcomes {
    outcomes: Series<Outcome, IntCounter>,
    refused: Series<RefusalReason, IntCounter>,
    suspicious: Series<Suspicion, IntCounter>,
    divergence: Series<Divergence, IntCounter>,
    unconfirmed: IntCounter,
    lease_lost: IntCounter,
    leases_ran_out: IntCounter,
}

impl Outcomes {
    pub(crate) fn new(build: &mut Builder) -> prometheus::Result<Self> {
        build.part("Every role that handles deliveries");
        Ok(Self {
            outcomes: build.counters(Family::new(
                "outcomes_total",
                "deliveries",
                "Deliveries handled, by role and outcome.",
            ))?,
            refused: build.counters(Family::new(
                "refused_messages_total",
                "messages",
                "Messages sent to quarantine, by reason.",
            ))?,
            suspicious: build.counters(Family::new(
                "suspicious_total",
                "sightings",
                "Signs that somebody may be trying to reach what is not theirs.",
            ))?,
            divergence: build.counters(Family::new(
                "divergence_total",
                "sightings",
                "Ledger, bucket and staging contradict each other; nothing is deleted then.",
            ))?,
            unconfirmed: build.counter(Family::new(
                "unconfirmed_events_total",
                "events",
                "Events that the broker did not confirm; the ledger publishes them again.",
            ))?,
            lease_lost: build.counter(Family::new(
                "lease_lost_total",
                "leases",
                "Leases that ended or were taken over before their work did.",
            ))?,
            leases_ran_out: build.counter(Family::new(
                "leases_ran_out_total",
                "leases",
                "Claims that found the lease of an earlier holder run out: it died or froze.",
            ))?,
        })
    }
}

impl Metrics {
    /// A delivery ended.
    pub fn outcome(&self, outcome: impl Into<Outcome>) {
        self.outcomes.outcomes.one(outcome.into());
    }

    /// A message went to quarantine. Counts it as suspicious too, where its reason is.
    pub fn refused(&self, reason: RefusalReason) {
        self.outcomes.refused.one(reason);
        if let Some(suspicion) = Suspicion::of_refusal(reason) {
            self.suspicious(suspicion);
        }
    }

    /// What a reason to park or to keep an original says beyond itself.
    pub(crate) fn signs(&self, reason: ParkReason) {
        if let Some(suspicion) = Suspicion::of_parking(reason) {
            self.suspicious(suspicion);
        }
        if let Some(divergence) = Divergence::of(reason) {
            self.diverged(divergence);
        }
    }

    /// Somebody may be trying to reach what is not theirs. [`Metrics::refused`],
    /// [`Metrics::parked`] and [`Metrics::release_refused`] say so by themselves.
    pub fn suspicious(&self, kind: Suspicion) {
        self.outcomes.suspicious.one(kind);
    }

    /// Ledger, bucket and staging contradict each other. [`Metrics::parked`] and
    /// [`Metrics::release_refused`] say so by themselves.
    pub fn diverged(&self, kind: Divergence) {
        self.outcomes.divergence.one(kind);
    }

    /// An event was not confirmed.
    pub fn unconfirmed(&self) {
        self.outcomes.unconfirmed.inc();
    }

    /// A lease ended before its work did.
    pub fn lease_lost(&self) {
        self.outcomes.lease_lost.inc();
    }

    /// A claim found that the lease before it had run out.
    pub fn lease_ran_out(&self) {
        self.outcomes.leases_ran_out.inc();
    }
}
