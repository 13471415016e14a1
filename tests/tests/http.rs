//! The HTTP interface as processes serve it: who is believed, who sees what, what is answered, and
//! that all of it is what the OpenAPI document says.

#![expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and a key that an answer lacks reads as null"
)]

mod http {
    pub(crate) mod administration;
    pub(crate) mod audit;
    pub(crate) mod contract;
    pub(crate) mod ended;
    pub(crate) mod fuzzed;
    pub(crate) mod holds;
    pub(crate) mod keys;
    pub(crate) mod life;
    pub(crate) mod limits;
    pub(crate) mod listening;
    pub(crate) mod played;
    pub(crate) mod player;
    pub(crate) mod playing;
    pub(crate) mod receipt_keys;
    pub(crate) mod retained;
    pub(crate) mod scopes;
    pub(crate) mod served;
    pub(crate) mod tokens;
    pub(crate) mod turned_away;
}
