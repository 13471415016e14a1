//! Events that are nearly right: a valid event with a few places changed, each to something that
//! is aimed at the rules of that place.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// What is done to one place of an event.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// The place is taken away.
    Remove,
    /// The place holds this instead.
    Set(Value),
}

/// The places of a completed event that are changed, as JSON pointers.
const COMPLETED_PLACES: [&str; 19] = [
    "/specversion",
    "/id",
    "/source",
    "/type",
    "/subject",
    "/time",
    "/datacontenttype",
    "/data",
    "/data/recording_id",
    "/data/account_id",
    "/data/interaction_id",
    "/data/kind",
    "/data/media_type",
    "/data/started_at",
    "/data/completed_at",
    "/data/duration_ms",
    "/data/original/path",
    "/data/original/size_bytes",
    "/data/original/sha256",
];

/// The places of an acknowledgment that are changed.
const STORED_PLACES: [&str; 12] = [
    "/specversion",
    "/type",
    "/subject",
    "/data/account_id",
    "/data/recording_id",
    "/data/receipt",
    "/data/receipt/size_bytes",
    "/data/receipt/sha256",
    "/data/receipt/version_id",
    "/data/receipt/checksum",
    "/data/receipt/method",
    "/data/receipt/stored_at",
];

/// Texts put together from pieces that rules are about.
fn pieced(pieces: &'static [&'static str], most: usize) -> impl Strategy<Value = Value> {
    vec(select(pieces), 0..=most).prop_map(|pieces| json!(pieces.concat()))
}

/// Paths: separators, climbing, alike and invisible characters, names at their longest.
fn path() -> impl Strategy<Value = Value> {
    const LONG: &str = concat!(
        "pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp",
        "pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp",
        "pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp",
        "pppppppppppppp"
    );
    let below = pieced(
        &[
            "/",
            "/",
            "a",
            ".",
            "..",
            "...",
            ".callferry",
            ".callferr",
            "callferry",
            "\\",
            "\0",
            "\n",
            "\u{7f}",
            "\u{80}",
            "\u{9f}",
            "\u{a0}",
            "\u{200a}",
            "\u{200b}",
            "\u{200f}",
            "\u{2010}",
            "\u{2029}",
            "\u{202a}",
            "\u{202e}",
            "\u{202f}",
            "\u{205f}",
            "\u{2060}",
            "\u{2069}",
            "\u{206a}",
            "\u{feff}",
            "\u{fefe}",
            "ä",
            "🎧",
            " ",
            "%2e",
            ":",
            LONG,
        ],
        6,
    );
    let start = select(&["acme/", "acme/", "acme/", "acme", "", "/", "beta/", "ACME/"][..]);
    (start, below)
        .prop_map(|(start, below)| json!(format!("{start}{}", below.as_str().unwrap_or_default())))
}

/// Times: every part at and beyond its ends, in every spelling.
fn time() -> impl Strategy<Value = Value> {
    let date = (
        right_or(
            "2026",
            &[
                "1989", "1990", "2028", "2200", "2201", "0000", "9999", "026",
            ],
        ),
        right_or("11", &["00", "01", "02", "04", "12", "13"]),
        right_or("22", &["00", "01", "28", "29", "30", "31", "32"]),
    );
    let clock = (
        right_or("T", &["t", " ", "_", ""]),
        right_or("09:59", &["00:00", "23:59", "24:00", "12:60", "1:00"]),
        right_or(":00", &[":59", ":60", ":61", "", ":5"]),
        right_or("", &[".5", ".999999999", ".1234567890123", ".", ",5"]),
    );
    let offset = right_or(
        "Z",
        &[
            "z",
            "+00:00",
            "-00:00",
            "+23:59",
            "-23:59",
            "+24:00",
            "+02:60",
            "+0200",
            "+02",
            "\u{2212}00:30",
            "",
            " Z",
            "UTC",
            "+2:00",
        ],
    );
    (date, clock, offset).prop_map(|((year, month, day), (t, time, second, part), offset)| {
        json!(format!(
            "{year}-{month}-{day}{t}{time}{second}{part}{offset}"
        ))
    })
}

/// Mostly what is right, so that the rest of a text made of such parts is reached.
fn right_or(
    right: &'static str,
    others: &'static [&'static str],
) -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => Just(right), 2 => select(others)]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(&[0, 1, (1 << 53) - 1, 1 << 53, (1 << 53) + 1, u64::MAX][..]).prop_map(Value::from),
        select(&[-0.0, 0.0, 7.0, 1e9, 9_007_199_254_740_992.0, 0.5][..]).prop_map(Value::from),
    ]
}

fn id() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[A-Za-z0-9][A-Za-z0-9._-]{0,140}".prop_map(Value::from),
        pieced(
            &[
                "a", "Z", "0", ".", "_", "-", " ", "/", "\n", "\0", "ä", "\u{200b}"
            ],
            5
        ),
    ]
}

fn digest() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[0-9a-fA-F]{64}".prop_map(Value::from),
        "[0-9a-g]{62,66}".prop_map(Value::from),
        "crc64nvme:[0-9a-f]{15,17}".prop_map(Value::from),
    ]
}

fn media_type() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[ -~]{0,70}/[ -~]{0,70}".prop_map(Value::from),
        pieced(&["a", "/", ";", "\r\n", "\t", " ", "~", "\u{7f}", "ä"], 5),
    ]
}

fn attributes() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        pieced(
            &[
                "a", "", "\n", "\u{1f}", "\u{7f}", "\u{9f}", "\u{a0}", "\u{202e}", "ä", "🎧"
            ],
            4
        ),
        (0_usize..2100).prop_map(|length| json!("x".repeat(length))),
        (0_usize..1100).prop_map(|length| json!("ä".repeat(length))),
    ];
    let value = prop_oneof![8 => text.clone(), 1 => any_value()];
    vec((text, value), 0..4).prop_map(|entries| {
        let named = entries
            .into_iter()
            .map(|(name, value)| (name.as_str().unwrap_or_default().to_owned(), value));
        Value::Object(named.collect())
    })
}

/// A text that is right somewhere: a word of ours, or as long as a text may be.
fn word() -> impl Strategy<Value = Value> {
    let words = &[
        "",
        "1.0",
        "acme",
        "rec-7f3a",
        "call",
        "Call",
        "screen",
        "voicemail",
        "read_back",
        "reported_checksum",
        "application/json",
        "callferry.recording.completed.v1",
        "callferry.recording.completed.v2",
        "callferry.recording.stored.v1",
        "callferry.transfer.due.v1",
    ][..];
    prop_oneof![
        select(words).prop_map(|word| json!(word)),
        (1020_usize..1030).prop_map(|length| json!("x".repeat(length))),
        (500_usize..1030).prop_map(|length| json!("ä".repeat(length))),
        any::<String>().prop_map(Value::from),
    ]
}

/// Any JSON, some of it too deep.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
    ];
    let tree = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((any::<String>(), inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    });
    let deep = (1_usize..24).prop_map(|depth| (0..depth).fold(json!(1), |below, _| json!([below])));
    prop_oneof![6 => tree, 1 => deep]
}

/// A value aimed at a place.
fn aimed(place: &'static str) -> BoxedStrategy<Value> {
    let aimed = match place.rsplit('/').next().unwrap_or_default() {
        "path" => path().boxed(),
        "time" | "started_at" | "completed_at" | "stored_at" => time().boxed(),
        "size_bytes" | "duration_ms" => number().boxed(),
        "subject" | "recording_id" | "account_id" | "interaction_id" => id().boxed(),
        "sha256" | "checksum" => digest().boxed(),
        "media_type" => media_type().boxed(),
        "attributes" => attributes().boxed(),
        _ => word().boxed(),
    };
    prop_oneof![12 => aimed, 2 => word(), 1 => number(), 1 => any_value()].boxed()
}

fn change(places: &'static [&'static str]) -> impl Strategy<Value = (&'static str, Change)> {
    select(places).prop_flat_map(|place| {
        let changed = prop_oneof![
            9 => aimed(place).prop_map(Change::Set),
            1 => Just(Change::Remove),
        ];
        (Just(place), changed)
    })
}

/// Changes to a completed event: its attributes, an unknown field, and up to two places.
pub(crate) fn completed_changes() -> impl Strategy<Value = Vec<(&'static str, Change)>> {
    let attributes = attributes().prop_map(|a| ("/data/attributes", Change::Set(a)));
    let unknown = any_value().prop_map(|value| ("/data/later", Change::Set(value)));
    prop_oneof![
        1 => vec(attributes, 1),
        1 => vec(unknown, 1),
        10 => vec(change(&COMPLETED_PLACES), 1..3),
    ]
}

/// Changes to an acknowledgment.
pub(crate) fn stored_changes() -> impl Strategy<Value = Vec<(&'static str, Change)>> {
    vec(change(&STORED_PLACES), 1..3)
}

/// The event with the changes made, where their places still exist.
pub(crate) fn changed(mut event: Value, changes: &[(&str, Change)]) -> Value {
    for (place, change) in changes {
        let Some((parent, name)) = place.rsplit_once('/') else {
            continue;
        };
        let Some(Value::Object(parent)) = event.pointer_mut(parent) else {
            continue;
        };
        match change {
            Change::Remove => drop(parent.remove(name)),
            Change::Set(value) => drop(parent.insert((*name).to_owned(), value.clone())),
        }
    }
    event
}
