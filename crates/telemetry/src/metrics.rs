//! The metrics of one process, on a registry of their own.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry, TextEncoder,
};
use recording::{ParkReason, Queue, RefusalReason};

/// Seconds, from a fast answer to a transfer that nearly outlasts its lease.
const SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0,
];

/// A stage of a transfer or a cleanup, as its latency is labelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// One statement to the ledger that takes the lease.
    Claim,
    /// Opening and reading the original, and sending it.
    Send,
    /// Looking at the copy.
    Prove,
    /// One statement to the ledger that records the outcome.
    Record,
    /// Publishing the acknowledgment, until the broker confirms.
    Acknowledge,
    /// Moving the original into the trash and deleting it there.
    Delete,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 6] = [
        Self::Claim,
        Self::Send,
        Self::Prove,
        Self::Record,
        Self::Acknowledge,
        Self::Delete,
    ];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Send => "send",
            Self::Prove => "prove",
            Self::Record => "record",
            Self::Acknowledge => "acknowledge",
            Self::Delete => "delete",
        }
    }
}

/// The metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    outcomes: IntCounterVec,
    parked: IntCounterVec,
    release_refused: IntCounterVec,
    refused: IntCounterVec,
    driven: IntCounterVec,
    stages: HistogramVec,
    bytes: IntCounter,
    unknown: IntCounter,
    lease_lost: IntCounter,
    unpublished: IntCounter,
    in_flight: IntGauge,
    acknowledged_after: Histogram,
}

struct Builder(Registry);

impl Builder {
    fn counters(
        &self,
        name: &str,
        help: &str,
        label: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        let family = IntCounterVec::new(Opts::new(name, help), label)?;
        self.0.register(Box::new(family.clone()))?;
        Ok(family)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        let counter = IntCounter::new(name, help)?;
        self.0.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        let gauge = IntGauge::new(name, help)?;
        self.0.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }
}

impl Metrics {
    /// Registers every family, so that each is scraped as zero from the first moment.
    ///
    /// # Errors
    /// Two families share a name, or a name is malformed: a defect found by any test.
    pub fn new() -> prometheus::Result<Arc<Self>> {
        let build = Builder(Registry::new_custom(Some("callferry".to_owned()), None)?);
        let stages = HistogramVec::new(
            HistogramOpts::new(
                "stage_seconds",
                "Time spent in a stage of a transfer or cleanup.",
            )
            .buckets(SECONDS.to_vec()),
            &["stage"],
        )?;
        build.0.register(Box::new(stages.clone()))?;
        let acknowledged_after = Histogram::with_opts(
            HistogramOpts::new(
                "transfer_acknowledged_after_seconds",
                "From the claim of a recording to the confirm of its acknowledgment.",
            )
            .buckets(SECONDS.to_vec()),
        )?;
        build.0.register(Box::new(acknowledged_after.clone()))?;
        let process = prometheus::process_collector::ProcessCollector::for_self();
        let metrics = Self {
            outcomes: build.counters(
                "outcomes_total",
                "Deliveries handled, by role and outcome.",
                &["role", "outcome"],
            )?,
            parked: build.counters(
                "transfer_parked_total",
                "Recordings parked, by reason.",
                &["reason"],
            )?,
            release_refused: build.counters(
                "cleanup_refused_total",
                "Releases refused: the original was kept, by reason.",
                &["reason"],
            )?,
            refused: build.counters(
                "refused_messages_total",
                "Messages sent to quarantine, by reason.",
                &["reason"],
            )?,
            driven: build.counters(
                "housekeeping_driven_total",
                "Rows driven on because the ledger says they are due, by queue.",
                &["queue"],
            )?,
            bytes: build.counter("transfer_bytes_total", "Bytes of copies proven.")?,
            unknown: build.counter(
                "transfer_unknown_outcomes_total",
                "Requests whose outcome only a look could tell.",
            )?,
            lease_lost: build.counter(
                "lease_lost_total",
                "Leases that ended or were taken over before their work did.",
            )?,
            unpublished: build.counter(
                "unconfirmed_events_total",
                "Events that the broker did not confirm; the ledger publishes them again.",
            )?,
            in_flight: build.gauge("transfers_in_flight", "Transfers being worked on now.")?,
            registry: build.0,
            stages,
            acknowledged_after,
        };
        metrics.registry.register(Box::new(process))?;
        metrics.start_at_zero();
        Ok(Arc::new(metrics))
    }

    fn start_at_zero(&self) {
        for reason in ParkReason::ALL {
            self.parked.with_label_values(&[reason.as_str()]).inc_by(0);
            self.release_refused
                .with_label_values(&[reason.as_str()])
                .inc_by(0);
        }
        for reason in RefusalReason::ALL {
            self.refused.with_label_values(&[reason.as_str()]).inc_by(0);
        }
        for stage in Stage::ALL {
            drop(self.stages.with_label_values(&[stage.as_str()]));
        }
    }

    /// A delivery ended. Both words are from a role's closed set of outcomes.
    pub fn ended(&self, role: &'static str, outcome: &'static str) {
        self.outcomes.with_label_values(&[role, outcome]).inc();
    }

    /// A recording was parked.
    pub fn parked(&self, reason: ParkReason) {
        self.parked.with_label_values(&[reason.as_str()]).inc();
    }

    /// A release was refused.
    pub fn release_refused(&self, reason: ParkReason) {
        self.release_refused
            .with_label_values(&[reason.as_str()])
            .inc();
    }

    /// A message went to quarantine.
    pub fn refused(&self, reason: RefusalReason) {
        self.refused.with_label_values(&[reason.as_str()]).inc();
    }

    /// Rows were driven on.
    pub fn driven(&self, queue: Queue, rows: u64) {
        self.driven.with_label_values(&[queue.name()]).inc_by(rows);
    }

    /// A stage ended.
    pub fn stage(&self, stage: Stage, took: Duration) {
        self.stages
            .with_label_values(&[stage.as_str()])
            .observe(took.as_secs_f64());
    }

    /// A copy was proven.
    pub fn proven(&self, bytes: u64) {
        self.bytes.inc_by(bytes);
    }

    /// An acknowledgment was confirmed, this long after the claim.
    pub fn acknowledged(&self, after: Duration) {
        self.acknowledged_after.observe(after.as_secs_f64());
    }

    /// Only a look can tell what a request did.
    pub fn unknown_outcome(&self) {
        self.unknown.inc();
    }

    /// A lease ended before its work did.
    pub fn lease_lost(&self) {
        self.lease_lost.inc();
    }

    /// An event was not confirmed.
    pub fn unconfirmed(&self) {
        self.unpublished.inc();
    }

    /// A transfer began; it is counted as in flight until the guard is dropped.
    #[must_use]
    pub fn transfer_begins(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Everything, in Prometheus' text format.
    ///
    /// # Errors
    /// A family could not be written: a defect found by any test.
    pub fn text(&self) -> prometheus::Result<String> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }
}

/// Counts one transfer as in flight while it lives.
#[derive(Debug)]
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_scraped_from_the_first_moment() {
        let metrics = Metrics::new().unwrap();
        metrics.ended("transfer", "stored");
        let text = metrics.text().unwrap();
        for family in [
            "callferry_transfer_parked_total{reason=\"access_denied\"} 0",
            "callferry_cleanup_refused_total{reason=\"copy_differs\"} 0",
            "callferry_outcomes_total{outcome=\"stored\",role=\"transfer\"} 1",
            "callferry_stage_seconds_bucket",
        ] {
            assert!(text.contains(family), "{family}\n{text}");
        }
    }
}
