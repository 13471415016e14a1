//! Words: ids, characters, media types and free text.

use recording::RefusalReason::{NotJson, UnsafePath, WrongField};
use serde_json::json;

use crate::bad_input::case::{Case, Cases, End, Lying, Row};

pub(super) fn rows() -> Vec<Row> {
    vec![ids(), characters(), media_types(), attributes()]
}

const ID: &str = "not an identifier: 1 to 128 characters of A-Z a-z 0-9 . _ -";

fn ids() -> Row {
    let mut b10 = Cases::of("B10");
    let long = "x".repeat(129);
    for (what, field, value) in [
        ("of 129 characters", "recording_id", long.as_str()),
        ("with a leading dot", "recording_id", ".hidden"),
        ("that is `..`", "recording_id", ".."),
        ("with a space at its end", "recording_id", "rec-1 "),
        ("with a slash", "recording_id", "a/b"),
        ("with a line feed", "recording_id", "rec-1\n"),
        ("that climbs", "account_id", "../globex"),
        ("with a space", "account_id", "acme corp"),
        ("with a colon", "interaction_id", "call:19"),
    ] {
        let what = format!("`{field}` {what}");
        let says = format!("{field}: {ID}");
        b10.refused(&what, WrongField, &says, |event| {
            event
                .remove("/subject")
                .set(&format!("/data/{field}"), value);
        });
    }
    let says = "recording_id: must not be empty";
    b10.refused("`recording_id` that is empty", WrongField, says, |event| {
        event.remove("/subject").set("/data/recording_id", "");
    });
    let digits = "99999999999999999999999999999999";
    b10.named(
        digits,
        "only digits, more than any number holds",
        End::Stored,
        Case::good,
    );
    let longest = "L".repeat(128);
    b10.named(&longest, "128 characters", End::Stored, Case::good);
    b10.named("b10-TWIN", "upper case", End::Stored, Case::good);
    b10.named(
        "b10-twin",
        "and its twin in lower case",
        End::Stored,
        Case::good,
    );
    b10.row("ids: empty, too long, other characters, leading dot, digits only, twins")
}

fn characters() -> Row {
    let mut b11 = Cases::of("B11");
    for (what, id) in [
        ("NUL", "rec\0"),
        ("an escape character", "rec\u{1b}[2J"),
        ("a bidirectional override", "rec\u{202e}vaw"),
        ("a zero-width space", "rec\u{200b}"),
        ("a Cyrillic letter that looks Latin", "rec-\u{430}"),
        ("a composed letter", "r\u{e9}c"),
        ("a letter with a combining accent", "re\u{301}c"),
    ] {
        let what = format!("a recording id with {what}");
        let says = format!("recording_id: {ID}");
        b11.refused(&what, WrongField, &says, |event| {
            event.remove("/subject").set("/data/recording_id", id);
        });
    }
    b11.bytes(
        "half a surrogate pair",
        NotJson,
        "not one JSON document",
        |text| text.replacen("b11-8\"", "b11\\ud800\"", 1).into_bytes(),
    );
    let says = "original.path: is not a plain relative path";
    for (what, word) in [
        ("NUL", "a\0.wav"),
        ("an escape character", "a\u{1b}[2J.wav"),
        ("a bidirectional override", "a\u{202e}vaw.exe"),
        ("a zero-width joiner", "a\u{200d}.wav"),
        ("a byte order mark", "\u{feff}a.wav"),
    ] {
        b11.refused(&format!("a path with {what}"), UnsafePath, says, |event| {
            event.set("/data/original/path", format!("acme/bad/{word}"));
        });
    }
    for (what, word) in [
        ("a composed letter", "s\u{fc}d"),
        ("its twin with a combining accent", "su\u{308}d"),
    ] {
        b11.add(&format!("a path with {what}"), End::Stored, |case| {
            let lying = Lying::File(Case::bytes(&case.id));
            case.lying(vec![(format!("acme/bad/{word}.wav"), lying)])
                .good()
        });
    }
    b11.stored(
        "free text in any script, and one that runs backwards",
        |event| {
            event.set(
                "/data/attributes/note",
                "\u{202e}R\u{fc}ckruf \u{96fb}\u{8a71} \u{260e}",
            );
        },
    );
    b11.row("characters: NUL, control, bidirectional, zero-width, look-alikes, half surrogates")
}

fn media_types() -> Row {
    let mut b32 = Cases::of("B32");
    let says = "media_type: must be a media type such as audio/wav";
    b32.refused(
        "a media type that breaks a header",
        WrongField,
        says,
        |event| {
            event.set("/data/media_type", "audio/wav\r\nx-amz-acl: public-read");
        },
    );
    b32.refused("a media type without a slash", WrongField, says, |event| {
        event.set("/data/media_type", "wav");
    });
    b32.refused(
        "a media type of 128 characters",
        WrongField,
        says,
        |event| {
            event.set("/data/media_type", format!("audio/{}", "x".repeat(122)));
        },
    );
    for kind in [
        "text/html",
        "image/svg+xml",
        "application/javascript",
        "application/x-unheard-of",
        "audio/wav",
    ] {
        b32.add(&format!("media type {kind}"), End::Stored, |case| {
            let mut case = case.spoilt(|event| {
                event.set("/data/media_type", kind);
            });
            let safe = kind.starts_with("audio/");
            case.media_type = Some(if safe {
                kind
            } else {
                "application/octet-stream"
            });
            case
        });
    }
    b32.row("a media type that is unknown, or that a browser would run")
}

fn attributes() -> Row {
    let mut b33 = Cases::of("B33");
    let says = "attributes: must have at most 2048 bytes together";
    b33.refused("attributes of 2,049 bytes", WrongField, says, |event| {
        event.set("/data/attributes", json!({"n": "x".repeat(2048)}));
    });
    let says = "attributes: must not hold control characters";
    b33.refused("a line break in a value", WrongField, says, |event| {
        event.set("/data/attributes/note", "a\r\nx-amz-acl: public-read");
    });
    b33.refused("a line break in a name", WrongField, says, |event| {
        event.set("/data/attributes", json!({"a\nb": "c"}));
    });
    let says = "attributes: must hold texts only";
    b33.refused("an object as a value", WrongField, says, |event| {
        event.set("/data/attributes", json!({"agent": {"name": "x"}}));
    });
    b33.stored(
        "a name that begins with `x-amz-`, and letters that no header has",
        |event| {
            event.set(
                "/data/attributes",
                json!({"x-amz-acl": "public-read", "K\u{fc}rzel": "\u{96fb}"}),
            );
        },
    );
    b33.stored("attributes of exactly 2,048 bytes", |event| {
        event.set("/data/attributes", json!({"n": "x".repeat(2047)}));
    });
    b33.row("attributes: too many bytes, line breaks, other letters, `x-amz-`")
}
