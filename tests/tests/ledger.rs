//! The ledger on a real PostgreSQL: what its port promises, and what the database refuses even to
//! statements that are not ours.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test's own helper functions fail by panicking, as the test does"
)]

mod ledger {
    pub(crate) mod accesses;
    pub(crate) mod accounts;
    pub(crate) mod breaker;
    pub(crate) mod checks;
    pub(crate) mod claims;
    pub(crate) mod clouds;
    pub(crate) mod destinations;
    pub(crate) mod driving;
    pub(crate) mod erasing;
    pub(crate) mod health;
    pub(crate) mod isolation;
    pub(crate) mod of_a_time;
    pub(crate) mod options;
    pub(crate) mod outages;
    pub(crate) mod outcomes;
    pub(crate) mod owed;
    pub(crate) mod previews;
    pub(crate) mod quarantine;
    pub(crate) mod readings;
    pub(crate) mod refusals;
    pub(crate) mod releases;
    pub(crate) mod reroutes;
    pub(crate) mod retention;
    pub(crate) mod reused_paths;
    pub(crate) mod rotation;
    pub(crate) mod scale;
    pub(crate) mod secrets;
    pub(crate) mod silent;
    pub(crate) mod standing;
    pub(crate) mod succession;
    pub(crate) mod sweeps;
    pub(crate) mod uploads;
    pub(crate) mod world;
}
