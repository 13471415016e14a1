//! What housekeeping counts: what it drives on, sweeps and returns, and how deep the queues are.

use prometheus::{IntCounter, IntGauge};
use recording::Queue;

use super::Metrics;
use super::closed::Driven;
use super::family::{Builder, Family, Series};
use super::words::CheckVerdict;

/// The families.
#[derive(Debug)]
pub(crate) struct Housekeeping {
    driven: Series<Driven, IntCounter>,
    uploads_aborted: IntCounter,
    purged: IntCounter,
    returned: IntCounter,
    checks: Series<CheckVerdict, IntCounter>,
    probes: IntCounter,
    ready: Series<Queue, IntGauge>,
}

impl Housekeeping {
    pub(crate) fn new(build: &mut Builder) -> prometheus::Result<Self> {
        build.part("Housekeeping");
        let made = Self {
            driven: build.counters(Family::new(
                "housekeeping_driven_total",
                "recordings",
                "Rows driven on because the ledger says they are due, by queue.",
            ))?,
            uploads_aborted: build.counter(Family::new(
                "housekeeping_uploads_aborted_total",
                "uploads",
                "Uploads in parts that nobody will go on with, aborted in a bucket.",
            ))?,
            purged: build.counter(Family::new(
                "quarantine_purged_total",
                "messages",
                "Quarantined messages deleted at the end of their 90 days.",
            ))?,
            returned: build.counter(Family::new(
                "quarantine_returned_total",
                "messages",
                "Quarantined messages returned to their queue by themselves.",
            ))?,
            checks: build.counters(Family::new(
                "destination_checks_total",
                "checks",
                "Daily checks of destinations, by what came of them.",
            ))?,
            probes: build.counter(Family::new(
                "destination_probes_total",
                "recordings",
                "Recordings driven to find out whether an unhealthy destination works again.",
            ))?,
            ready: build.gauges(Family::new(
                "queue_ready",
                "messages",
                "Messages ready in a queue; -1 while the broker does not say, and in every \
                 process that does not ask.",
            ))?,
        };
        for queue in Queue::ALL {
            set(&made.ready, queue, None);
        }
        Ok(made)
    }
}

fn set(ready: &Series<Queue, IntGauge>, queue: Queue, depth: Option<u32>) {
    if let Some(gauge) = ready.of(queue) {
        gauge.set(depth.map_or(-1, i64::from));
    }
}

impl Metrics {
    /// Rows were driven on.
    pub fn driven(&self, queue: Queue, rows: u64) {
        self.housekeeping.driven.more(Driven(queue), rows);
    }

    /// Leftover uploads were aborted.
    pub fn uploads_aborted(&self, uploads: u64) {
        self.housekeeping.uploads_aborted.inc_by(uploads);
    }

    /// Quarantined messages were deleted at the end of their time.
    pub fn quarantine_purged(&self, messages: u64) {
        self.housekeeping.purged.inc_by(messages);
    }

    /// A quarantined message was returned to its queue.
    pub fn quarantine_returned(&self) {
        self.housekeeping.returned.inc();
    }

    /// A daily check of a destination ended.
    pub fn destination_checked(&self, verdict: CheckVerdict) {
        self.housekeeping.checks.one(verdict);
    }

    /// Recordings were driven as probes of unhealthy destinations.
    pub fn destinations_probed(&self, recordings: u64) {
        self.housekeeping.probes.inc_by(recordings);
    }

    /// How many messages are ready; `None` while the broker does not say.
    pub fn queue_ready(&self, queue: Queue, ready: Option<u32>) {
        set(&self.housekeeping.ready, queue, ready);
    }
}
