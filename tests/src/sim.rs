//! The simulation: the real roles, over an outside that is simulated, in one thread, in virtual
//! time, from one seed. The same seed is the same run, to the last request.
//!
//! The outside is an adversary with a specification: requests fail before or after they did
//! something, arrive late, are answered late; processes die, freeze and are stopped; customers
//! delete copies; producers replace files; stores lie. After every effect the oracles compare
//! what is with what must be, and when the storm is over everything must come to an end.
//!
//! ```text
//! cargo run -p callferry-tests --bin sim -- --seeds 10000
//! cargo run -p callferry-tests --bin sim -- --seed 4711 --trace
//! ```

mod broker;
mod bucket;
mod call;
mod dice;
mod ledger;
mod mix;
mod mutant;
mod operator;
mod oracle;
mod process;
mod producer;
mod retention;
mod run;
mod script;
mod settled;
mod side;
mod stage;
mod staging;
mod story;
mod truth;
mod weather;
mod world;

pub use mutant::Mutant;
pub use retention::{RetentionMutant, RetentionReport, RetentionRun, retention};
pub use run::{Options, Report, cells, run};
pub use story::{
    Frozen, Slow, crash_at, late_move, late_move_after_the_loss, lost_take_over, slower_twin,
    steps_of_one, taken_path,
};
