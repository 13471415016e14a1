//! Properties of reading: whatever the bytes are, there is an answer; and the reader and the
//! schemas agree on what an event is, save for what the schemas are known to be unable to say.

use proptest::collection::vec;
use proptest::prelude::*;
use recording::{Incoming, Refusal, RefusalReason, parse};
use serde_json::Value;

use crate::contract::{bytes, deliver, document, validator};
use crate::strategies::{any_value, changed, completed_changes, stored_changes};

const COMPLETED: &str = "recording.completed.v1";
const STORED: &str = "recording.stored.v1";

/// Where a schema accepts what the reader refuses: it counts characters instead of bytes, takes
/// `7.0` for an integer, knows no calendar, and neither compares nor adds up nor counts depth.
/// Everything else is a mistake in one of the two.
fn schema_cannot_say(refusal: &Refusal, event: &Value) -> bool {
    let field = refusal.detail.split(": ").next().unwrap_or_default();
    let bytes_count = |pointer: &str, most: usize| {
        let text = event.pointer(pointer).and_then(Value::as_str);
        text.is_some_and(|text| !text.is_ascii() && text.len() > most)
    };
    let is_float = |pointer: &str| event.pointer(pointer).is_some_and(Value::is_f64);
    match (refusal.reason, field) {
        (RefusalReason::TooDeep, _) => true,
        (RefusalReason::WrongField, "id" | "source") => bytes_count(&format!("/{field}"), 1024),
        (RefusalReason::WrongField, "subject") => event["subject"] != event["data"]["recording_id"],
        // The 29 February, the order of the two, the first and last hours of the range.
        (RefusalReason::WrongField, "time" | "started_at" | "completed_at") => true,
        (RefusalReason::WrongField, "duration_ms") => is_float("/data/duration_ms"),
        (RefusalReason::WrongField, "original.size_bytes") => is_float("/data/original/size_bytes"),
        (RefusalReason::WrongField, "original.path") => bytes_count("/data/original/path", 255),
        (RefusalReason::UnsafePath, "original.path") => {
            let path = event["data"]["original"]["path"].as_str();
            let first = path.and_then(|path| path.split('/').next());
            first != event["data"]["account_id"].as_str()
        }
        (RefusalReason::WrongField, "attributes") => {
            let attributes = event["data"]["attributes"].as_object();
            let lengths = attributes.into_iter().flatten();
            let total: usize = lengths
                .map(|(name, value)| name.len() + value.as_str().map_or(0, str::len))
                .sum();
            total > 2048
        }
        (RefusalReason::WrongField, "receipt") => {
            let stored_at = event.pointer("/data/receipt/stored_at");
            let stored_at = stored_at.and_then(Value::as_str).unwrap_or_default();
            // The 29th of February of a year that has none.
            let no_such_day = chrono::DateTime::parse_from_rfc3339(stored_at).is_err();
            is_float("/data/receipt/size_bytes") || no_such_day
        }
        _ => false,
    }
}

/// Holds the two against each other and returns whether the reader understood.
fn compare(
    event: &str,
    value: &Value,
    understood: &Result<Incoming, Refusal>,
) -> Result<(), TestCaseError> {
    let fits = validator(event).is_valid(value);
    match understood {
        Ok(Incoming::Completed(..)) => {
            let complaints: Vec<_> = validator(COMPLETED).iter_errors(value).collect();
            prop_assert!(complaints.is_empty(), "understood, but {:?}", complaints);
        }
        // A stranger's acknowledgment or drive may lack what ours always have; the ledger is
        // asked before anything is done about it.
        Ok(Incoming::Stored(_) | Incoming::TransferDue(_) | Incoming::CleanupDue(_)) => {}
        Err(refusal) => {
            let excused = schema_cannot_say(refusal, value);
            prop_assert!(!fits || excused, "the schema accepts, but {}", refusal);
        }
    }
    Ok(())
}

fn example(event: &str) -> Vec<u8> {
    bytes(&format!("examples/valid/{event}.json"))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4096,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_are_refused_with_a_reason_and_never_panic(body in vec(any::<u8>(), 0..512)) {
        let refusal = parse(&deliver(body)).unwrap_err();
        prop_assert!(!refusal.detail.is_empty());
    }

    #[test]
    fn any_json_is_refused_with_a_reason_and_never_panics(value in any_value()) {
        let refusal = parse(&deliver(value.to_string())).unwrap_err();
        prop_assert!(!refusal.detail.is_empty());
        prop_assert!(!validator(COMPLETED).is_valid(&value));
    }

    /// A broken network or disk: bytes changed, lost, doubled. What is still understood fits.
    #[test]
    fn an_event_with_damaged_bytes_never_panics_and_what_is_understood_fits(
        event in prop::sample::select(&[COMPLETED, STORED][..]),
        damage in vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..6),
    ) {
        let mut body = example(event);
        for (place, byte, how) in damage {
            let place = place.index(body.len());
            match how {
                0 => body[place] = byte,
                1 => drop(body.remove(place)),
                2 => body.insert(place, byte),
                _ => body.extend_from_within(place..),
            }
        }
        let understood = parse(&deliver(body.clone()));
        if let Ok(value) = serde_json::from_slice::<Value>(&body) {
            let twice = understood.as_ref().is_err_and(|r| r.reason == RefusalReason::DuplicateKey);
            if !twice {
                compare(event, &value, &understood)?;
            }
        } else {
            prop_assert!(understood.is_err());
        }
    }

    #[test]
    fn reader_and_schema_agree_on_what_a_completed_event_is(changes in completed_changes()) {
        let value = changed(document(&format!("examples/valid/{COMPLETED}.json")), &changes);
        compare(COMPLETED, &value, &parse(&deliver(value.to_string())))?;
    }

    /// One way only: what fits our published contract is understood by our own cleanup.
    #[test]
    fn every_acknowledgment_that_fits_is_understood(changes in stored_changes()) {
        let value = changed(document(&format!("examples/valid/{STORED}.json")), &changes);
        compare(STORED, &value, &parse(&deliver(value.to_string())))?;
    }
}
