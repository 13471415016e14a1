//! What operators look at: every query of the dashboard and every alert, asked of a real
//! Prometheus that scrapes a real fleet. Alerts are seen firing from a fault and ending with its
//! repair.

#![expect(
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test fails by panicking, and JSON is read by its names"
)]

mod dashboards {
    pub(crate) mod backlogs;
    pub(crate) mod board;
    pub(crate) mod copies;
    pub(crate) mod deaths;
    pub(crate) mod files;
    pub(crate) mod queries;
    pub(crate) mod rules;
    pub(crate) mod runbooks;
    pub(crate) mod tools;
    pub(crate) mod waiting;
    pub(crate) mod watched;
}
