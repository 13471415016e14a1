//! Metrics and logging set-up: the only crate that knows `prometheus`. A metric is a method here,
//! its labels are closed sets, and every family's help says what it counts. `deploy/METRICS.md`
//! lists them all and is made from this code.

mod logs;
mod metrics;

pub use logs::{LogFormat, LogsFault, check_filter, log_to_stderr};
pub use metrics::Metrics;
pub use metrics::http::{
    HttpDenial, HttpRoute, KeyReading, PlaybackOutcome, StatusClass, TokenRefusal,
};
pub use metrics::outcome::{CleanupOutcome, Outcome, TransferOutcome};
pub use metrics::readings::{
    ByteBudget, ConfirmCounts, DeliveryCounts, LedgerPool, OutsideReadings, Sessions,
};
pub use metrics::stages::InFlight;
pub use metrics::statement::STATEMENTS;
pub use metrics::words::{CheckVerdict, Divergence, Side, Stage, Suspicion};
