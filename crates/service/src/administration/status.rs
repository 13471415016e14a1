//! The whole in numbers and ages.

use anyhow::{Context as _, Result};
use catalog::StatusView;
use recording::LedgerReading;
use serde_json::{Value, json};

/// The answer: what the ledger counts, and how long the oldest of each has been so.
pub(crate) fn answer(counts: &StatusView, open: &LedgerReading) -> Result<Value> {
    let mut answer = serde_json::to_value(counts).context("writing the answer as JSON")?;
    if let Some(keys) = answer.as_object_mut() {
        keys.insert("oldest_s".to_owned(), ages(open));
        keys.insert("destinations".to_owned(), destinations(open));
    }
    Ok(answer)
}

/// The health of the destinations, without saying whose.
fn destinations(open: &LedgerReading) -> Value {
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
fn ages(open: &LedgerReading) -> Value {
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
