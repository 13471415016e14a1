//! Secrets are found nowhere they should not be: every secret there is is unmistakable, the main
//! job runs through good and bad days with everything logged that can be, and then all that came
//! out of it is searched, by `grep`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and JSON is read by its names"
)]

mod canaries {
    pub(crate) mod days;
    pub(crate) mod ear;
    pub(crate) mod memory;
    pub(crate) mod printed;
    pub(crate) mod run;
    pub(crate) mod search;
    pub(crate) mod world;
}
