//! How far the end of a copy is, for people.

use chrono::{DateTime, Utc};
use recording::State;
use serde::Serialize;
use tokio_postgres::Row;

use crate::failure::Failure;
use crate::rows::get;

/// The end of a copy, while it is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExpiryView {
    /// Since when a deletion may have been sent; null if none was.
    pub began_at: Option<DateTime<Utc>>,
    /// `retention` or `erasure`.
    pub why: Option<String>,
    /// Why the copy is still there: `held`, `denied`, `locked` or `unclear`.
    pub outcome: Option<String>,
    /// What was seen then.
    pub detail: Option<String>,
    /// When the lock at the store ends, where it says so.
    pub lock_until: Option<DateTime<Utc>>,
    /// When it is tried again.
    pub next_attempt_at: Option<DateTime<Utc>>,
}

/// Of a row that has these columns.
pub(crate) fn expiry(row: &Row, state: State) -> Result<Option<ExpiryView>, Failure> {
    let expiry = ExpiryView {
        began_at: get(row, "expiry_began_at")?,
        why: get(row, "expiry_for")?,
        outcome: get(row, "expiry_outcome")?,
        detail: get(row, "expiry_detail")?,
        lock_until: get(row, "expiry_lock_until")?,
        next_attempt_at: get(row, "expiry_next_at")?,
    };
    let begun = expiry.began_at.is_some() || expiry.outcome.is_some();
    Ok((begun && state != State::Expired).then_some(expiry))
}
