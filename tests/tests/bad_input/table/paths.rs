//! The words of a path, before any file is opened; and what leads a key, at configuration time.

use recording::ParkReason::StillGrowing;
use recording::RefusalReason::{UnsafePath, WrongField};

use crate::bad_input::case::{Case, Cases, End, Lying, Row};

const PLAIN: &str = "original.path: is not a plain relative path";
const OUTSIDE: &str = "original.path: lies outside the account's folder";

pub(super) fn rows() -> Vec<Row> {
    vec![words(), foreign(), reserved(), prefixes()]
}

fn words() -> Row {
    let mut b18 = Cases::of("B18");
    for (what, path) in [
        ("absolute", "/etc/passwd"),
        ("absolute, into the account's folder", "/acme/a.wav"),
        ("that climbs", "acme/../globex/a.wav"),
        ("that climbs out", "acme/../../etc/passwd"),
        ("that ends in `..`", "acme/bad/.."),
        ("with `.` in it", "acme/./a.wav"),
        ("with an empty component", "acme//a.wav"),
        ("that ends in a slash", "acme/bad/"),
        ("with backslashes", "acme\\..\\globex\\a.wav"),
        ("with a drive letter and backslashes", "C:\\acme\\a.wav"),
    ] {
        b18.refused(&format!("a path {what}"), UnsafePath, PLAIN, |event| {
            event.set("/data/original/path", path);
        });
    }
    b18.refused("a path with a drive letter", UnsafePath, OUTSIDE, |event| {
        event.set("/data/original/path", "C:/acme/a.wav");
    });
    let says = "original.path: is too long: at most 1024 bytes, 255 in a component";
    b18.refused("a component of 256 bytes", WrongField, says, |event| {
        event.set("/data/original/path", format!("acme/{}", "x".repeat(256)));
    });
    let says = "path: must have at most 1024 bytes";
    b18.refused("a path of 1,025 bytes", WrongField, says, |event| {
        let deep = format!("acme/{}{}", "d/".repeat(400), "x".repeat(220));
        event.set("/data/original/path", deep);
    });
    b18.refused(
        "an empty path",
        WrongField,
        "path: must not be empty",
        |event| {
            event.set("/data/original/path", "");
        },
    );
    b18.add(
        "`%2e%2e`: nothing decodes it",
        End::Parked(StillGrowing),
        |case| {
            let id = case.id.clone();
            let case = case.later("nothing; an hour passes", missing());
            let case = case.spoilt(|event| {
                event.set("/data/original/path", format!("acme/%2e%2e/{id}.wav"));
            });
            case.says("no file at the path yet")
        },
    );
    for name in ["CON", "NUL.wav", "C:stream", "$(reboot) `id` '\"; .wav"] {
        let what = format!("`{name}`, which other systems would not take");
        b18.add(&what, End::Stored, |case| {
            let lying = Lying::File(Case::bytes(&case.id));
            case.lying(vec![(format!("acme/bad/{name}"), lying)]).good()
        });
    }
    b18.row("a path: absolute, climbing, empty components, encoded, backslash, too long")
}

/// What an absent file comes to after an hour.
pub(super) fn missing() -> End {
    End::Parked(recording::ParkReason::OriginalMissing)
}

fn foreign() -> Row {
    let mut b19 = Cases::of("B19");
    let theirs = "globex/bad/theirs.wav".to_owned();
    b19.add(
        "a path in another account's folder, where a file is",
        End::Quarantine(UnsafePath),
        |case| {
            let bytes = b"globex's own secret".to_vec();
            let case = case.spoilt(|event| {
                event.set("/data/original/path", theirs.clone());
            });
            let mut case = case.says(OUTSIDE);
            case.staged.push((theirs.clone(), Lying::File(bytes)));
            case
        },
    );
    for (what, path) in [
        ("the account's name in upper case", "ACME/bad/a.wav"),
        (
            "an account whose name begins like this one's",
            "acme2/bad/a.wav",
        ),
        ("the account's folder itself", "acme"),
        ("no folder at all", "a.wav"),
    ] {
        b19.refused(&format!("a path: {what}"), UnsafePath, OUTSIDE, |event| {
            event.set("/data/original/path", path);
        });
    }
    b19.row("a path below another account's folder")
}

fn reserved() -> Row {
    let mut b24 = Cases::of("B24");
    for (what, path) in [
        ("the trash", ".callferry-trash/acme/rec~1"),
        (
            "a trash in the account's folder",
            "acme/.callferry-trash/rec",
        ),
        ("the staging marker's name", "acme/.callferry-staging"),
    ] {
        b24.refused(&format!("a path in {what}"), UnsafePath, PLAIN, |event| {
            event.set("/data/original/path", path);
        });
    }
    for name in ["b24.wav.part", ".trash", "b24.tmp"] {
        let what = format!("`{name}`, a name that others use for unfinished files");
        b24.add(&what, End::Stored, |case| {
            let lying = Lying::File(Case::bytes(&case.id));
            case.lying(vec![(format!("acme/bad/{name}"), lying)]).good()
        });
    }
    b24.row("names of trash and unfinished files")
}

fn prefixes() -> Row {
    let mut b34 = Cases::of("B34");
    for prefix in [
        "a/../b",
        "/a",
        "a/",
        "a//b",
        ".",
        "{account_id}",
        "a?versionId=1",
        "a#b",
        "a%2fb",
        "a b",
        "a\nb",
        "a*",
        "${aws:username}",
        "s\u{fc}d",
    ] {
        let what = format!("`--prefix {}`", prefix.escape_default());
        b34.add(&what, End::Configuration, |case| {
            let mut case = case.lying(Vec::new()).says("--prefix cannot lead a key");
            case.args = set(&["--prefix", prefix]);
            case
        });
    }
    let long = "p".repeat(513);
    b34.add("a prefix of 513 bytes", End::Configuration, |case| {
        let mut case = case.lying(Vec::new()).says("--prefix cannot lead a key");
        case.args = set(&["--prefix", &long]);
        case
    });
    for (what, bucket) in [
        (
            "a bucket that is a path",
            "acme-recordings/../globex-recordings",
        ),
        ("a bucket that is an ARN", "arn:aws:s3:::acme-recordings"),
    ] {
        b34.add(what, End::Configuration, |case| {
            let mut case = case
                .lying(Vec::new())
                .says("--bucket is not the name of a bucket");
            case.args = set(&[]);
            let at = case
                .args
                .iter()
                .position(|arg| arg == "acme-calls")
                .unwrap();
            bucket.clone_into(&mut case.args[at]);
            case
        });
    }
    b34.row("what leads a key: `..`, braces, slashes at its ends, `?`, `#`, `%`")
}

fn set(more: &[&str]) -> Vec<String> {
    let set = ["destination", "set", "acme", "s3", "--bucket", "acme-calls"];
    let how = ["--region", "eu-central-1"];
    let role = ["--role-arn", "arn:aws:iam::123456789012:role/callferry"];
    let all = [&set[..], &how, &role, more].concat();
    all.into_iter().map(str::to_owned).collect()
}
