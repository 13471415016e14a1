//! What operators are given in `deploy/`: users with exactly their powers, on real servers;
//! manifests and units, by those who define them; the image's last stage, as far as a machine
//! without a container engine can show it.

#![expect(
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test fails by panicking, and JSON is read by its names"
)]

mod deployment {
    pub(crate) mod broker_users;
    pub(crate) mod database_users;
    pub(crate) mod drain;
    pub(crate) mod image;
    pub(crate) mod interface;
    pub(crate) mod ledger_calls;
    pub(crate) mod main_job;
    pub(crate) mod manifests;
    pub(crate) mod production;
    pub(crate) mod reach;
    pub(crate) mod tools;
    pub(crate) mod topology;
    pub(crate) mod units;
    pub(crate) mod upgrade;
}
