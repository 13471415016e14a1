//! Metrics and logging set-up: the only crate that knows `prometheus`. A metric is a method here,
//! its labels are closed sets, and every family's help says what it counts.

mod logs;
mod metrics;

pub use logs::{LogFormat, LogsFault, check_filter, log_to_stderr};
pub use metrics::{InFlight, Metrics, Stage};
