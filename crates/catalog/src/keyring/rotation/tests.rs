//! Changes of the file, seen by rings that were read before.

use std::fs::{read_to_string, set_permissions, write};

use recording::DestinationOwner;
use uuid::Uuid;

use super::super::{Binding, Sealed};
use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn binding() -> Binding {
    Binding::new(&DestinationOwner::Default, Uuid::nil(), ["x"; 6])
}

#[test]
fn a_turn_keeps_the_older_keys_and_a_running_ring_opens_what_is_under_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    let first = KeyRing::generate_at(at("2026-11-27T03:00:00Z")).unwrap();
    first.write_new(&path).unwrap();
    let running = KeyRing::load(&path).unwrap();
    let old = running.seal("hunter2", &binding()).unwrap();

    let file = KeyRingFile::lock(&path).unwrap();
    let turned = file.turn(at("2026-11-27T03:00:01Z")).unwrap();
    assert_eq!(turned.previous, first.current_id());
    assert!(!turned.was_prepared);
    let made = key_made_at(&turned.current).unwrap();
    assert_eq!(made, at("2026-11-27T03:00:01Z"));
    let mode = std::fs::metadata(&path).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);

    // Another process keeps a secret under the new key; ours was never restarted.
    let rewrapped = file.ring().unwrap().rewrap(old.kept(), &binding()).unwrap();
    assert_eq!(rewrapped.key_id, turned.current);
    assert!(
        rewrapped.bytes == old.bytes,
        "only the data key is wrapped anew"
    );
    assert_eq!(running.current_id(), turned.previous);
    let opened = running.open(rewrapped.kept(), &binding()).unwrap();
    assert_eq!(*opened, "hunter2");
    assert_eq!(running.current_id(), turned.current);
    assert!(running.open(old.kept(), &binding()).is_some());
    // And what is sealed after a turn is under the new key, whoever seals it.
    let again = file.turn(at("2026-11-27T03:00:02Z")).unwrap();
    let sealed = running.seal("x", &binding()).unwrap();
    assert_eq!(sealed.key_id, again.current);
}

#[test]
fn a_prepared_key_waits_and_is_the_next_that_becomes_current() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    KeyRing::generate().unwrap().write_new(&path).unwrap();
    let file = KeyRingFile::lock(&path).unwrap();
    let before = file.ring().unwrap().current_id();
    let waiting = file.prepare(at("2026-11-27T03:00:00Z")).unwrap();
    assert_eq!(file.prepare(at("2026-11-27T04:00:00Z")).unwrap(), waiting);
    assert_eq!(file.ring().unwrap().current_id(), before);
    let turned = file.turn(at("2026-11-27T05:00:00Z")).unwrap();
    assert_eq!((turned.current, turned.was_prepared), (waiting, true));
    let next = file.turn(at("2026-11-27T05:00:00Z")).unwrap();
    assert!(!next.was_prepared);
    assert_eq!(file.ring().unwrap().ids().count(), 3);
}

#[test]
fn a_key_waits_also_when_it_is_made_in_the_second_of_the_current_one_or_by_a_slower_clock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    let made = at("2026-11-27T03:00:00Z");
    let ring = KeyRing::generate_at(made).unwrap();
    ring.write_new(&path).unwrap();
    let file = KeyRingFile::lock(&path).unwrap();
    for now in [made, made, made - TimeDelta::hours(1)] {
        let waiting = file.prepare(now).unwrap();
        let current = file.ring().unwrap().current_id();
        assert!(key_made_at(&waiting) > key_made_at(&current), "{waiting}");
        let turned = file.turn(now).unwrap();
        assert_eq!((turned.current, turned.was_prepared), (waiting, true));
        // And one that nobody prepared is the latest, too.
        let turned = file.turn(now).unwrap();
        assert!(key_made_at(&turned.current) > key_made_at(&turned.previous));
    }
}

#[test]
fn two_changes_do_not_race_and_the_current_key_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    let ring = KeyRing::generate().unwrap();
    ring.write_new(&path).unwrap();
    let file = KeyRingFile::lock(&path).unwrap();
    let second = KeyRingFile::lock(&path).unwrap_err();
    assert!(second.to_string().contains("being changed"), "{second}");
    let kept = file.remove(&ring.current_id()).unwrap_err();
    assert!(kept.hint().contains("keyring rotate"), "{kept}");
    assert!(matches!(
        file.remove("k-none"),
        Err(AdminFault::NotFound { .. })
    ));
    file.turn(at("2026-11-27T03:00:00Z")).unwrap();
    file.remove(&ring.current_id()).unwrap();
    assert_eq!(file.ring().unwrap().ids().count(), 1);
    drop(file);
    assert!(KeyRingFile::lock(&path).is_ok());
    let names = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 1, "nothing is left beside it");
}

#[test]
fn owner_and_permissions_stay_and_what_a_killed_process_left_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    KeyRing::generate().unwrap().write_new(&path).unwrap();
    set_permissions(&path, Permissions::from_mode(0o440)).unwrap();
    write(folder.path().join(".keyring.new"), "half a fi").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let file = KeyRingFile::lock(&link).unwrap();
    file.turn(at("2026-11-27T03:00:00Z")).unwrap();
    let mode = std::fs::metadata(&path).unwrap().mode();
    assert_eq!(mode & 0o777, 0o440);
    assert!(link.is_symlink());
    assert!(!folder.path().join(".keyring.new").exists());
}

#[test]
fn a_ring_whose_file_is_spoilt_meanwhile_goes_on_with_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    KeyRing::generate().unwrap().write_new(&path).unwrap();
    let running = KeyRing::load(&path).unwrap();
    let sealed = running.seal("hunter2", &binding()).unwrap();
    let whole = read_to_string(&path).unwrap();
    for spoilt in ["", "current = 7", "[keys]"] {
        write(&path, spoilt).unwrap();
        assert!(running.open(sealed.kept(), &binding()).is_some());
        let strange = Sealed {
            key_id: "k-strange".to_owned(),
            ..running.seal("x", &binding()).unwrap()
        };
        assert!(running.open(strange.kept(), &binding()).is_none());
    }
    std::fs::remove_file(&path).unwrap();
    assert!(running.open(sealed.kept(), &binding()).is_some());
    write(&path, whole).unwrap();
    assert!(running.open(sealed.kept(), &binding()).is_some());
}
