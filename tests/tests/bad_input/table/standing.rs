//! What the ledger knows already: accounts, destinations, earlier announcements, paths in use.

use recording::ParkReason::{self, DigestMismatch, NoDestination};
use recording::RefusalReason::{AccountUnknown, Conflict, PathInUse};
use serde_json::json;

use super::paths::missing;
use crate::bad_input::case::{Case, Cases, End, Row};

/// The account that is created only later.
pub(crate) const LATECOMER: &str = "latecomer";
/// The account that gets its destination only later.
pub(crate) const HOMELESS: &str = "homeless";
/// The recording whose file comes late.
pub(crate) const ARRIVES: &str = "b22-late";
/// The recording whose file grows.
pub(crate) const GROWS: &str = "b26-all";
/// Why a file that may not be read is parked.
pub(crate) const UNREADABLE: ParkReason = ParkReason::OriginalUnreadable;

pub(super) fn rows() -> Vec<Row> {
    vec![
        unknown_account(),
        no_destination(),
        replays(),
        conflicts(),
        same_path(),
    ]
}

fn unknown_account() -> Row {
    let mut b12 = Cases::of("B12");
    let end = End::Quarantine(AccountUnknown);
    let says = "account_id: no such account";
    b12.add("an account that is created later", end, |case| {
        let case = case.of(LATECOMER).good().says(says);
        case.later("`callferry account create`, `destination set`", End::Stored)
    });
    b12.add("an account that never is", end, |case| {
        case.of("nobody").good().says(says)
    });
    b12.add("a known account in upper case", end, |case| {
        case.of("ACME").good().says(says)
    });
    b12.row("an unknown account")
}

fn no_destination() -> Row {
    let mut b14 = Cases::of("B14");
    b14.add(
        "an account without a destination",
        End::Parked(NoDestination),
        |case| {
            let case = case.of(HOMELESS).good();
            case.later("`callferry destination set`", End::Stored)
        },
    );
    b14.row("an account without a destination")
}

fn replays() -> Row {
    let mut b35 = Cases::of("B35");
    b35.add(
        "the same message three times at once",
        End::Stored,
        |case| case.good().good().good(),
    );
    b35.named(
        "b35-again",
        "a recording, and then",
        End::Stored,
        Case::good,
    );
    b35.named(
        "b35-again",
        "the same message when it is released",
        End::Stored,
        |case| case.wave(2).good(),
    );
    b35.named(
        "b35-other",
        "a recording, and then",
        End::Stored,
        Case::good,
    );
    b35.named(
        "b35-other",
        "another message, with another event id and attributes, saying the same",
        End::Stored,
        |case| {
            let case = case.wave(2);
            case.spoilt(|event| {
                event
                    .set("/id", "another")
                    .set("/data/attributes", json!({}));
                event
                    .set("/data/media_type", "audio/x-wav")
                    .remove("/data/duration_ms");
            })
        },
    );
    b35.row("an exact replay")
}

fn conflicts() -> Row {
    let mut b36 = Cases::of("B36");
    b36.named(
        "b36-first",
        "the first announcement",
        End::Stored,
        Case::good,
    );
    b36.named(
        "b36-parked",
        "the first, of a damaged file",
        End::Parked(DigestMismatch),
        |case| {
            case.spoilt(|event| {
                event.set("/data/original/sha256", "0".repeat(64));
            })
            .says("SHA-256")
        },
    );
    let end = End::Quarantine(Conflict);
    for (field, value) in [
        ("original/path", json!("acme/bad/b36-another.wav")),
        ("original/size_bytes", json!(7)),
        ("original/sha256", json!("1".repeat(64))),
        ("started_at", json!("2026-11-22T09:58:00.000001Z")),
        ("completed_at", json!("2026-11-22T10:00:01Z")),
        ("kind", json!("voicemail")),
        ("interaction_id", json!("call-20")),
    ] {
        let dotted = field.replace('/', ".");
        let says = format!("{dotted}: differs from what was announced for this id before");
        for id in ["b36-first", "b36-parked"] {
            let state = id.trim_start_matches("b36-").replace("first", "released");
            let what = format!("another `{dotted}` for a recording that is {state}");
            b36.named(id, &what, end, |case| {
                let case = case.wave(2);
                let case = case.spoilt(|event| {
                    if id == "b36-parked" {
                        event.set("/data/original/sha256", "0".repeat(64));
                    }
                    event.set(&format!("/data/{field}"), value.clone());
                });
                case.says(&says)
            });
        }
    }
    b36.row("the same id with other content")
}

fn same_path() -> Row {
    let mut b39 = Cases::of("B39");
    let path = format!("{HOMELESS}/bad/b39-first.wav");
    b39.named(
        "b39-first",
        "a recording that is parked",
        End::Parked(NoDestination),
        |case| {
            let case = case.of(HOMELESS).good();
            case.later("`callferry destination set`", End::Stored)
        },
    );
    b39.named(
        "b39-second",
        "another id for its path",
        End::Quarantine(PathInUse),
        |case| {
            let mut case = case.of(HOMELESS).wave(2).spoilt(|event| {
                let size = Case::bytes("b39-first").len();
                event.set("/data/original/path", path.clone());
                event.set("/data/original/size_bytes", size);
            });
            case.staged.clear();
            let says = "original.path: another recording that is not released has this path";
            case.says(says)
                .later("nothing; the first is stored and released", missing())
        },
    );
    b39.row("one path for two ids")
}
