//! The roles' own constants, together, so that the simulation and the tests can shorten them.

use std::time::Duration;

/// How patient the roles are. The caller knows best: there is no hidden default but
/// [`Tuning::production`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    /// How much of a wait is left to chance, 0 (none, for the simulation) to 1.
    pub jitter: f64,
    /// How long a handler waits for a ledger or staging that is down before the session gives
    /// everything back.
    pub outage_patience: Duration,
    /// The longest pause between two attempts at a ledger or staging that is down.
    pub outage_pause_max: Duration,
    /// How often a lease is renewed while a stage lasts.
    pub renew_every: Duration,
    /// How long sending may go without a byte moving before the lease is no longer renewed: one
    /// part's own deadline, 30 s and 16 MiB at 1 MiB/s.
    pub stall_max: Duration,
    /// How long a look may take, its retries included.
    pub look_max: Duration,
    /// The slowest that sending may be, in bytes per second.
    pub bytes_per_s_min: u64,
    /// How long an original that is absent or too small is taken to be still growing.
    pub growing_max: Duration,
    /// How often housekeeping looks for what is due.
    pub tick: Duration,
    /// How many rows a tick drives into one queue.
    pub drive_max: u32,
    /// With this many messages ready, a queue is not driven into.
    pub ready_max: u32,
    /// How often cleanup looks through the trash.
    pub trash_every: Duration,
    /// How long a transfer may last before its delivery is acked and the row alone carries it.
    pub hand_off_after: Duration,
    /// After this many leases in a row that ran out, a recording runs in a process of its own.
    pub suspect_after: u32,
    /// How often housekeeping reads the ledger for the operators' gauges.
    pub reading_every: Duration,
    /// How often housekeeping looks for open uploads that nobody will go on with.
    pub sweep_every: Duration,
    /// How old an open upload must be before a sweep takes it up.
    pub leftover_age: Duration,
    /// How often housekeeping looks for destinations whose check is due.
    pub check_poll: Duration,
    /// How long the check of one destination may take.
    pub check_max: Duration,
    /// How often housekeeping looks for copies whose time has come.
    pub expire_every: Duration,
    /// How many of them it takes of one account at a time.
    pub expire_batch: u32,
    /// How old a trash entry must be before the timer takes an interest in it, in seconds.
    pub trash_age_s: u64,
}

impl Tuning {
    /// What DESIGN.md §3 says.
    #[must_use]
    pub fn production() -> Self {
        Self {
            jitter: 0.5,
            outage_patience: Duration::from_secs(60),
            outage_pause_max: Duration::from_secs(5),
            renew_every: Duration::from_secs(10),
            stall_max: Duration::from_secs(46),
            look_max: Duration::from_secs(60),
            bytes_per_s_min: 1 << 20,
            growing_max: Duration::from_secs(3600),
            tick: Duration::from_secs(1),
            drive_max: 500,
            ready_max: 1000,
            hand_off_after: Duration::from_secs(600),
            suspect_after: 5,
            reading_every: Duration::from_secs(15),
            sweep_every: Duration::from_secs(60),
            leftover_age: Duration::from_secs(3600),
            check_poll: Duration::from_secs(30),
            check_max: Duration::from_secs(120),
            expire_every: Duration::from_secs(1),
            expire_batch: 16,
            trash_every: Duration::from_secs(30),
            trash_age_s: 60,
        }
    }

    /// The deadline of sending `size_bytes`.
    pub(crate) fn send_max(&self, size_bytes: u64) -> Duration {
        let at_worst = Duration::from_secs(size_bytes / self.bytes_per_s_min.max(1));
        Duration::from_secs(30).saturating_add(at_worst)
    }
}
