//! What a catalog is told: where the database is, and every interval it decides by.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use recording::{Meter, NoMeter};

use crate::keyring::KeyRing;

/// Settings of a [`crate::Catalog`]. Tests and the demo shorten the intervals.
#[derive(Clone)]
pub struct Settings {
    /// The database's URL. It may hold a password, so it is never logged.
    pub url: String,
    /// How the server's statistics call our connections.
    pub application_name: String,
    /// Connections at most. Keep the fleet's sum at 2 to 4 times the server's cores.
    pub pool_size: usize,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long to wait for a free connection.
    pub wait_timeout: Duration,
    /// How long one statement may run.
    pub statement_timeout: Duration,
    /// How long one statement may wait for a lock, for instance an operator's.
    pub lock_timeout: Duration,
    /// How long a claim lasts unless it is renewed.
    pub lease: Duration,
    /// When a stored recording is driven because no acknowledgment is noted.
    pub unacknowledged_after: Duration,
    /// When an acknowledged recording is driven because it is not released.
    pub unreleased_after: Duration,
    /// When a driven recording that nobody claimed is due again, the first time.
    pub drive_again_after: Duration,
    /// The longest that this doubles to.
    pub drive_again_at_most: Duration,
    /// When an announcement that nobody confirmed is owed by housekeeping, and again after.
    pub announce_after: Duration,
    /// How long a quarantined message that was handed out stays marked.
    pub requeue_again_after: Duration,
    /// How often a quarantined message is judged that may not return yet. Creating its account
    /// or releasing its path has it judged at once.
    pub judge_again_after: Duration,
    /// How long notes are gathered before they are written.
    pub note_every: Duration,
    /// How many notes are written at once.
    pub note_batch: usize,
    /// How many notes may wait; more are dropped and counted.
    pub note_backlog: usize,
    /// How long after an upload in parts was begun its account's leftovers in that destination
    /// are looked for, and again after a sweep that did not end.
    pub sweep_after: Duration,
    /// How long quarantined messages are kept that nobody can requeue.
    pub quarantine_kept_for: Duration,
    /// How long a change of a destination's health must last before anybody is told: what was
    /// under way when it changed may change it back.
    pub settle_after: Duration,
    /// How long after a breaker opened its first probe is driven; doubling.
    pub probe_after: Duration,
    /// The longest that this doubles to, and the longest that a probe keeps others from trying.
    pub probe_at_most: Duration,
    /// How long what an open breaker holds back is put off at a time. Closing it makes it due.
    pub held_for: Duration,
    /// How long what a person asked for is let through an open breaker.
    pub asked_for: Duration,
    /// How often a destination in use is checked, and how soon again where that found trouble or
    /// came to nothing.
    pub check_every: Duration,
    /// See [`Settings::check_every`].
    pub check_again_after: Duration,
    /// How long before a secret ends it is warned of, first and last.
    pub secret_warnings: (Duration, Duration),
    /// How long an account's sweep rests between two batches of copies that retention takes.
    pub retention_pause: Duration,
    /// How long after somebody worked on a recording without a proven copy what he sent may still
    /// be carried out: nobody looks before whether anything of it is left.
    pub late_writes: Duration,
    /// The keys of secrets at rest. Without it secrets stay locked, and no destination that has
    /// one can be set.
    pub keyring: Option<KeyRing>,
    /// Days that copies are kept where no policy says; `None` is for ever.
    pub default_retention_days: Option<u32>,
    /// Told how long statements take, and of those that fail.
    pub meter: Arc<dyn Meter>,
}

impl Settings {
    /// The defaults, for the database at `url`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            application_name: "callferry".to_owned(),
            pool_size: 8,
            connect_timeout: Duration::from_secs(5),
            wait_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(3),
            lease: recording::LEASE,
            unacknowledged_after: Duration::from_secs(60),
            unreleased_after: Duration::from_secs(5 * 60),
            drive_again_after: Duration::from_secs(10 * 60),
            drive_again_at_most: Duration::from_secs(6 * 3600),
            announce_after: Duration::from_secs(60),
            requeue_again_after: Duration::from_secs(60),
            judge_again_after: Duration::from_secs(60),
            note_every: Duration::from_millis(100),
            note_batch: 500,
            note_backlog: 10_000,
            sweep_after: Duration::from_secs(3600),
            quarantine_kept_for: Duration::from_secs(90 * 24 * 3600),
            settle_after: Duration::from_secs(5),
            probe_after: Duration::from_secs(30),
            probe_at_most: Duration::from_secs(2 * 60),
            held_for: Duration::from_secs(3600),
            asked_for: Duration::from_secs(2 * 60),
            check_every: Duration::from_secs(24 * 3600),
            check_again_after: Duration::from_secs(3600),
            secret_warnings: (
                Duration::from_secs(14 * 24 * 3600),
                Duration::from_secs(3 * 24 * 3600),
            ),
            retention_pause: Duration::from_secs(1),
            late_writes: recording::REROUTE_QUIET,
            keyring: None,
            default_retention_days: Some(180),
            meter: Arc::new(NoMeter),
        }
    }

    pub(crate) fn retention_days(&self) -> Option<i32> {
        self.default_retention_days
            .map(|days| i32::try_from(days).unwrap_or(i32::MAX / 24))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("url", &"(not shown)")
            .field("application_name", &self.application_name)
            .field("pool_size", &self.pool_size)
            .field("lease", &self.lease)
            .field("keyring", &self.keyring)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_not_shown() {
        let settings = Settings::new("postgres://u:hunter2@db/x");
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
