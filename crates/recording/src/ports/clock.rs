//! Time, as a port, so that the simulation owns it.

use std::fmt::Debug;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// The two clocks a process needs.
pub trait Clock: Debug + Send + Sync {
    /// The wall clock. It may jump; nothing that protects data relies on it.
    fn now(&self) -> DateTime<Utc>;
    /// Time since the machine booted, suspended time included. It never goes back.
    fn boot(&self) -> Duration;
}
