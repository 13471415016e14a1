//! The whole in numbers and ages.

use anyhow::{Context as _, Result};
use catalog::StatusView;
use recording::LedgerReading;
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::Config;
use crate::wiring;

/// The answer: what the ledger counts, and how long the oldest of each has been so.
pub(crate) fn answer(
    counts: &StatusView,
    open: &LedgerReading,
    receipts: &Receipts,
) -> Result<Value> {
    let mut answer = serde_json::to_value(counts).context("writing the answer as JSON")?;
    if let Some(keys) = answer.as_object_mut() {
        keys.insert("oldest_s".to_owned(), ages(open));
        keys.insert("destinations".to_owned(), destinations(open));
        keys.insert("receipts".to_owned(), json!(receipts));
    }
    Ok(answer)
}

/// Whether custody receipts are signed, as far as this process's configuration says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Receipts {
    /// `signed`, `published` (public keys alone), `unsigned` (no file is configured) or
    /// `unreadable`.
    pub(crate) keys: &'static str,
    /// The key that signs.
    pub(crate) key_id: Option<String>,
}

impl Receipts {
    /// In words.
    pub(crate) fn told(&self) -> String {
        match (&self.key_id, self.keys) {
            (Some(key_id), _) => format!("signed under {key_id}"),
            (None, "published") => "public keys are here, the one that signs is not".to_owned(),
            (None, "unreadable") => {
                "the keys cannot be read: `callferry receipt-key show`".to_owned()
            }
            (None, _) => "not signed: CALLFERRY_RECEIPT_KEY_FILE is not set here".to_owned(),
        }
    }
}

/// Looks at the file of keys that is configured here.
pub(crate) fn receipts(config: &Config) -> Receipts {
    let (keys, key_id) = match wiring::receipt_keys(config, false) {
        Ok(None) => ("unsigned", None),
        Ok(Some(keys)) => match keys.signing_id() {
            Some(key_id) => ("signed", Some(key_id)),
            None => ("published", None),
        },
        Err(error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                "the receipt keys cannot be read"
            );
            ("unreadable", None)
        }
    };
    Receipts { keys, key_id }
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
