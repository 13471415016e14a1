//! Files that are and are not key rings.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;

use recording::DestinationOwner;
use uuid::Uuid;

use super::super::Binding;
use super::*;

#[test]
fn a_ring_is_written_once_for_its_owners_eyes_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.toml");
    let ring = KeyRing::generate().unwrap();
    ring.write_new(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    let read = KeyRing::load(&path).unwrap();
    assert_eq!(read.current_id(), ring.current_id());
    let binding = Binding::new(&DestinationOwner::Default, Uuid::nil(), [""; 6]);
    let sealed = ring.seal("hunter2", &binding).unwrap();
    let opened = read.open(sealed.kept(), &binding).unwrap();
    assert_eq!(*opened, "hunter2");

    let other = KeyRing::generate().unwrap();
    let refused = other.write_new(&path).unwrap_err();
    assert!(matches!(refused, AdminFault::Exists { .. }), "{refused}");
    assert!(KeyRing::load(&path).is_ok());

    for mode in [0o604, 0o644, 0o602, 0o601] {
        set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let refused = KeyRing::load(&path).unwrap_err();
        assert!(refused.to_string().contains("everybody"), "{refused}");
        assert!(refused.hint().contains("chmod"));
    }
    set_permissions(&path, Permissions::from_mode(0o440)).unwrap();
    assert!(KeyRing::load(&path).is_ok());
    let absent = KeyRing::load(&folder.path().join("absent")).unwrap_err();
    assert!(absent.hint().contains("keyring new"));
    assert!(KeyRing::load(folder.path()).is_err());
}

#[test]
fn what_is_wrong_with_a_ring_is_told_without_quoting_a_key() {
    let key = STANDARD.encode([9; KEY_BYTES]);
    let short = STANDARD.encode([9; 16]);
    let wrong = [
        (format!("current = \"a\"\nkeys = \"{key}\"\n"), "line 2"),
        (
            format!("current = \"a\"\n[keys]\na = \"{key}\"\na = \"{key}\"\n"),
            "line 4",
        ),
        (format!("current = \"a\"\n[keys]\na = {key}\n"), "line 3"),
        (format!("key = \"{key}\"\n"), "line 1"),
        (
            format!("current = \"b\"\n[keys]\na = \"{key}\"\n"),
            "current",
        ),
        (
            format!("current = \"a\"\n[keys]\na = \"{short}\"\n"),
            "32 bytes",
        ),
        (
            format!("current = \"a\"\n[keys]\na = \"~{key}\"\n"),
            "base64",
        ),
        (
            format!("current = \"a b\"\n[keys]\n\"a b\" = \"{key}\"\n"),
            "id",
        ),
    ];
    for (text, names) in wrong {
        let why = parse(&text).err().unwrap();
        assert!(why.contains(names), "{text}: {why}");
        let (begins, _) = key.split_at(8);
        assert!(!why.contains(begins), "{why}");
    }
    let two = format!("current = \"b\"\n[keys]\na = \"{key}\"\nb = \"{key}\"\n");
    let ring = KeyRing::of(parse(&two).unwrap(), None);
    assert_eq!(ring.ids().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(ring.current_id(), "b");
}
