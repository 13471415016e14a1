//! What cleanup counts.

use prometheus::IntCounter;
use recording::ParkReason;

use super::Metrics;
use super::family::{Builder, Family, Series};

/// The families.
#[derive(Debug)]
pub(crate) struct Cleanup {
    release_refused: Series<ParkReason, IntCounter>,
}

impl Cleanup {
    pub(crate) fn new(build: &mut Builder) -> prometheus::Result<Self> {
        build.part("Cleanup");
        Ok(Self {
            release_refused: build.counters(Family::new(
                "cleanup_refused_total",
                "recordings",
                "Releases refused: the original was kept, by reason.",
            ))?,
        })
    }
}

impl Metrics {
    /// A release was refused. Counts a suspicion or a divergence too, where the reason is one.
    pub fn release_refused(&self, reason: ParkReason) {
        self.cleanup.release_refused.one(reason);
        self.signs(reason);
    }
}
