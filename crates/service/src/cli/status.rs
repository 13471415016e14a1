//! `callferry status`: how much is where and since when, as an operator asks at three in the
//! morning. An answer is an answer, however bad: the exit code is 0.

mod shown;

use anyhow::{Context as _, Result};
use clap::Args;
use recording::Ledger;
use serde_json::{Value, json};

use super::Context;
use crate::wiring::{admin_failure, ledger_failure};
use shown::Status;

/// Say how much is where and since when: recordings by state, what is parked or refused release by
/// reason, unhealthy destinations, what is due, suspected or waits for a person, quarantine by
/// reason, and the accounts with most open recordings
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callferry status
  callferry status --json

Ages are in seconds in the JSON (`oldest_s`); `callferry parked list` and
`callferry quarantine list` show what is behind the numbers.")]
pub(crate) struct StatusArgs {}

pub(super) async fn execute(StatusArgs {}: StatusArgs, context: &Context) -> Result<()> {
    let ledger = context.ledger().await?;
    let counts = ledger.status().await.map_err(admin_failure)?;
    let open = ledger.reading().await.map_err(ledger_failure)?;
    let mut answer = serde_json::to_value(&counts).context("writing the answer as JSON")?;
    if let Some(keys) = answer.as_object_mut() {
        keys.insert("oldest_s".to_owned(), ages(&open));
        keys.insert("destinations".to_owned(), destinations(&open));
    }
    let status = Status { counts, open };
    context.output.answer(&answer, |_| status.text())
}

/// The health of the destinations, without saying whose.
fn destinations(open: &recording::LedgerReading) -> Value {
    let unhealthy = open.unhealthy.iter();
    let unhealthy =
        unhealthy.map(|(reason, tally)| (reason.as_str().to_owned(), json!(tally.count)));
    let (first, last) = open.secrets_ending;
    json!({
        "unhealthy": open.unhealthy.values().map(|tally| tally.count).sum::<u64>(),
        "unhealthy_by_reason": Value::Object(unhealthy.collect()),
        "secret_expires_at": open.secret_expires_at,
        "secrets_ending": { "first_warning": first, "last_warning": last },
    })
}

/// How long the oldest of each has been so, in seconds.
fn ages(open: &recording::LedgerReading) -> Value {
    fn of<K: Copy>(
        tallies: &std::collections::BTreeMap<K, recording::Tally>,
        word: impl Fn(K) -> &'static str,
    ) -> Value {
        let each = tallies.iter();
        let each = each.map(|(key, tally)| (word(*key).to_owned(), json!(tally.oldest.as_secs())));
        Value::Object(each.collect())
    }
    json!({
        "recordings": of(&open.states, recording::State::as_str),
        "parked": of(&open.parked, recording::ParkReason::as_str),
        "release_refused": of(&open.release_refused, recording::ParkReason::as_str),
        "quarantine": of(&open.quarantined, recording::RefusalReason::as_str),
        "unhealthy_destinations": of(&open.unhealthy, recording::ParkReason::as_str),
    })
}
