//! The ledger in numbers, for gauges that are read every few seconds.
//!
//! One statement, one pass over the open rows by their own index: what is released or expired,
//! most of the table, is not looked at.

use std::str::FromStr;
use std::time::Duration;

use recording::{AccountId, LedgerFault, LedgerReading, ParkReason, RefusalReason, State, Tally};
use tokio_postgres::Row;

use crate::Catalog;
use crate::drive::queue_from;
use crate::failure::{Failure, corrupt};
use crate::pool::Lent;
use crate::rows::{get, unsigned};

/// Also what the test of its plan explains.
const READING: &str = include_str!("reading.sql");

impl Catalog {
    /// See [`recording::Ledger::reading`].
    pub(crate) async fn count_open(&self) -> Result<LedgerReading, LedgerFault> {
        let mut lent = self.pool.lend().await?;
        lent.begin().await?;
        // A large backlog is when the numbers matter most.
        lent.take_your_time().await?;
        let mut reading = read(&mut lent).await?;
        self.read_health(&mut lent, &mut reading).await?;
        lent.commit().await?;
        Ok(reading)
    }
}

/// The reading, within the transaction of a caller who may take time.
pub(crate) async fn read(lent: &mut Lent) -> Result<LedgerReading, Failure> {
    let mut reading = LedgerReading::default();
    for row in lent.rows(READING, &[]).await? {
        add(&mut reading, &row)?;
    }
    Ok(reading)
}

/// A word of a newer release is left out of its map: operators must not be blind while a fleet
/// is half renewed.
fn known<T: FromStr>(word: &str) -> Option<T> {
    word.parse().ok()
}

fn add(reading: &mut LedgerReading, row: &Row) -> Result<(), Failure> {
    let (what, word): (&str, &str) = (get(row, "what")?, get(row, "word")?);
    let count = unsigned(get(row, "n")?)?;
    let age: Option<f64> = get(row, "age")?;
    // A clock that was set back makes ages negative for a while.
    let oldest = Duration::try_from_secs_f64(age.unwrap_or(0.0)).unwrap_or_default();
    let tally = Tally { count, oldest };
    match what {
        "state" => {
            let state = State::ALL.into_iter().find(|state| state.as_str() == word);
            reading.states.extend(state.map(|state| (state, tally)));
        }
        "parked" => {
            let reason = known::<ParkReason>(word);
            reading.parked.extend(reason.map(|reason| (reason, tally)));
        }
        "release_refused" => {
            let reason = known::<ParkReason>(word).map(|reason| (reason, tally));
            reading.release_refused.extend(reason);
        }
        "quarantined" => {
            let known = RefusalReason::ALL.iter().copied();
            let reason = known.into_iter().find(|reason| reason.as_str() == word);
            let reason = reason.map(|reason| (reason, tally));
            reading.quarantined.extend(reason);
        }
        "unproven" => reading.unproven_oldest = oldest,
        "unacknowledged" => reading.unacknowledged_oldest = oldest,
        "due" => {
            reading.due.insert(queue_from(word)?, count);
        }
        "suspected" => reading.suspected = count,
        "account" => {
            let account = word.parse::<AccountId>();
            let account = account.map_err(|error| corrupt(format!("account: {error}")))?;
            reading.accounts.push((account, count));
        }
        other => return Err(corrupt(format!("`{other}` is not a part of a reading"))),
    }
    Ok(())
}
