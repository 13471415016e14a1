//! The message itself: its bytes, its size, its shape, its version and its properties.

use recording::RefusalReason::{
    ContentType, DuplicateKey, MissingField, NotJson, TooDeep, TooLarge, UnknownType, WrongField,
};
use serde_json::{Value, json};

use crate::bad_input::case::{Cases, End, Row};

/// The largest event.
const MAX: usize = 256 * 1024;

pub(super) fn rows() -> Vec<Row> {
    vec![
        not_json(),
        shape(),
        size(),
        duplicates(),
        fields(),
        unknown_fields(),
        versions(),
        content_types(),
        properties(),
    ]
}

fn not_json() -> Row {
    let mut b01 = Cases::of("B01");
    let says = "not one JSON document: wrong at line 1";
    b01.bytes("an empty body", NotJson, "not one JSON document", |_| {
        Vec::new()
    });
    b01.bytes("a text that is no JSON", NotJson, says, |_| {
        b"recording b01-2 is complete".to_vec()
    });
    b01.bytes("bytes that are not UTF-8", NotJson, says, |text| {
        let mut bytes = text.into_bytes();
        let at = bytes.windows(5).position(|word| word == b"sales").unwrap();
        bytes[at] = 0xff;
        bytes
    });
    b01.bytes("truncated JSON", NotJson, says, |text| {
        text.as_bytes()[..text.len() / 2].to_vec()
    });
    b01.bytes("a second document behind it", NotJson, says, |text| {
        format!("{text}{text}").into_bytes()
    });
    b01.bytes("a byte order mark before it", NotJson, says, |text| {
        format!("\u{feff}{text}").into_bytes()
    });
    b01.bytes("NUL bytes behind it", NotJson, says, |text| {
        format!("{text}\0\0").into_bytes()
    });
    b01.row("empty; not UTF-8; not JSON; truncated; trailing bytes; byte order mark")
}

fn shape() -> Row {
    let mut b02 = Cases::of("B02");
    let says = "(top): must be an object";
    b02.bytes("an array around it", WrongField, says, |text| {
        format!("[{text}]").into_bytes()
    });
    b02.bytes("a number", WrongField, says, |_| b"4711".to_vec());
    b02.bytes("null", WrongField, says, |_| b"null".to_vec());
    b02.refused(
        "17 levels in a field that nobody reads",
        TooDeep,
        "nested deeper than 16",
        |event| {
            let deep = (0..16).fold(json!(1), |inner, _| json!([inner]));
            event.set("/extra", deep);
        },
    );
    b02.bytes("100,000 brackets", TooDeep, "nested deeper than 16", |_| {
        vec![b'['; 100_000]
    });
    b02.refused(
        "a source of 1,025 bytes",
        WrongField,
        "source: must have at most 1024 bytes",
        |event| {
            event.set("/source", "s".repeat(1025));
        },
    );
    b02.stored("1,000 keys that nobody reads", |event| {
        for number in 0..1000 {
            event.set(&format!("/extra{number}"), number);
        }
    });
    b02.stored(
        "a text of 100,000 bytes in a field that nobody reads",
        |event| {
            event.set("/extra", "x".repeat(100_000));
        },
    );
    b02.row("JSON of another shape: array, number, null, deep, many keys, long texts")
}

fn size() -> Row {
    let mut b03 = Cases::of("B03");
    let padded = |size: usize| {
        move |text: String| {
            let mut bytes = text.into_bytes();
            bytes.resize(size, b' ');
            bytes
        }
    };
    let says = "at most 262144";
    b03.bytes("one byte over 256 KiB", TooLarge, says, padded(MAX + 1));
    b03.bytes("1 MiB", TooLarge, says, padded(1 << 20));
    b03.bytes("1 MiB that is no JSON either", TooLarge, says, |_| {
        vec![0xfe; 1 << 20]
    });
    b03.add("exactly 256 KiB", End::Stored, |case| {
        case.bytes_of(padded(MAX))
    });
    b03.row("a message over 256 KiB")
}

fn duplicates() -> Row {
    let mut b04 = Cases::of("B04");
    let says = "a key stands twice at line 1";
    let twice = |find: &'static str, with: &'static str| {
        move |text: String| {
            assert!(text.contains(find), "{find}: {text}");
            text.replacen(find, with, 1).into_bytes()
        }
    };
    let account = r#""account_id":"acme""#;
    let other = r#""account_id":"acme","account_id":"globex""#;
    let same = r#""account_id":"acme","account_id":"acme""#;
    let escaped = r#""account_id":"acme","account\u005fid":"globex""#;
    b04.bytes("two accounts", DuplicateKey, says, twice(account, other));
    b04.bytes("the same twice", DuplicateKey, says, twice(account, same));
    b04.bytes(
        "the second spelt with an escape",
        DuplicateKey,
        says,
        twice(account, escaped),
    );
    let queues = r#""queue":"sales","queue":"support""#;
    b04.bytes(
        "twice among the attributes",
        DuplicateKey,
        says,
        twice(r#""queue":"sales""#, queues),
    );
    b04.row("duplicate keys")
}

fn fields() -> Row {
    let mut b05 = Cases::of("B05");
    for pointer in [
        "/specversion",
        "/id",
        "/source",
        "/type",
        "/data",
        "/data/recording_id",
        "/data/account_id",
        "/data/interaction_id",
        "/data/kind",
        "/data/media_type",
        "/data/started_at",
        "/data/completed_at",
        "/data/original",
        "/data/original/path",
        "/data/original/size_bytes",
    ] {
        let field = pointer.trim_start_matches("/data/").replace('/', ".");
        let field = field.trim_start_matches('.');
        let says = format!("{field}: is missing");
        b05.refused(&format!("no `{field}`"), MissingField, &says, |event| {
            event.remove(pointer);
        });
    }
    let texts = "must be a text";
    for (pointer, value, says) in [
        (
            "/data/recording_id",
            json!(123),
            "recording_id: must be a text",
        ),
        (
            "/data/account_id",
            Value::Null,
            "account_id: must be a text",
        ),
        ("/data/kind", json!("Call"), "kind: is not a kind"),
        ("/data/media_type", json!(["audio/wav"]), texts),
        (
            "/data/original",
            json!("acme/a.wav"),
            "original: must be an object",
        ),
        ("/data", json!([]), "data: must be an object"),
        (
            "/data/attributes",
            Value::Null,
            "attributes: must be an object of texts",
        ),
        (
            "/subject",
            json!("another"),
            "subject: must be data.recording_id",
        ),
    ] {
        let field = pointer.trim_start_matches("/data/").trim_start_matches('/');
        let what = format!("`{field}` is {value}");
        b05.refused(&what, WrongField, says, |event| {
            event.set(pointer, value);
        });
    }
    b05.row("a required field is missing, null or of a wrong type")
}

fn unknown_fields() -> Row {
    let mut b06 = Cases::of("B06");
    b06.stored(
        "unknown fields at the top, in the data and beside the path",
        |event| {
            event
                .set("/partitionkey", "x")
                .set("/data/codec", json!({"name": "pcm"}));
            event.set("/data/original/owner", json!(["root", 0]));
        },
    );
    b06.row("unknown fields beside the known ones")
}

fn versions() -> Row {
    let mut b07 = Cases::of("B07");
    let spec = "specversion: must be \"1.0\"";
    for value in [json!("0.3"), json!("1.1"), json!("-1.0")] {
        b07.refused(&format!("specversion {value}"), WrongField, spec, |event| {
            event.set("/specversion", value);
        });
    }
    let says = "specversion: must be a text";
    b07.refused("specversion 1.0, a number", WrongField, says, |event| {
        event.set("/specversion", 1.0);
    });
    let says = "type: not an event, or not a version of one, that this release knows";
    for kind in ["v2", "v1.1", "v01", "V1", "v-1", ""] {
        let kind = format!("callferry.recording.completed.{kind}");
        b07.refused(&format!("type {kind}"), UnknownType, says, |event| {
            event.set("/type", kind);
        });
    }
    b07.row("a version that is missing, newer, older, negative or of a wrong type")
}

fn content_types() -> Row {
    let mut b08 = Cases::of("B08");
    let says = "content_type: must be application/cloudevents+json in UTF-8";
    for kind in [
        "text/plain",
        "application/xml",
        "application/cloudevents-batch+json",
        "application/json; charset=utf-16",
        "application/jsonp",
    ] {
        let what = format!("content type `{kind}`");
        b08.add(&what, End::Quarantine(ContentType), |case| {
            case.properties(|message| message.property("content_type", kind))
                .says(says)
        });
    }
    for encoding in ["gzip", "deflate", "br"] {
        let what = format!("content encoding `{encoding}`");
        b08.add(&what, End::Quarantine(ContentType), |case| {
            case.properties(|message| message.property("content_encoding", encoding))
                .says("content_encoding: must be absent; nothing is decompressed")
        });
    }
    for kind in ["application/json", "Application/JSON; charset=UTF-8"] {
        b08.add(&format!("content type `{kind}`"), End::Stored, |case| {
            case.properties(|message| message.property("content_type", kind))
        });
    }
    b08.row("a content type that is not JSON; a compressed body; another character set")
}

fn properties() -> Row {
    let mut b09 = Cases::of("B09");
    b09.add("no property at all", End::Stored, |case| {
        case.properties(|mut message| {
            message.properties.clear();
            message
        })
    });
    for (what, name, value) in [
        ("a transient message", "delivery_mode", json!(1)),
        (
            "an expiration that is far away",
            "expiration",
            json!("3600000"),
        ),
        (
            "a queue to reply to",
            "reply_to",
            json!("callferry.cleanup"),
        ),
        ("the highest priority", "priority", json!(255)),
        (
            "a message id of 255 bytes",
            "message_id",
            json!("m".repeat(255)),
        ),
        (
            "a time of before there were computers",
            "timestamp",
            json!(1),
        ),
    ] {
        b09.add(what, End::Stored, |case| {
            case.properties(|message| message.property(name, value))
        });
    }
    b09.add("headers of every kind", End::Stored, |case| {
        let headers = json!({"a": 1, "b": [true, {"c": -1.5}], "d": {"e": "f"}});
        case.properties(|message| message.property("headers", headers))
    });
    b09.add("headers that quarantine sets itself", End::Stored, |case| {
        let headers = json!({"x-callferry-reason": "conflict", "x-death": "none"});
        case.properties(|message| message.property("headers", headers))
    });
    b09.add(
        "an expiration that has passed before any worker runs",
        End::Stored,
        |case| {
            case.wave(0)
                .properties(|message| message.property("expiration", "1"))
        },
    );
    b09.row("properties that are missing or odd")
}
