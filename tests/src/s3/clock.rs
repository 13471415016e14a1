//! What time it is for the laboratory server.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use s3s::dto::Timestamp;

/// The wall clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a server for clients in other processes keeps real time; nothing here is simulated"
)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// The wall clock in milliseconds since 1970, as the journal keeps it.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(now().timestamp_millis()).unwrap_or_default()
}

/// Milliseconds since 1970 as `s3s` wants them.
pub(crate) fn timestamp(ms: u64) -> Timestamp {
    Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_millis(ms))
}

/// Milliseconds since 1970 for people.
pub(crate) fn moment(ms: u64) -> DateTime<Utc> {
    i64::try_from(ms)
        .ok()
        .and_then(DateTime::from_timestamp_millis)
        .unwrap_or_default()
}

/// Locks; a panic elsewhere must not hide the state from the test that wants to see it.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
