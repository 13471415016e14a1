//! Bad input, end to end: every row of the two tables (`RELIABILITY.md` 3, `DESIGN.md` 5) on real
//! servers, a racer against the real staging code, hostile messages on the command line, and
//! configurations that are damaged byte by byte. `BAD_INPUT.md` beside this crate is what an
//! operator sees of it, written by these tests.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking, and JSON is read by its names"
)]

mod bad_input {
    pub(crate) mod acknowledgments;
    pub(crate) mod book;
    pub(crate) mod case;
    pub(crate) mod configuration;
    pub(crate) mod differences;
    pub(crate) mod event;
    pub(crate) mod floor;
    pub(crate) mod judge;
    pub(crate) mod quarantine;
    pub(crate) mod racer;
    pub(crate) mod run;
    pub(crate) mod table;
    pub(crate) mod wire;
    pub(crate) mod world;
}
