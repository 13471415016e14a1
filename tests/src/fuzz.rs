//! Fuzzing: what every byte string must come to, and the corpus that is kept.
//!
//! `tests/fuzz` feeds the targets from libFuzzer; `tests/tests/fuzz_corpus.rs` replays the corpus,
//! and mutations of it, on any machine.

pub mod corpus;
pub mod target;

pub use corpus::{corpus, mutations};
pub use target::TARGETS;
