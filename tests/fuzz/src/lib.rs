//! The targets, as the tests have them: `tests/src/fuzz/target.rs`.

#[path = "../../src/fuzz/target.rs"]
pub mod target;
