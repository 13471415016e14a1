//! What the ledger says about everything that is open, for the operators' gauges.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{AccountId, ParkReason, Queue, RefusalReason, State};

/// How many there are, and how long the oldest has been so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Age of the oldest; zero if there is none.
    pub oldest: Duration,
}

/// One reading of the ledger. What is missing from a map is zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LedgerReading {
    /// Recordings that are staged, parked or stored, and how long the oldest has been known.
    pub states: BTreeMap<State, Tally>,
    /// Parked recordings by reason, and how long the oldest has been known.
    pub parked: BTreeMap<ParkReason, Tally>,
    /// Stored recordings whose release is refused, by reason, and since when they are stored.
    pub release_refused: BTreeMap<ParkReason, Tally>,
    /// Quarantined messages by reason, and how long the oldest has been there.
    pub quarantined: BTreeMap<RefusalReason, Tally>,
    /// How long the oldest recording without a proven copy has been known.
    pub unproven_oldest: Duration,
    /// How long the oldest stored recording has waited for its acknowledgment to be confirmed.
    pub unacknowledged_oldest: Duration,
    /// Rows that are due now, by queue.
    pub due: BTreeMap<Queue, u64>,
    /// Recordings whose leases ran out three times or more in a row.
    pub suspected: u64,
    /// The accounts with most open recordings, at most 50, with their number.
    pub accounts: Vec<(AccountId, u64)>,
    /// Unhealthy destinations by reason, and since when the longest is.
    pub unhealthy: BTreeMap<ParkReason, Tally>,
    /// When the first secret of a destination in use ends, of those that say so themselves.
    pub secret_expires_at: Option<DateTime<Utc>>,
    /// How many of them end within the first and within the last warning's time; the first
    /// counts those of the last too.
    pub secrets_ending: (u64, u64),
}
