//! How long the stages of a recording's way take, and what is on its way now.

use std::time::Duration;

use prometheus::{Histogram, IntGauge};

use super::Metrics;
use super::family::{Builder, Family, JOURNEY, STAGE, Series};
use super::words::Stage;

/// The families.
#[derive(Debug)]
pub(crate) struct Stages {
    stages: Series<Stage, Histogram>,
    event_to_acknowledgment: Histogram,
    acknowledgment_to_release: Histogram,
    in_flight: IntGauge,
    in_flight_bytes: IntGauge,
}

impl Stages {
    pub(crate) fn new(build: &mut Builder) -> prometheus::Result<Self> {
        build.part("The way of a recording");
        Ok(Self {
            stages: build.histograms(
                STAGE,
                Family::new(
                    "stage_seconds",
                    "seconds",
                    "Time spent in a stage of a transfer or cleanup; `upload` includes `read`.",
                ),
            )?,
            event_to_acknowledgment: build.histogram(
                JOURNEY,
                Family::new(
                    "event_to_acknowledgment_seconds",
                    "seconds",
                    "From the event's own time to the confirm of its acknowledgment.",
                ),
            )?,
            acknowledgment_to_release: build.histogram(
                JOURNEY,
                Family::new(
                    "acknowledgment_to_release_seconds",
                    "seconds",
                    "From the proof of the copy to the deletion of the original.",
                ),
            )?,
            in_flight: build.gauge(Family::new(
                "transfers_in_flight",
                "recordings",
                "Transfers being worked on now.",
            ))?,
            in_flight_bytes: build.gauge(Family::new(
                "transfer_in_flight_bytes",
                "bytes",
                "Announced size of the transfers being worked on now.",
            ))?,
        })
    }
}

impl Metrics {
    /// A stage ended.
    pub fn stage(&self, stage: Stage, took: Duration) {
        self.way.stages.observe(stage, took);
    }

    /// A delivery came for the first time, this long after the event's own time.
    pub fn queue_wait(&self, waited: Duration) {
        self.stage(Stage::QueueWait, waited);
    }

    /// One original was read and hashed; time of all its parts together.
    pub fn read(&self, took: Duration) {
        self.stage(Stage::Read, took);
    }

    /// An acknowledgment was confirmed, this long after the event's own time.
    pub fn event_to_acknowledgment(&self, took: Duration) {
        let family = &self.way.event_to_acknowledgment;
        family.observe(took.as_secs_f64());
    }

    /// An original is gone, this long after its copy was proven.
    pub fn acknowledgment_to_release(&self, took: Duration) {
        let family = &self.way.acknowledgment_to_release;
        family.observe(took.as_secs_f64());
    }

    /// A transfer of so many bytes began; it is in flight until the guard is dropped.
    #[must_use]
    pub fn in_flight(&self, bytes: u64) -> InFlight {
        let guard = InFlight {
            count: self.way.in_flight.clone(),
            bytes: self.way.in_flight_bytes.clone(),
            size: i64::try_from(bytes).unwrap_or(i64::MAX),
        };
        guard.count.inc();
        guard.bytes.add(guard.size);
        guard
    }
}

/// Counts one transfer as in flight while it lives.
#[derive(Debug)]
pub struct InFlight {
    /// How many.
    count: IntGauge,
    /// Their announced sizes together.
    bytes: IntGauge,
    /// This one's announced size, bytes.
    size: i64,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.count.dec();
        self.bytes.sub(self.size);
    }
}
