//! What the ledger said last about everything that is open. One reading is shown as a whole: a
//! scrape never sees half of one and half of the next.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use prometheus::proto::MetricFamily;
use recording::{LedgerReading, ParkReason, RefusalReason, Tally};

use super::Metrics;
use super::closed::{Closed, Driven, Open};
use super::family::{Builder, Family, OpenGauge, Read, number};
use super::words::Warning;

/// Accounts shown at most, so that a fleet with many of them stays scrapeable.
const ACCOUNTS_MAX: usize = 50;

/// A reading and when it was taken.
#[derive(Debug, Default)]
struct Taken {
    reading: LedgerReading,
    at: DateTime<Utc>,
}

/// The last reading.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastReading(Arc<Mutex<Taken>>);

impl LastReading {
    /// Plain data: whatever a panicking holder left is still whole.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The families with a count and an age for each value of their label.
struct Tallies {
    recordings: Counted<Open>,
    parked: Counted<ParkReason>,
    release_refused: Counted<ParkReason>,
    quarantined: Counted<RefusalReason>,
}

/// All families.
struct Families {
    tallies: Tallies,
    unproven_oldest: Read<()>,
    unacknowledged_oldest: Read<()>,
    due: Read<Driven>,
    suspected: Read<()>,
    destinations: Destinations,
    accounts: OpenGauge,
    timestamp: Read<()>,
}

/// The health of destinations, without saying whose.
struct Destinations {
    unhealthy: Counted<ParkReason>,
    secret_expires: Read<()>,
    secrets_ending: Read<Warning>,
}

impl Destinations {
    fn new(build: &mut Builder) -> Self {
        Self {
            unhealthy: Counted::new(
                build,
                Family::new(
                    "destinations_unhealthy",
                    "destinations",
                    "Unhealthy destinations that something depends on, by reason.",
                ),
                Family::new(
                    "destinations_unhealthy_oldest_seconds",
                    "seconds",
                    "How long the longest unhealthy destination of a reason has been so.",
                ),
            ),
            secret_expires: build.read_gauges(Family::new(
                "destination_secret_expires_timestamp_seconds",
                "seconds since 1970",
                "When the first secret of a destination ends, of those that say so; 0 if none.",
            )),
            secrets_ending: build.read_gauges(Family::new(
                "destination_secrets_ending",
                "destinations",
                "Destinations whose secret ends within the time of a warning, or has ended.",
            )),
        }
    }

    fn fill(&self, reading: &LedgerReading) -> Vec<MetricFamily> {
        let ends = reading.secret_expires_at.map(|at| at.timestamp());
        let ends = u64::try_from(ends.unwrap_or_default()).unwrap_or_default();
        let (first, last) = reading.secrets_ending;
        let mut made = Vec::from(
            self.unhealthy
                .fill(|reason| reading.unhealthy.get(&reason).copied()),
        );
        made.push(self.secret_expires.filled(|()| number(ends)));
        made.push(self.secrets_ending.filled(|warning| {
            number(match warning {
                Warning::First => first,
                Warning::Last => last,
            })
        }));
        made
    }
}

/// How many there are, and how old the oldest is.
struct Counted<K> {
    count: Read<K>,
    oldest: Read<K>,
}

impl<K: Closed> Counted<K> {
    fn new(build: &mut Builder, count: Family, oldest: Family) -> Self {
        Self {
            count: build.read_gauges(count),
            oldest: build.read_gauges(oldest),
        }
    }

    fn fill(&self, tally: impl Fn(K) -> Option<Tally>) -> [MetricFamily; 2] {
        let tally = |key| tally(key).unwrap_or_default();
        [
            self.count.filled(|key| number(tally(key).count)),
            self.oldest.filled(|key| seconds(tally(key).oldest)),
        ]
    }
}

fn seconds(age: Duration) -> f64 {
    age.as_secs_f64()
}

impl Tallies {
    fn new(build: &mut Builder) -> Self {
        Self {
            recordings: Counted::new(
                build,
                Family::new("recordings", "recordings", "Open recordings, by state."),
                Family::new(
                    "oldest_seconds",
                    "seconds",
                    "How long the oldest open recording of a state has been known.",
                ),
            ),
            parked: Counted::new(
                build,
                Family::new("parked", "recordings", "Parked recordings, by reason."),
                Family::new(
                    "parked_oldest_seconds",
                    "seconds",
                    "How long the oldest parked recording of a reason has been known.",
                ),
            ),
            release_refused: Counted::new(
                build,
                Family::new(
                    "release_refused",
                    "recordings",
                    "Stored recordings whose original is kept, by why its release is refused.",
                ),
                Family::new(
                    "release_refused_oldest_seconds",
                    "seconds",
                    "Since when the oldest recording with a refused release has been stored.",
                ),
            ),
            quarantined: Counted::new(
                build,
                Family::new(
                    "quarantined",
                    "messages",
                    "Quarantined messages, by reason.",
                ),
                Family::new(
                    "quarantined_oldest_seconds",
                    "seconds",
                    "How long the oldest quarantined message of a reason has been there.",
                ),
            ),
        }
    }

    fn fill(&self, reading: &LedgerReading) -> Vec<MetricFamily> {
        let of = |map: &BTreeMap<ParkReason, Tally>, reason| map.get(&reason).copied();
        let mut made = Vec::new();
        made.extend(
            self.recordings
                .fill(|open| reading.states.get(&open.0).copied()),
        );
        made.extend(self.parked.fill(|reason| of(&reading.parked, reason)));
        made.extend(
            self.release_refused
                .fill(|reason| of(&reading.release_refused, reason)),
        );
        made.extend(
            self.quarantined
                .fill(|reason| reading.quarantined.get(&reason).copied()),
        );
        made
    }
}

impl Families {
    fn new(build: &mut Builder) -> Self {
        Self {
            tallies: Tallies::new(build),
            unproven_oldest: build.read_gauges(Family::new(
                "unproven_oldest_seconds",
                "seconds",
                "How long the oldest recording without a proven copy has been known; 0 if none.",
            )),
            unacknowledged_oldest: build.read_gauges(Family::new(
                "unacknowledged_oldest_seconds",
                "seconds",
                "How long the oldest proven copy has waited for a confirmed acknowledgment.",
            )),
            due: build.read_gauges(Family::new(
                "due",
                "recordings",
                "Rows that are due to be driven on now, by queue.",
            )),
            suspected: build.read_gauges(Family::new(
                "suspected",
                "recordings",
                "Recordings whose leases ran out three times or more in a row.",
            )),
            destinations: Destinations::new(build),
            accounts: build.open_gauge(
                "account",
                "an account; only the 50 with most open recordings",
                Family::new(
                    "account_open",
                    "recordings",
                    "Open recordings of the accounts that have most of them.",
                ),
            ),
            timestamp: build.read_gauges(Family::new(
                "ledger_reading_timestamp_seconds",
                "seconds since 1970",
                "When the ledger was read last; 0 in a process that does not read it.",
            )),
        }
    }

    fn fill(&self, taken: &Taken) -> Vec<MetricFamily> {
        let reading = &taken.reading;
        let at = u64::try_from(taken.at.timestamp_millis()).unwrap_or_default();
        let accounts = reading.accounts.iter().take(ACCOUNTS_MAX);
        let mut made = self.tallies.fill(reading);
        let rows = |queue: Driven| reading.due.get(&queue.0).copied().unwrap_or_default();
        made.extend(self.destinations.fill(reading));
        made.extend([
            self.unproven_oldest
                .filled(|()| seconds(reading.unproven_oldest)),
            self.unacknowledged_oldest
                .filled(|()| seconds(reading.unacknowledged_oldest)),
            self.due.filled(|queue| number(rows(queue))),
            self.suspected.filled(|()| number(reading.suspected)),
            self.accounts
                .filled(accounts.map(|(account, open)| (account.as_str(), number(*open)))),
            self.timestamp.filled(|()| number(at) / 1000.0),
        ]);
        made
    }
}

impl LastReading {
    pub(crate) fn new(build: &mut Builder) -> prometheus::Result<Self> {
        build.part("One reading of the ledger, by housekeeping");
        let from = build.declared.len();
        let families = Families::new(build);
        let last = Self::default();
        let shown = last.clone();
        build.collect(from, move || families.fill(&shown.taken()))?;
        Ok(last)
    }
}

impl Metrics {
    /// What the ledger says about everything that is open, as of `now`. It replaces the reading
    /// before; what is missing from a map is shown as zero.
    pub fn ledger_reading(&self, reading: &LedgerReading, now: DateTime<Utc>) {
        *self.ledger.taken() = Taken {
            reading: reading.clone(),
            at: now,
        };
    }
}
