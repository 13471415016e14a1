//! What transfer counts: bytes, proofs, what was parked, tried again, resumed or isolated.

use prometheus::IntCounter;
use recording::{Method, ParkReason};

use super::Metrics;
use super::family::{Builder, Family, Series};
use super::words::Receipts;

/// The families.
#[derive(Debug)]
pub(crate) struct Transfer {
    parked: Series<ParkReason, IntCounter>,
    stored_bytes: IntCounter,
    sent_bytes: IntCounter,
    proofs: Series<Method, IntCounter>,
    retries: Series<ParkReason, IntCounter>,
    unknown: IntCounter,
    resumed: IntCounter,
    resumed_bytes: IntCounter,
    handed_off: IntCounter,
    isolated: IntCounter,
    child_deaths: IntCounter,
    acknowledged: Series<Receipts, IntCounter>,
}

impl Transfer {
    pub(crate) fn new(build: &mut Builder) -> prometheus::Result<Self> {
        build.part("Transfer");
        Ok(Self {
            parked: build.counters(Family::new(
                "transfer_parked_total",
                "recordings",
                "Recordings parked, by reason.",
            ))?,
            stored_bytes: build.counter(Family::new(
                "transfer_stored_bytes_total",
                "bytes",
                "Bytes of copies proven, whether sent now or found.",
            ))?,
            sent_bytes: build.counter(Family::new(
                "transfer_sent_bytes_total",
                "bytes",
                "Bytes handed to a bucket, repetitions included.",
            ))?,
            proofs: build.counters(Family::new(
                "transfer_proofs_total",
                "copies",
                "Copies proven, by what proved them.",
            ))?,
            retries: build.counters(Family::new(
                "transfer_retries_total",
                "attempts",
                "Attempts repeated in the same process, by why the one before failed.",
            ))?,
            unknown: build.counter(Family::new(
                "transfer_unknown_outcomes_total",
                "requests",
                "Requests whose outcome only a look could tell.",
            ))?,
            resumed: build.counter(Family::new(
                "transfer_resumed_total",
                "uploads",
                "Uploads in parts that an earlier claim began and that were gone on with.",
            ))?,
            resumed_bytes: build.counter(Family::new(
                "transfer_resumed_bytes_total",
                "bytes",
                "Bytes that an earlier claim sent and that need not be sent again.",
            ))?,
            handed_off: build.counter(Family::new(
                "transfer_handed_off_total",
                "deliveries",
                "Deliveries acked before their end, because the transfer outlasts ten minutes.",
            ))?,
            isolated: build.counter(Family::new(
                "transfer_isolated_total",
                "recordings",
                "Transfers begun in a process of their own, because leases kept running out.",
            ))?,
            child_deaths: build.counter(Family::new(
                "transfer_child_deaths_total",
                "processes",
                "Processes of their own that died while their parent lived.",
            ))?,
            acknowledged: build.counters(Family::new(
                "transfer_acknowledged_total",
                "events",
                "Acknowledgments confirmed, by whether they carry a signed receipt.",
            ))?,
        })
    }
}

impl Metrics {
    /// A recording was parked. Counts a suspicion or a divergence too, where the reason is one.
    pub fn parked(&self, reason: ParkReason) {
        self.transfer.parked.one(reason);
        self.signs(reason);
    }

    /// A copy is proven and recorded.
    pub fn stored(&self, bytes: u64, method: Method) {
        self.transfer.stored_bytes.inc_by(bytes);
        self.transfer.proofs.one(method);
    }

    /// An acknowledgment was confirmed; it carries a signed receipt or not.
    pub fn acknowledged(&self, signed: bool) {
        self.transfer.acknowledged.one(Receipts::of(signed));
    }

    /// Bytes were handed to a bucket.
    pub fn sent(&self, bytes: u64) {
        self.transfer.sent_bytes.inc_by(bytes);
    }

    /// The same process tries again, because of this.
    pub fn retried(&self, reason: ParkReason) {
        self.transfer.retries.one(reason);
    }

    /// Only a look can tell what a request did.
    pub fn unknown_outcome(&self) {
        self.transfer.unknown.inc();
    }

    /// An earlier claim's upload was gone on with: so many bytes need not be sent again.
    pub fn resumed(&self, bytes: u64) {
        self.transfer.resumed.inc();
        self.transfer.resumed_bytes.inc_by(bytes);
    }

    /// A transfer outlasts the broker's patience; its delivery is acked.
    pub fn handed_off(&self) {
        self.transfer.handed_off.inc();
    }

    /// A transfer goes on in a process of its own.
    pub fn isolated(&self) {
        self.transfer.isolated.inc();
    }

    /// A process of its own died while its parent lived.
    pub fn child_died(&self) {
        self.transfer.child_deaths.inc();
    }
}
