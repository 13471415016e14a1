//! What the sweep of retention counts, and what the ledger says about it.

use prometheus::{IntCounter, IntGauge};
use recording::{ExpiryReason, Retained, RetentionReading};

use super::Metrics;
use super::closed::closed;
use super::family::{Builder, Family, Series};
use super::words::Receipts;

closed! {
    ExpiryReason: "why", "why a copy goes";
    Retained: "why", "why a copy is still there although its time has come";
}

/// The families.
#[derive(Debug)]
pub(crate) struct Retention {
    expired: Series<ExpiryReason, IntCounter>,
    versions: IntCounter,
    announced: Series<Receipts, IntCounter>,
    kept: Series<Retained, IntCounter>,
    retained: Series<Retained, IntGauge>,
    stops: IntGauge,
    stopped: IntGauge,
    overdue: IntGauge,
    originals: IntCounter,
    erasures: IntGauge,
    erasing: IntGauge,
}

impl Retention {
    pub(crate) fn new(build: &mut Builder) -> prometheus::Result<Self> {
        build.part("Retention and erasure, by housekeeping and cleanup");
        Ok(Self {
            expired: build.counters(Family::new(
                "retention_expired_total",
                "recordings",
                "Copies that are proven to be gone, by why they went.",
            ))?,
            versions: build.counter(Family::new(
                "retention_versions_deleted_total",
                "versions",
                "Versions of copies that a store deleted.",
            ))?,
            announced: build.counters(Family::new(
                "retention_announced_total",
                "events",
                "Ends of copies announced and confirmed, by whether they carry a signed receipt.",
            ))?,
            kept: build.counters(Family::new(
                "retention_kept_total",
                "attempts",
                "Attempts that left a copy where it is, by why.",
            ))?,
            retained: build.gauges(Family::new(
                "retention_retained",
                "recordings",
                "Copies whose time has come and that are still there, by why, as the ledger says.",
            ))?,
            stops: build.gauge(Family::new(
                "retention_stops",
                "stops",
                "Stops of the sweep that wait for a person: `callferry retention stops`.",
            ))?,
            stopped: build.gauge(Family::new(
                "retention_stopped_seconds",
                "seconds",
                "How long the longest of them has waited.",
            ))?,
            overdue: build.gauge(Family::new(
                "retention_overdue_seconds",
                "seconds",
                "How long the account that nobody sweeps has been waiting for its turn.",
            ))?,
            originals: build.counter(Family::new(
                "erasure_originals_total",
                "recordings",
                "Originals that an erasure took without a release, by cleanup.",
            ))?,
            erasures: build.gauge(Family::new(
                "erasures_waiting",
                "recordings",
                "Erasures that are not over, without those that a legal hold keeps.",
            ))?,
            erasing: build.gauge(Family::new(
                "erasures_oldest_seconds",
                "seconds",
                "How long ago the oldest of them was asked for.",
            ))?,
        })
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Metrics {
    /// A copy is proven to be gone; so many versions of it were deleted just now.
    pub fn copy_expired(&self, why: ExpiryReason, versions: u32) {
        self.retention.expired.one(why);
        self.retention.versions.inc_by(u64::from(versions));
    }

    /// That a copy is gone was announced and confirmed; it carries a signed receipt or not.
    pub fn expiry_announced(&self, signed: bool) {
        self.retention.announced.one(Receipts::of(signed));
    }

    /// An erasure took an original.
    pub fn original_erased(&self) {
        self.retention.originals.inc();
    }

    /// Copies stay where they are.
    pub fn copies_kept(&self, why: Retained, copies: u64) {
        self.retention.kept.more(why, copies);
    }

    /// What the ledger says. What is missing is zero.
    pub fn retention_reading(&self, reading: &RetentionReading) {
        for why in Retained::ALL {
            let known = reading.retained.iter().find(|(known, _)| *known == why);
            if let Some(gauge) = self.retention.retained.of(why) {
                gauge.set(whole(known.map_or(0, |(_, count)| *count)));
            }
        }
        self.retention.stops.set(whole(reading.stops));
        self.retention
            .stopped
            .set(whole(reading.stopped_for.as_secs()));
        self.retention.overdue.set(whole(reading.overdue.as_secs()));
        self.retention.erasures.set(whole(reading.erasures));
        self.retention
            .erasing
            .set(whole(reading.erasing_for.as_secs()));
    }
}
