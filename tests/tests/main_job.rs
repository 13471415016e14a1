//! End to end: the real binary as separate processes on real servers. Each test has a platform of
//! its own and compares with what it staged, never with what the service says of itself.

#![expect(
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test fails by panicking, and JSON is read by its names"
)]

mod main_job {
    pub(crate) mod credentials;
    pub(crate) mod daily;
    pub(crate) mod damage;
    pub(crate) mod destinations;
    pub(crate) mod health;
    pub(crate) mod news;
    pub(crate) mod outages;
    pub(crate) mod peace;
    pub(crate) mod receipts;
    pub(crate) mod setting;
    pub(crate) mod staging;
    pub(crate) mod switching;
}
