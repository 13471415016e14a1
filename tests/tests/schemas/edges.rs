//! The last value that is understood and the first that is not, for each rule that has an edge:
//! reader and schema draw the line at the same place.

use recording::{Incoming, parse};
use serde_json::{Value, json};

use crate::contract::{deliver, document, validator};
use crate::strategies::{Change, changed};

#[track_caller]
fn assert_agree(place: &str, value: Value, understood: bool) {
    let event = document("examples/valid/recording.completed.v1.json");
    let event = changed(event, &[(place, Change::Set(value))]);
    let read = parse(&deliver(event.to_string()));
    let shown = &event.pointer(place);
    match (&read, understood) {
        (Ok(Incoming::Completed(..)), true) | (Err(_), false) => {}
        other => panic!("{place} = {shown:?}: {other:?}"),
    }
    let fits = validator("recording.completed.v1").is_valid(&event);
    assert_eq!(fits, understood, "{place} = {shown:?}: the schema differs");
}

#[test]
fn times_are_read_in_their_range_and_spellings() {
    let understood = [
        "1990-01-01T00:00:00Z",
        "1989-12-31T23:30:00-00:30",
        "2200-12-31T23:59:59.999999999Z",
        "2201-01-01T00:29:59+00:30",
        "2026-11-30T00:00:00Z",
        "2028-02-29T00:00:00Z",
        "2026-11-22T10:00:00+23:59",
        "2026-11-22T10:00:00-23:59",
        "2026-11-22T10:00:00.12345678901234567890Z",
        "2026-11-22t10:00:00z",
        "2026-11-22 10:00:00Z",
        "2026-11-22T10:00:00\u{2212}05:30",
    ];
    let refused = [
        "1989-12-30T23:59:59Z",
        "2201-01-02T00:00:00+01:00",
        "2026-11-31T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-11-00T00:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T10:60:00Z",
        "2026-11-22T10:00:60Z",
        "2026-11-22T10:00:00+24:00",
        "2026-11-22T10:00:00+00:60",
        "2026-11-22T10:00:00.Z",
        "2026-11-22T10:00:00,5Z",
        "2026-11-22T10:00:00+0200",
        "2026-11-22T10:00:00 Z",
        "2026-11-22T10:00:00Z ",
        "2026-11-22T10:00:00Z\n",
        "2026-11-22T10:00Z",
        "+2026-11-22T10:00:00Z",
        "20261122T100000Z",
    ];
    for text in understood {
        assert_agree("/time", json!(text), true);
    }
    for text in refused {
        assert_agree("/time", json!(text), false);
    }
}

#[test]
fn lengths_and_numbers_are_read_up_to_their_ends() {
    let length = |place: &str, most: usize, text: &dyn Fn(usize) -> Value| {
        assert_agree(place, text(most), true);
        assert_agree(place, text(most + 1), false);
    };
    length("/id", 1024, &|n| json!("x".repeat(n)));
    length("/source", 1024, &|n| json!("x".repeat(n)));
    length("/data/interaction_id", 128, &|n| json!("x".repeat(n)));
    length("/data/media_type", 127, &|n| {
        json!(format!("a/{}", "x".repeat(n - 2)))
    });
    length("/data/original/path", 260, &|n| {
        json!(format!("acme/{}", "x".repeat(n - 5)))
    });
    length("/data/original/path", 1024, &|n| {
        json!(
            format!("acme/{}", "x/".repeat(n))
                .get(..n - 1)
                .map(|p| format!("{p}x"))
        )
    });
    length("/data/attributes", 2048, &|n| json!({"": "x".repeat(n)}));
    length("/data/attributes", 2048, &|n| json!({"x".repeat(n): ""}));
    for place in ["/data/duration_ms", "/data/original/size_bytes"] {
        assert_agree(place, json!(0), true);
        assert_agree(place, json!(-1), false);
        assert_agree(place, json!(1_u64 << 53), true);
        assert_agree(place, json!((1_u64 << 53) + 1), false);
        assert_agree(place, json!(u64::MAX), false);
        assert_agree(place, json!(1e300), false);
    }
}

#[test]
fn path_components_are_read_up_to_the_forbidden_ones() {
    let path = |name: &str| json!(format!("acme/{name}"));
    let near = [
        "\u{20}",
        "\u{a0}",
        "\u{200a}",
        "\u{2010}",
        "\u{2029}",
        "\u{202f}",
        "\u{205f}",
        "\u{206a}",
        "\u{fefe}",
        "\u{ff00}",
        "...",
        ".callferr",
        "x.callferry",
        ".Callferry",
        "a..",
    ];
    let forbidden = [
        "\0",
        "\u{1f}",
        "\u{7f}",
        "\u{80}",
        "\u{9f}",
        "\u{200b}",
        "\u{200f}",
        "\u{202a}",
        "\u{202e}",
        "\u{2060}",
        "\u{2069}",
        "\u{feff}",
        "\\",
        ".",
        "..",
        ".callferry",
        ".callferry-trash",
        "",
        "a/",
        "a//b",
    ];
    for name in near {
        assert_agree("/data/original/path", path(name), true);
    }
    for name in forbidden {
        assert_agree("/data/original/path", path(name), false);
        assert_agree(
            "/data/original/path",
            path(&format!("a/{name}/b/..")),
            false,
        );
    }
}

#[test]
fn free_text_is_read_unless_it_controls_something() {
    for (text, understood) in [
        ("\u{20}", true),
        ("\u{a0}", true),
        ("\u{202e}", true),
        ("\u{1f}", false),
        ("\u{7f}", false),
        ("\u{9f}", false),
    ] {
        assert_agree("/data/attributes", json!({"a": text}), understood);
        assert_agree("/data/attributes", json!({text: "a"}), understood);
    }
    for (text, understood) in [
        ("/", true),
        (" /~", true),
        ("a/\u{7f}", false),
        ("a/\t", false),
        ("a/ä", false),
    ] {
        assert_agree("/data/media_type", json!(text), understood);
    }
}
