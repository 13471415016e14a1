//! The status as a person reads it: one block for each question, the worst of each first, and
//! nothing where there is nothing.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use catalog::StatusView;
use recording::{LedgerReading, ParkReason, RefusalReason, State, Tally};
use serde_json::{Value, json};

use crate::administration::status::Receipts;
use crate::output::{listed, tabular};

/// Accounts shown to a person; the JSON has all.
const ACCOUNTS: usize = 10;

/// What the ledger says.
pub(super) struct Status {
    /// Everything, by state.
    pub(super) counts: StatusView,
    /// What is open, with ages.
    pub(super) open: LedgerReading,
    /// Whether custody receipts are signed.
    pub(super) receipts: Receipts,
}

impl Status {
    /// All of it.
    pub(super) fn text(&self) -> String {
        let (counts, open) = (&self.counts, &self.open);
        let mut text = String::new();
        let mut block = |title: &str, table: String| {
            if !table.is_empty() {
                text.push_str(&format!("{title}\n{}\n\n", table.trim_end()));
            }
        };
        block("Recordings", self.recordings());
        block("Waiting", self.waiting());
        let hint = |word: &str| ParkReason::from_str(word).map_or("-", ParkReason::hint);
        block("Parked", reasons(&counts.parked, &open.parked, hint));
        block(
            "Stored, but the original is not released",
            reasons(&counts.release_refused, &open.release_refused, hint),
        );
        block("Unhealthy destinations", self.destinations());
        block("Quarantine", self.quarantine());
        block("Accounts with most open recordings", self.accounts());
        text.truncate(text.trim_end().len());
        text
    }

    fn recordings(&self) -> String {
        let rows = State::ALL.into_iter().map(|state| {
            let count = self.counts.recordings.get(state.as_str()).copied();
            let oldest = self.open.states.get(&state).map_or_else(none, oldest);
            json!({ "state": state.as_str(), "count": count.unwrap_or(0), "oldest": oldest })
        });
        tabular(&rows.collect(), &["state", "count", "oldest"], "")
    }

    fn destinations(&self) -> String {
        let rows = self.open.unhealthy.iter().map(|(reason, tally)| {
            json!({ "reason": reason.as_str(), "count": tally.count, "oldest": oldest(tally),
                    "hint": reason.hint() })
        });
        tabular(&rows.collect(), &["reason", "count", "oldest", "hint"], "")
    }

    fn waiting(&self) -> String {
        let (counts, open) = (&self.counts, &self.open);
        let age = |oldest: Duration| {
            if oldest.is_zero() {
                none()
            } else {
                age(oldest)
            }
        };
        listed(&json!({
            "not proven yet, oldest": age(open.unproven_oldest),
            "not acknowledged yet, oldest": age(open.unacknowledged_oldest),
            "due to transfer now": counts.due_transfer,
            "due to cleanup now": counts.due_cleanup,
            "for a person": counts.waiting_for_a_person,
            "suspected to take processes down": counts.suspected,
            "secrets of destinations that end soon": open.secrets_ending.0,
            "first of them ends": open.secret_expires_at,
            "custody receipts": self.receipts.told(),
        }))
    }

    fn quarantine(&self) -> String {
        let mut rows: Vec<_> = self.counts.quarantine.iter().collect();
        rows.sort_by_key(|(reason, counts)| (std::cmp::Reverse(counts.messages), *reason));
        let rows = rows.into_iter().map(|(word, counts)| {
            let reason = RefusalReason::from_str(word).ok();
            let since = reason.and_then(|reason| self.open.quarantined.get(&reason));
            json!({ "reason": word, "messages": counts.messages, "seen": counts.seen,
                    "oldest": since.map_or_else(none, oldest) })
        });
        let columns = ["reason", "messages", "seen", "oldest"];
        tabular(&rows.collect(), &columns, "")
    }

    fn accounts(&self) -> String {
        let most = self.open.accounts.iter().take(ACCOUNTS);
        let rows = most.map(|(account, open)| json!({ "account_id": account, "open": open }));
        tabular(&rows.collect(), &["account_id", "open"], "")
    }
}

/// The reasons of one kind, the most frequent first.
fn reasons(
    counts: &BTreeMap<String, u64>,
    ages: &BTreeMap<ParkReason, Tally>,
    hint: impl Fn(&str) -> &'static str,
) -> String {
    let mut rows: Vec<_> = counts.iter().collect();
    rows.sort_by_key(|(reason, count)| (std::cmp::Reverse(**count), *reason));
    let rows = rows.into_iter().map(|(word, count)| {
        let since = ParkReason::from_str(word).ok();
        let since = since.and_then(|reason| ages.get(&reason));
        json!({ "reason": word, "count": count, "hint": hint(word),
                "oldest": since.map_or_else(none, oldest) })
    });
    let columns = ["reason", "count", "oldest", "hint"];
    tabular(&Value::Array(rows.collect()), &columns, "")
}

fn none() -> String {
    "-".to_owned()
}

fn oldest(tally: &Tally) -> String {
    if tally.count == 0 {
        return none();
    }
    age(tally.oldest)
}

/// A length of time in its two largest units.
fn age(length: Duration) -> String {
    let seconds = length.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::QuarantineCounts;

    fn tally(count: u64, seconds: u64) -> Tally {
        Tally {
            count,
            oldest: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn what_is_wrong_is_shown_with_its_age_and_what_helps_the_most_frequent_first() {
        let counts = StatusView {
            recordings: BTreeMap::from([("parked".to_owned(), 5), ("released".to_owned(), 900)]),
            parked: BTreeMap::from([
                ("access_denied".to_owned(), 4),
                ("bucket_missing".to_owned(), 1),
            ]),
            quarantine: BTreeMap::from([(
                "not_json".to_owned(),
                QuarantineCounts {
                    messages: 2,
                    seen: 7,
                },
            )]),
            waiting_for_a_person: 1,
            ..StatusView::default()
        };
        let open = LedgerReading {
            states: BTreeMap::from([(State::Parked, tally(5, 7800))]),
            parked: BTreeMap::from([
                (ParkReason::AccessDenied, tally(4, 7800)),
                (ParkReason::BucketMissing, tally(1, 59)),
            ]),
            quarantined: BTreeMap::from([(RefusalReason::NotJson, tally(2, 100_000))]),
            unproven_oldest: Duration::from_secs(7800),
            unhealthy: BTreeMap::from([(ParkReason::BucketMissing, tally(1, 60))]),
            secrets_ending: (2, 1),
            accounts: vec![("acme".parse().unwrap(), 5)],
            ..LedgerReading::default()
        };
        let receipts = Receipts {
            keys: "unsigned",
            key_id: None,
        };
        let status = Status {
            counts,
            open,
            receipts,
        };
        let text = status.text();
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        for line in [
            "parked 5 2 h 10 min",
            "released 900 -",
            "not proven yet, oldest 2 h 10 min",
            "for a person 1",
            "custody receipts not signed: CALLFERRY_RECEIPT_KEY_FILE is not set here",
            "secrets of destinations that end soon 2",
            "not_json 2 7 1 d 3 h",
            "acme 5",
        ] {
            let words: Vec<_> = line.split_whitespace().collect();
            assert!(lines.contains(&words), "{line}:\n{text}");
        }
        assert!(
            text.contains("access_denied   4      2 h 10 min  the role"),
            "{text}"
        );
        assert!(
            text.contains("Unhealthy destinations\n REASON") && text.contains("1 min 0 s  create"),
            "{text}"
        );
        let place = |word| text.find(word).unwrap();
        assert!(place("access_denied") < place("bucket_missing"), "{text}");
        assert!(
            !text.contains("Stored, but"),
            "nothing of that kind:\n{text}"
        );
    }

    #[test]
    fn an_age_is_said_in_its_two_largest_units() {
        for (seconds, says) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min 0 s"),
            (3599, "59 min 59 s"),
            (3600, "1 h 0 min"),
            (86_399, "23 h 59 min"),
            (86_400, "1 d 0 h"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), says);
        }
    }
}
