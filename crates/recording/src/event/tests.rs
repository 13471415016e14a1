//! Events read and written: the table of bad input, and the round trip of the acknowledgment.

use serde_json::json;

use super::*;
use crate::{Delivery, RefusalReason};

/// A good `recording.completed`.
pub(crate) fn completed_json() -> serde_json::Value {
    json!({
        "specversion": "1.0", "id": "0b9c", "source": "urn:recorder:eu-1",
        "type": COMPLETED, "subject": "rec-7f3a", "time": "2026-11-22T10:00:05Z",
        "datacontenttype": "application/json",
        "data": {
            "recording_id": "rec-7f3a", "account_id": "acme", "interaction_id": "call-19",
            "kind": "call", "media_type": "audio/wav",
            "started_at": "2026-11-22T09:58:00Z", "completed_at": "2026-11-22T10:00:00Z",
            "duration_ms": 120_000,
            "original": {"path": "acme/2026/11/22/rec-7f3a.wav", "size_bytes": 1_920_044},
            "attributes": {"queue": "sales"}
        }
    })
}

fn deliver(body: impl Into<Vec<u8>>) -> Delivery {
    Delivery {
        body: body.into().into(),
        ..Delivery::default()
    }
}

/// The same, parsed.
pub(crate) fn announced() -> Announced {
    match parse(&deliver(completed_json().to_string())) {
        Ok(Incoming::Completed(announced, _)) => *announced,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_event_is_understood() {
    let event = announced();
    assert_eq!(event.key.to_string(), "acme/rec-7f3a");
    assert_eq!(event.original.size_bytes, 1_920_044);
    assert_eq!(
        event.attributes.get("queue").map(String::as_str),
        Some("sales")
    );
    let mut unknown_fields = completed_json();
    unknown_fields["data"]["later"] = json!({"minor": 1});
    assert!(parse(&deliver(unknown_fields.to_string())).is_ok());
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of bad fields, one row each")]
fn every_bad_field_is_refused_by_name() {
    use RefusalReason::{MissingField, UnknownType, UnsafePath, WrongField};
    let rows = [
        ("/specversion", json!("0.3"), WrongField, "specversion"),
        (
            "/type",
            json!("callferry.recording.completed.v2"),
            UnknownType,
            "type",
        ),
        ("/subject", json!("other"), WrongField, "subject"),
        ("/time", json!("yesterday"), WrongField, "time"),
        ("/data", json!([]), WrongField, "data"),
        (
            "/data/recording_id",
            json!("../x"),
            WrongField,
            "recording_id",
        ),
        ("/data/recording_id", json!(7), WrongField, "recording_id"),
        ("/data/account_id", json!(""), WrongField, "account_id"),
        ("/data/kind", json!("fax"), WrongField, "kind"),
        ("/data/media_type", json!("wav"), WrongField, "media_type"),
        (
            "/data/media_type",
            json!("a/b\r\nx: y"),
            WrongField,
            "media_type",
        ),
        (
            "/data/started_at",
            json!("2026-11-22T10:00:01Z"),
            WrongField,
            "started_at",
        ),
        (
            "/data/started_at",
            json!("2026-11-22T09:58:00"),
            WrongField,
            "started_at",
        ),
        (
            "/data/started_at",
            json!("1969-01-01T00:00:00Z"),
            WrongField,
            "started_at",
        ),
        (
            "/data/completed_at",
            json!("2026-02-30T00:00:00Z"),
            WrongField,
            "completed_at",
        ),
        (
            "/data/completed_at",
            json!("2026-12-31T23:59:60Z"),
            WrongField,
            "completed_at",
        ),
        ("/data/duration_ms", json!(-1), WrongField, "duration_ms"),
        ("/data/original", json!("x"), WrongField, "original"),
        (
            "/data/original/path",
            json!("/etc/passwd"),
            UnsafePath,
            "original.path",
        ),
        (
            "/data/original/path",
            json!("acme/../beta/x"),
            UnsafePath,
            "original.path",
        ),
        (
            "/data/original/path",
            json!("beta/x.wav"),
            UnsafePath,
            "original.path",
        ),
        (
            "/data/original/size_bytes",
            json!("7"),
            WrongField,
            "original.size_bytes",
        ),
        (
            "/data/original/size_bytes",
            json!(1e9),
            WrongField,
            "original.size_bytes",
        ),
        (
            "/data/original/size_bytes",
            json!(1.5),
            WrongField,
            "original.size_bytes",
        ),
        (
            "/data/attributes",
            json!({"a": 1}),
            WrongField,
            "attributes",
        ),
        (
            "/data/attributes",
            json!({"a": "x\ny"}),
            WrongField,
            "attributes",
        ),
        (
            "/data/attributes",
            json!({"a": "x".repeat(2048)}),
            WrongField,
            "attributes",
        ),
    ];
    for (place, value, reason, field) in rows {
        let mut event = completed_json();
        *event.pointer_mut(place).unwrap() = value.clone();
        let refusal = parse(&deliver(event.to_string())).unwrap_err();
        assert_eq!(refusal.reason, reason, "{place} = {value}: {refusal}");
        assert!(refusal.detail.starts_with(field), "{place}: {refusal}");
    }
    let fields = [
        "kind",
        "account_id",
        "original",
        "media_type",
        "started_at",
        "interaction_id",
    ];
    for field in fields {
        let mut event = completed_json();
        event["data"].as_object_mut().unwrap().remove(field);
        let refusal = parse(&deliver(event.to_string())).unwrap_err();
        assert_eq!(refusal.reason, MissingField, "{field}");
        assert!(refusal.detail.starts_with(field), "{refusal}");
    }
    let mut event = completed_json();
    event["data"]["original"]["sha256"] = json!("abc");
    assert_eq!(
        parse(&deliver(event.to_string())).unwrap_err().reason,
        WrongField
    );
}

#[test]
fn what_is_not_one_small_json_document_is_refused() {
    use RefusalReason::{ContentType, DuplicateKey, NotJson, TooDeep, TooLarge, WrongField};
    let reason = |delivery| parse(&delivery).unwrap_err().reason;
    assert_eq!(reason(deliver("")), NotJson);
    assert_eq!(reason(deliver("{\"a\":")), NotJson);
    assert_eq!(reason(deliver("{} {}")), NotJson);
    assert_eq!(reason(deliver(b"\xff\xfe".to_vec())), NotJson);
    assert_eq!(reason(deliver("[1]")), WrongField);
    assert_eq!(reason(deliver("{\"a\":1,\"a\":2}")), DuplicateKey);
    assert_eq!(
        reason(deliver(format!("{}{}", "[".repeat(99), "]".repeat(99)))),
        TooDeep
    );
    assert_eq!(reason(deliver("x".repeat(MAX_EVENT_BYTES + 1))), TooLarge);
    let typed = |content_type: &str| Delivery {
        content_type: Some(content_type.to_owned()),
        ..deliver(completed_json().to_string())
    };
    assert_eq!(reason(typed("text/plain")), ContentType);
    assert_eq!(
        reason(typed("application/json; charset=utf-16")),
        ContentType
    );
    assert!(parse(&typed("application/cloudevents+json; charset=UTF-8")).is_ok());
    let zipped = Delivery {
        content_encoding: Some("gzip".into()),
        ..deliver(completed_json().to_string())
    };
    assert_eq!(reason(zipped), ContentType);
}
