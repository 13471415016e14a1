//! The examples, from both sides: what the schema says of them and what the reader does.

use std::collections::{BTreeMap, BTreeSet};

use recording::{Delivery, Incoming, MAX_EVENT_BYTES, Refusal, RefusalReason, parse};
use serde::Deserialize;
use serde_json::Value;

use crate::contract::{EVENTS, assert_fits, bytes, deliver, document, files, schemas, validator};

/// What `examples/invalid/manifest.json` says of one file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// The event whose schema it is held against; none where the bytes are not one document.
    event: Option<String>,
    /// The word of the refusal.
    reason: String,
    /// The field that the refusal names; none where it names a place in the bytes.
    field: Option<String>,
    /// `refuses`, or `cannot say: ` and why a schema accepts it.
    schema: String,
    /// The message's content type, where it matters.
    #[serde(default)]
    content_type: Option<String>,
    /// The message's content encoding, where it matters.
    #[serde(default)]
    content_encoding: Option<String>,
}

fn manifest() -> BTreeMap<String, Expected> {
    serde_json::from_value(document("examples/invalid/manifest.json")).unwrap()
}

fn refusal(name: &str, expected: &Expected) -> Refusal {
    let delivery = Delivery {
        content_type: expected.content_type.clone(),
        content_encoding: expected.content_encoding.clone(),
        ..deliver(bytes(&format!("examples/invalid/{name}")))
    };
    match parse(&delivery) {
        Ok(understood) => panic!("{name}: {understood:?}"),
        Err(refusal) => refusal,
    }
}

/// The event that an example's file name begins with.
fn event_of(name: &str) -> &'static str {
    let mut found = EVENTS.into_iter().filter(|event| name.starts_with(event));
    found
        .next()
        .unwrap_or_else(|| panic!("{name}: begins with no event"))
}

#[test]
fn every_schema_is_a_schema_of_2020_12_and_every_event_has_one() {
    let found = files("events");
    let expected: Vec<String> = EVENTS.iter().map(|event| format!("{event}.json")).collect();
    assert_eq!(found, expected);
    for event in EVENTS {
        let schema = document(&format!("events/{event}.json"));
        let kind = format!("callferry.{event}");
        assert_eq!(schema["title"], kind.as_str());
        assert_eq!(schema["properties"]["type"]["const"], kind.as_str());
        assert!(!schema["description"].as_str().unwrap().is_empty());
        validator(event);
    }
    for folder in ["events", "shared"] {
        for name in files(folder) {
            let schema = document(&format!("{folder}/{name}"));
            assert_eq!(
                schema["$schema"], "https://json-schema.org/draft/2020-12/schema",
                "{name}"
            );
            assert!(jsonschema::meta::is_valid(&schema), "{name}");
        }
    }
}

#[test]
fn every_valid_example_fits_its_schema_and_is_understood() {
    let mut seen = BTreeSet::new();
    for name in files("examples/valid") {
        let event = event_of(&name);
        seen.insert(event);
        let body = bytes(&format!("examples/valid/{name}"));
        let value: Value = serde_json::from_slice(&body).unwrap();
        assert_fits(event, &value);
        let data = &value["data"];
        let key = match (event, parse(&deliver(body))) {
            ("recording.completed.v1", Ok(Incoming::Completed(announced, _))) => {
                assert_eq!(data["original"]["path"], announced.original.path.as_str());
                assert_eq!(
                    data["original"]["size_bytes"],
                    announced.original.size_bytes
                );
                announced.key
            }
            ("recording.stored.v1", Ok(Incoming::Stored(stored))) => {
                let receipt = serde_json::to_value(&stored.receipt).unwrap();
                assert_eq!(data["receipt"], receipt, "{name}");
                stored.key
            }
            ("transfer.due.v1", Ok(Incoming::TransferDue(due)))
            | ("cleanup.due.v1", Ok(Incoming::CleanupDue(due))) => due.key,
            // We publish these and do not read them: in a queue of ours they are strangers.
            (
                "recording.parked.v1"
                | "recording.released.v1"
                | "recording.expired.v1"
                | "destination.unhealthy.v1"
                | "destination.healthy.v1",
                Err(refusal),
            ) => {
                assert_eq!(refusal.reason, RefusalReason::UnknownType, "{name}");
                continue;
            }
            (_, other) => panic!("{name}: {other:?}"),
        };
        assert_eq!(data["account_id"], key.account_id.as_str());
        assert_eq!(data["recording_id"], key.recording_id.as_str());
    }
    assert_eq!(seen, BTreeSet::from(EVENTS), "an event has no example");
}

#[test]
fn every_invalid_example_is_refused_with_its_reason_and_field() {
    for (name, expected) in manifest() {
        let refusal = refusal(&name, &expected);
        assert_eq!(
            refusal.reason.as_str(),
            expected.reason,
            "{name}: {refusal}"
        );
        let words: Vec<&str> = name.split("--").collect();
        assert!(
            words.contains(&expected.reason.as_str()),
            "{name}: the name says another reason"
        );
        match &expected.field {
            Some(field) => {
                let start = format!("{field}: ");
                assert!(refusal.detail.starts_with(&start), "{name}: {refusal}");
            }
            None => assert!(refusal.detail.contains(" at line "), "{name}: {refusal}"),
        }
    }
}

#[test]
fn every_invalid_example_is_refused_by_the_schema_unless_a_schema_cannot_say_it() {
    for (name, expected) in manifest() {
        let body = bytes(&format!("examples/invalid/{name}"));
        let cannot_say = expected.schema.starts_with("cannot say: ");
        assert!(cannot_say || expected.schema == "refuses", "{name}");
        let Some(event) = &expected.event else {
            assert!(cannot_say, "{name}: nothing for a schema to look at");
            continue;
        };
        let value: Value = serde_json::from_slice(&body).unwrap();
        let accepted = validator(event).is_valid(&value);
        assert_eq!(accepted, cannot_say, "{name}: {}", expected.schema);
    }
}

#[test]
fn what_is_said_not_to_be_json_is_not_json() {
    let manifest = manifest();
    let not_json = manifest.iter().filter(|(_, e)| e.reason == "not_json");
    for (name, _) in not_json {
        let body = bytes(&format!("examples/invalid/{name}"));
        assert!(serde_json::from_slice::<Value>(&body).is_err(), "{name}");
    }
}

#[test]
fn the_manifest_names_every_file_and_covers_every_reason_that_reading_has() {
    let manifest = manifest();
    let named: Vec<&String> = manifest.keys().collect();
    let found = files("examples/invalid");
    let found: Vec<&String> = found.iter().filter(|n| *n != "manifest.json").collect();
    assert_eq!(named, found);
    assert!(schemas("examples/invalid/.gitattributes").exists());

    let covered: BTreeSet<&str> = manifest.values().map(|e| e.reason.as_str()).collect();
    let of_reading = |reason: &RefusalReason| match reason {
        RefusalReason::ContentType
        | RefusalReason::NotJson
        | RefusalReason::DuplicateKey
        | RefusalReason::TooDeep
        | RefusalReason::MissingField
        | RefusalReason::WrongField
        | RefusalReason::UnknownType
        | RefusalReason::UnsafePath => true,
        // Too large to keep as a file; the test below makes one.
        RefusalReason::TooLarge
        // Only the ledger or the broker knows these; no example can show them.
        | RefusalReason::AccountUnknown
        | RefusalReason::Conflict
        | RefusalReason::PathInUse
        | RefusalReason::ReceiptUnknown
        | RefusalReason::DeliveryLimit => false,
    };
    let expected: BTreeSet<&str> = RefusalReason::ALL
        .iter()
        .filter(|reason| of_reading(reason))
        .map(|reason| reason.as_str())
        .collect();
    assert_eq!(covered, expected);
}

#[test]
fn an_event_is_read_up_to_its_largest_size_and_not_beyond() {
    let mut event = bytes("examples/valid/recording.completed.v1.json");
    event.resize(MAX_EVENT_BYTES, b' ');
    assert!(parse(&deliver(event.clone())).is_ok());
    event.push(b' ');
    let refusal = parse(&deliver(event)).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::TooLarge);
}
