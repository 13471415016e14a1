//! What PostgreSQL and its pool say when they fail, judged once: weather, or a defect.

use std::error::Error as _;

use deadpool_postgres::PoolError;
use recording::LedgerFault;
use tokio_postgres::error::{DbError, SqlState};

/// A failed statement.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What callers are told.
    pub(crate) fault: LedgerFault,
    /// The server's code, where it was the server that failed it.
    state: Option<SqlState>,
    /// The constraint that refused it.
    constraint: Option<String>,
}

impl From<Failure> for LedgerFault {
    fn from(failure: Failure) -> Self {
        failure.fault
    }
}

/// The ledger answered something that this version cannot understand.
pub(crate) fn corrupt(what: impl Into<String>) -> Failure {
    Failure {
        fault: LedgerFault::Corrupt(what.into()),
        state: None,
        constraint: None,
    }
}

/// The ledger could not be asked, or its answer did not come.
pub(crate) fn unavailable(what: impl Into<String>) -> Failure {
    Failure {
        fault: LedgerFault::Unavailable(what.into()),
        state: None,
        constraint: None,
    }
}

impl Failure {
    /// Whether the same statement may well succeed at once: somebody else was in the way.
    pub(crate) fn is_collision(&self) -> bool {
        let Some(state) = &self.state else {
            return false;
        };
        [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
        ]
        .contains(state)
    }

    /// Whether a migration changed the result of a cached plan.
    pub(crate) fn is_stale_plan(&self) -> bool {
        self.state.as_ref() == Some(&SqlState::FEATURE_NOT_SUPPORTED)
    }

    /// Whether the unique constraint of this name refused it.
    pub(crate) fn violates_unique(&self, constraint: &str) -> bool {
        self.state.as_ref() == Some(&SqlState::UNIQUE_VIOLATION)
            && self.constraint.as_deref() == Some(constraint)
    }

    /// Whether somebody else wrote the same at the same time: a race that callers expect.
    pub(crate) fn is_race(&self) -> bool {
        self.state.as_ref() == Some(&SqlState::UNIQUE_VIOLATION)
    }

    /// Whether the connection is still as good as new: the server answered, and goes on.
    pub(crate) fn leaves_connection_usable(&self) -> bool {
        self.state.as_ref().is_some_and(|state| {
            *state == SqlState::QUERY_CANCELED
                || !matches!(state.code().get(..2), Some("08" | "57" | "XX"))
        })
    }
}

/// Classes of SQLSTATE that time or an operator mends, and that say nothing about what the
/// ledger holds: connection, authorisation, missing database, transaction state (read-only),
/// rollback, resources, lock not available, operator intervention, system error.
const WEATHER: [&str; 9] = ["08", "28", "3D", "25", "40", "53", "55", "57", "58"];

fn is_weather(state: &SqlState) -> bool {
    state
        .code()
        .get(..2)
        .is_some_and(|class| WEATHER.contains(&class))
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(told) => told_by_server(told),
            // Only a value that does not fit its type is not the connection's doing.
            None if error.is_closed() || !is_conversion(&error) => unavailable(chain(&error)),
            None => corrupt(chain(&error)),
        }
    }
}

fn told_by_server(told: &DbError) -> Failure {
    let mut text = format!("{}: {}", told.code().code(), told.message());
    for more in [told.detail(), told.hint()].into_iter().flatten() {
        text.push_str("; ");
        text.push_str(more);
    }
    if *told.code() == SqlState::UNDEFINED_TABLE {
        text.push_str("; run `callferry migrate`");
    }
    let fault = if is_weather(told.code()) {
        LedgerFault::Unavailable(text)
    } else {
        LedgerFault::Corrupt(text)
    };
    Failure {
        fault,
        state: Some(told.code().clone()),
        constraint: told.constraint().map(str::to_owned),
    }
}

/// The driver does not tell its errors apart by type; these are its words for values that could
/// not be encoded or decoded, which no repetition mends.
fn is_conversion(error: &tokio_postgres::Error) -> bool {
    let text = error.to_string();
    [
        "error serializing parameter",
        "error deserializing column",
        "invalid column",
        "expected ",
        "query returned an unexpected number of rows",
    ]
    .iter()
    .any(|words| text.starts_with(words))
}

/// An error with all its sources: the driver's own text alone says little.
fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::from(error),
            PoolError::Timeout(step) => unavailable(format!("no connection in time ({step:?})")),
            PoolError::Closed => unavailable("the pool is closed"),
            PoolError::NoRuntimeSpecified => corrupt("the pool has no runtime for its timeouts"),
            PoolError::PostCreateHook(error) => unavailable(format!("a new connection: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_time_mends_are_weather_and_all_others_are_defects() {
        for weather in [
            "40001", "40P01", "57P01", "57P03", "57014", "08006", "53300", "55P03", "25006",
            "58030",
        ] {
            assert!(is_weather(&SqlState::from_code(weather)), "{weather}");
        }
        for defect in [
            "23505", "23514", "42P01", "42703", "22021", "XX000", "0A000",
        ] {
            assert!(!is_weather(&SqlState::from_code(defect)), "{defect}");
        }
    }
}
