//! Numbers, digests and times.

use recording::ParkReason::{DigestMismatch, SizeMismatch, StillGrowing};
use recording::RefusalReason::{NotJson, WrongField};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::bad_input::case::{Case, Cases, End, Lying, Row};

pub(super) fn rows() -> Vec<Row> {
    vec![
        sizes(),
        other_size(),
        digests(),
        other_digest(),
        empty(),
        times(),
        stale(),
    ]
}

fn sizes() -> Row {
    let mut b25 = Cases::of("B25");
    let says = "original.size_bytes: must be a whole number from 0 to 2^53";
    for value in [
        json!(-1),
        json!(1.5),
        json!(9_007_199_254_740_993_u64),
        json!("13"),
        Value::Null,
    ] {
        b25.refused(&format!("a size of {value}"), WrongField, says, |event| {
            event.set("/data/original/size_bytes", value);
        });
    }
    for number in ["1e9", "7.0", "-0"] {
        let what = format!("a size written {number}");
        b25.bytes(&what, WrongField, says, |text| {
            let good = "\"size_bytes\":21";
            assert!(text.contains(good), "{text}");
            text.replacen(good, &format!("\"size_bytes\":{number}"), 1)
                .into_bytes()
        });
    }
    let says = "the file has 21 bytes, 9007199254740992 were announced";
    b25.add(
        "a size of 2^53, which no store takes",
        End::Parked(StillGrowing),
        |case| {
            let case = case.later("nothing; an hour passes", End::Parked(SizeMismatch));
            let case = case.spoilt(|event| {
                event.set("/data/original/size_bytes", 9_007_199_254_740_992_u64);
            });
            case.says(says)
        },
    );
    b25.row("a size that is negative, a fraction, an exponent, too large or a text")
}

fn other_size() -> Row {
    let mut b26 = Cases::of("B26");
    let larger = |case: Case, by: i64| {
        let size = i64::try_from(Case::bytes(&case.id).len()).unwrap();
        case.spoilt(|event| {
            event.set("/data/original/size_bytes", size + by);
        })
    };
    b26.add(
        "the file is smaller, and stays so",
        End::Parked(StillGrowing),
        |case| {
            let case = case.later("nothing; an hour passes", End::Parked(SizeMismatch));
            larger(case, 1).says("the file has 21 bytes, 22 were announced")
        },
    );
    b26.add("the file is larger", End::Parked(SizeMismatch), |case| {
        larger(case, -1).says("the file has 21 bytes, 20 were announced")
    });
    b26.named(
        super::standing::GROWS,
        "the file is smaller, and grows",
        End::Parked(StillGrowing),
        |case| {
            let whole = Case::bytes(&case.id);
            let path = case.path().to_owned();
            let half = Lying::File(whole[..9].to_vec());
            let case = case.lying(vec![(path, half)]);
            let case = case.later("the recorder writes the rest", End::Stored);
            let case = case.spoilt(|event| {
                event.set("/data/original/size_bytes", whole.len());
            });
            case.says("the file has 9 bytes, 23 were announced")
        },
    );
    b26.row("a size that is not the file's")
}

fn sha256(case: &Case) -> String {
    hex::encode(Sha256::digest(Case::bytes(&case.id)))
}

/// What is done to the right digest.
type Change = fn(String) -> String;

fn digests() -> Row {
    let mut b27 = Cases::of("B27");
    let says = "original.sha256: not a digest: expected 64 hexadecimal digits";
    let wrong = End::Quarantine(WrongField);
    let changes: [(&str, Change); 6] = [
        ("of 63 digits", |text| text[1..].to_owned()),
        ("of 65 digits", |text| format!("{text}0")),
        ("with a letter that is no digit", |text| {
            format!("{}g", &text[1..])
        }),
        ("of another algorithm", |text| text[..40].to_owned()),
        ("with its algorithm before it", |text| {
            format!("sha256:{text}")
        }),
        ("in base64", |_| {
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned()
        }),
    ];
    for (what, change) in changes {
        b27.add(&format!("a digest {what}"), wrong, |case| {
            let digest = change(sha256(&case));
            let case = case.spoilt(|event| {
                event.set("/data/original/sha256", digest);
            });
            case.says(says)
        });
    }
    let says = "original.sha256: must be a text";
    b27.refused("a digest that is null", WrongField, says, |event| {
        event.set("/data/original/sha256", Value::Null);
    });
    b27.add("the right digest in upper case", End::Stored, |case| {
        let digest = sha256(&case).to_ascii_uppercase();
        case.spoilt(|event| {
            event.set("/data/original/sha256", digest);
        })
    });
    b27.row("a digest of a wrong length, alphabet or algorithm")
}

fn other_digest() -> Row {
    let mut b28 = Cases::of("B28");
    b28.add(
        "a digest that is not the file's",
        End::Parked(DigestMismatch),
        |case| {
            let case = case.spoilt(|event| {
                event.set("/data/original/sha256", "0".repeat(64));
            });
            case.says("SHA-256")
        },
    );
    b28.row("a digest that is not the file's")
}

fn empty() -> Row {
    let mut b29 = Cases::of("B29");
    b29.add("a file of zero bytes", End::Stored, |case| {
        let path = case.path().to_owned();
        case.lying(vec![(path, Lying::File(Vec::new()))]).good()
    });
    b29.row("zero bytes")
}

fn times() -> Row {
    let mut b30 = Cases::of("B30");
    let must = "must be an RFC 3339 time with offset, year 1990 to 2200";
    for (what, field, value) in [
        ("year 0", "started_at", "0000-01-01T00:00:00Z"),
        ("1969", "started_at", "1969-12-31T23:59:59Z"),
        ("year 9999", "completed_at", "9999-12-31T23:59:59Z"),
        ("no offset", "started_at", "2026-11-22T09:58:00"),
        ("a leap second", "completed_at", "2016-12-31T23:59:60Z"),
        ("30 February", "started_at", "2026-02-30T00:00:00Z"),
        (
            "29 February of a year without one",
            "started_at",
            "2026-02-29T00:00:00Z",
        ),
        ("24 o'clock", "started_at", "2026-11-21T24:00:00Z"),
        ("a date alone", "completed_at", "2026-11-22"),
        ("a word", "started_at", "yesterday"),
    ] {
        let says = format!("{field}: {must}");
        b30.refused(&format!("{field}: {what}"), WrongField, &says, |event| {
            event.set(&format!("/data/{field}"), value);
        });
    }
    b30.refused(
        "an event's own time that is none",
        WrongField,
        &format!("time: {must}"),
        |event| {
            event.set("/time", "now");
        },
    );
    let says = "started_at: must not be after completed_at";
    b30.refused("an end before the beginning", WrongField, says, |event| {
        event.set("/data/started_at", "2026-11-22T10:00:00.000001Z");
    });
    let says = "duration_ms: must be a whole number from 0 to 2^53";
    for value in [json!(-1), json!(0.5), json!("120000"), Value::Null] {
        b30.refused(
            &format!("a duration of {value}"),
            WrongField,
            says,
            |event| {
                event.set("/data/duration_ms", value);
            },
        );
    }
    for word in ["NaN", "Infinity"] {
        let what = format!("a duration of {word}");
        b30.bytes(&what, NotJson, "not one JSON document", |text| {
            assert!(text.contains("120000"), "{text}");
            text.replacen("120000", word, 1).into_bytes()
        });
    }
    b30.row("times and durations that cannot be")
}

fn stale() -> Row {
    let mut b38 = Cases::of("B38");
    for (what, from, to) in [
        ("from 1990", "1990-01-01T00:00:00Z", "1990-01-01T00:01:00Z"),
        (
            "from the year 2200",
            "2200-12-31T00:00:00Z",
            "2200-12-31T00:01:00Z",
        ),
        (
            "written in another offset",
            "2026-11-22T23:58:00+14:00",
            "2026-11-22T10:00:00Z",
        ),
    ] {
        b38.stored(what, |event| {
            event
                .set("/data/started_at", from)
                .set("/data/completed_at", to);
        });
    }
    b38.row("an event from long ago, or from the future")
}
