//! Keys are made, prepared and turned; what is in the file after each.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::{ReceiptKeys, Standing};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn a_rotation_keeps_the_public_half_of_the_older_key_and_not_the_private_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipt-key");
    let first = KeyFile::make(&path, at("2026-01-01T00:00:00Z")).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let (keys, _) = read(&path).unwrap();
    let seed = keys.signing().unwrap().text();

    let file = KeyFile::lock(&path).unwrap();
    assert!(!KeyFile::lock(&path).unwrap_err().is_wrong, "one at a time");
    let prepared = file.prepare(at("2026-02-01T00:00:00Z")).unwrap();
    assert_eq!(file.prepare(at("2026-02-02T00:00:00Z")).unwrap(), prepared);
    let keys = ReceiptKeys::load(&path).unwrap();
    assert_eq!(keys.signing_id(), Some(first.clone()));
    assert_eq!(keys.public().len(), 2, "a key is published before it signs");

    std::fs::set_permissions(&path, Permissions::from_mode(0o440)).unwrap();
    let turned = file.turn(at("2026-02-03T00:00:00Z")).unwrap();
    assert_eq!((&turned.previous, &turned.current), (&first, &prepared));
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o440);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(seed.as_str()), "{text}");
    let keys = ReceiptKeys::load(&path).unwrap();
    let standings: Vec<_> = keys
        .views()
        .into_iter()
        .map(|it| (it.key_id, it.standing))
        .collect();
    let expected = [
        (prepared.clone(), Standing::Current),
        (first, Standing::Retired),
    ];
    assert_eq!(standings, expected);

    // Without a prepared one, a new one.
    let turned = file.turn(at("2026-03-03T00:00:00Z")).unwrap();
    assert_eq!(turned.previous, prepared);
    assert_eq!(ReceiptKeys::load(&path).unwrap().public().len(), 3);
    drop(file);
    assert!(KeyFile::lock(&path).is_ok());
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing is left behind");
}

#[test]
fn nothing_is_overwritten_and_nothing_of_a_file_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipt-key");
    KeyFile::make(&path, at("2026-01-01T00:00:00Z")).unwrap();
    let good = std::fs::read_to_string(&path).unwrap();
    let again = KeyFile::make(&path, at("2026-01-01T00:00:00Z")).unwrap_err();
    assert!(again.why.contains("there already"), "{again}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), good);

    let (keys, _) = read(&path).unwrap();
    let seed = keys.signing().unwrap().text();
    let id = keys.current.unwrap();
    for (bad, says) in [
        (
            good.replace(&format!("current = \"{id}\""), "current = \"x\""),
            "as current",
        ),
        (
            good.replace(&format!("[keys.\"{id}\"]"), "[keys.other]"),
            "another name",
        ),
        (good.replace("private", "public"), "base64url"),
        (good.replace("private = \"", "private = \"A"), "32 bytes"),
        (good.replace("private", "secret"), "see line"),
        (good.replace("private = ", "private "), "see line"),
        ("x".repeat(70_000), "64 KiB"),
        (String::new(), "see line 1"),
    ] {
        std::fs::write(&path, &bad).unwrap();
        let fault = ReceiptKeys::load(&path).unwrap_err();
        assert!(
            fault.is_wrong && fault.why.contains(says),
            "{says}: {fault}"
        );
        assert!(!format!("{fault:?}").contains(seed.as_str()), "{fault:?}");
    }
    std::fs::write(&path, &good).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let open = ReceiptKeys::load(&path).unwrap_err();
    assert!(open.why.contains("by everybody") && open.hint.contains("0440"));
    assert!(ReceiptKeys::load(folder.path()).unwrap_err().is_wrong);
}

#[test]
fn a_set_of_public_keys_publishes_and_does_not_sign_or_turn() {
    let folder = tempfile::tempdir().unwrap();
    let (path, set) = (folder.path().join("key"), folder.path().join("set"));
    let id = KeyFile::make(&path, at("2026-01-01T00:00:00Z")).unwrap();
    let keys = ReceiptKeys::load(&path).unwrap();
    let public = crate::PublicKey::set(&keys.public()).to_string();
    std::fs::write(&set, public).unwrap();
    std::fs::set_permissions(&set, Permissions::from_mode(0o644)).unwrap();
    let published = ReceiptKeys::load(&set).unwrap();
    assert_eq!(published.public(), keys.public());
    assert_eq!(published.signing_id(), None);
    assert_eq!(published.views()[0].standing, Standing::Published);
    assert_eq!(published.views()[0].key_id, id);
    assert!(
        KeyFile::lock(&set)
            .unwrap_err()
            .why
            .contains("public keys alone")
    );
}
