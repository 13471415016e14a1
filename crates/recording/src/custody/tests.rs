//! Statements: written in one way, and read back only from that one.

use serde_json::{Value, json};

use super::*;

fn receipt() -> Receipt {
    Receipt {
        size_bytes: 1_920_044,
        sha256: Sha256::new([0x9f; 32]),
        etag: "\"0x8DD\"".into(),
        version_id: Some("v\u{e9}\u{1}/+".into()),
        checksum: "crc64nvme:2b6b1d1f0c4e8a97".into(),
        content_md5: None,
        method: Method::SentChecksum,
        stored_at: "2026-11-22T10:00:07.123456Z".parse().unwrap(),
    }
}

fn location() -> Location {
    serde_json::from_value(json!("s3://acme-recordings/calls/rec-7f3a.wav")).unwrap()
}

fn both() -> [Statement; 2] {
    let receipt = receipt();
    let stored = Statement::Stored(StoredStatement {
        account_id: "acme".parse().unwrap(),
        acknowledgment_id: Uuid::from_u128(7),
        checksum: receipt.checksum.clone(),
        content_md5: receipt.content_md5.clone(),
        destination_revision: 12,
        etag: receipt.etag.clone(),
        location: location(),
        method: receipt.method,
        recording_id: "rec-7f3a".parse().unwrap(),
        sha256: receipt.sha256,
        size_bytes: receipt.size_bytes,
        statement: StoredWord::V1,
        stored_at: receipt.stored_at,
        version_id: receipt.version_id.clone(),
    });
    let expired = Statement::expired(&ExpiredCopy {
        key: RecordingKey {
            account_id: "acme".parse().unwrap(),
            recording_id: "rec-7f3a".parse().unwrap(),
        },
        destination_revision: 12,
        location: location(),
        receipt,
        expiry_id: Uuid::from_u128(8),
        expired_at: "2027-11-22T10:00:07Z".parse().unwrap(),
        method: Absence::NoVersionAtTheKey,
        reason: ExpiryReason::Retention,
    });
    [stored, expired]
}

#[test]
fn a_statement_is_written_with_its_fields_in_order_and_read_back_as_it_was() {
    for statement in both() {
        let payload = statement.payload().unwrap();
        assert_eq!(Statement::read(&payload).unwrap(), statement);
        let text = String::from_utf8(payload.clone()).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let names: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        let mut places: Vec<_> = names
            .iter()
            .map(|name| (text.find(&format!("\"{name}\":")).unwrap(), name.clone()))
            .collect();
        places.sort();
        let written: Vec<_> = places.into_iter().map(|(_, name)| name).collect();
        let mut sorted = names;
        sorted.sort();
        assert_eq!(written, sorted);
        assert_eq!(value["statement"], statement.name());
    }
}

#[test]
fn whatever_could_be_read_in_two_ways_is_no_statement() {
    let [stored, expired] = both();
    let good = String::from_utf8(stored.payload().unwrap()).unwrap();
    for (what, text, why) in [
        (
            "white space",
            good.replacen(',', ", ", 1),
            MalformedStatement::NotCanonical,
        ),
        (
            "a key twice",
            good.replacen('{', "{\"account_id\":\"evil\",", 1),
            MalformedStatement::NotJson,
        ),
        (
            "trailing bytes",
            format!("{good}{{}}"),
            MalformedStatement::NotJson,
        ),
        (
            "an unknown field",
            good.replacen('{', "{\"aaa\":1,", 1),
            MalformedStatement::Fields,
        ),
        (
            "another order",
            good.replacen("{\"account_id\":\"acme\",", "{", 1).replacen(
                '}',
                ",\"account_id\":\"acme\"}",
                1,
            ),
            MalformedStatement::NotCanonical,
        ),
        (
            "an escape",
            good.replacen("acme", "\\u0061cme", 1),
            MalformedStatement::NotCanonical,
        ),
        (
            "another notation of the time",
            good.replacen("07.123456Z", "07.123456+00:00", 1),
            MalformedStatement::NotCanonical,
        ),
        (
            "upper case",
            good.replacen("9f9f", "9F9F", 1),
            MalformedStatement::NotCanonical,
        ),
        (
            "a later version",
            good.replacen("stored.v1", "stored.v2", 1),
            MalformedStatement::Unknown,
        ),
        (
            "the other statement's name",
            good.replacen("recording.stored.v1", expired.name(), 1),
            MalformedStatement::Fields,
        ),
        ("nothing", String::new(), MalformedStatement::NotJson),
        ("a list", "[]".to_owned(), MalformedStatement::Unknown),
    ] {
        assert_eq!(Statement::read(text.as_bytes()), Err(why), "{what}");
    }
}

#[test]
fn the_words_of_an_expiry_are_those_that_are_signed() {
    for word in Absence::ALL {
        assert_eq!(json!(word), word.as_str());
    }
    for word in ExpiryReason::ALL {
        assert_eq!(json!(word), word.as_str());
    }
}
