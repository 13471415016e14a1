//! The set-up kit: its documents judged by programs that others wrote; a fleet that works with
//! exactly what it grants, on a server that enforces it, and what stops without each part of it;
//! and the journey of the README, followed literally.

#![expect(
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test fails by panicking, and JSON is read by its names"
)]

mod setup_kit {
    pub(crate) mod application;
    pub(crate) mod asking;
    pub(crate) mod checked;
    pub(crate) mod customer;
    pub(crate) mod documents;
    pub(crate) mod granted;
    pub(crate) mod journey;
    pub(crate) mod missing;
    pub(crate) mod setting;
}
