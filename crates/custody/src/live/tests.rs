//! A process notices a rotation, and keeps what it has where it cannot read the new file.

use super::*;
use crate::rotation::KeyFile;

/// A look is good for a second; a test does not wait for it.
fn forget_the_look(keys: &ReceiptKeys) {
    let mut seen = keys.shared.seen.lock().unwrap();
    seen.looked_at = Instant::now().checked_sub(LOOK_EVERY).unwrap();
}

#[test]
fn a_rotation_is_noticed_and_a_broken_file_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipt-key");
    let now = "2026-11-27T00:00:00Z".parse().unwrap();
    let first = KeyFile::make(&path, now).unwrap();
    let keys = ReceiptKeys::load(&path).unwrap();
    let clone = keys.clone();
    let turned = KeyFile::lock(&path).unwrap().turn(now).unwrap();
    assert_eq!(turned.previous, first);
    forget_the_look(&keys);
    assert_eq!(clone.signing_id(), Some(turned.current.clone()));
    assert_eq!(keys.public().len(), 2);

    for broken in [Some("broken"), None] {
        match broken {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        forget_the_look(&keys);
        assert_eq!(keys.signing_id(), Some(turned.current.clone()));
        assert_eq!(keys.trusted().keys().count(), 2);
    }
    assert!(!format!("{keys:?}").contains(&first));
}

#[test]
fn public_keys_in_place_of_private_ones_do_not_turn_receipts_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipt-key");
    let now = "2026-11-27T00:00:00Z".parse().unwrap();
    let first = KeyFile::make(&path, now).unwrap();
    let keys = ReceiptKeys::load(&path).unwrap();
    let private = std::fs::read(&path).unwrap();
    std::fs::write(&path, PublicKey::set(&keys.public()).to_string()).unwrap();
    forget_the_look(&keys);
    assert_eq!(keys.signing_id(), Some(first.clone()));
    // A process that starts with them publishes, and signs nothing.
    assert_eq!(ReceiptKeys::load(&path).unwrap().signing_id(), None);
    // What signs again is taken, also where it is newer.
    std::fs::write(&path, private).unwrap();
    let turned = KeyFile::lock(&path).unwrap().turn(now).unwrap();
    forget_the_look(&keys);
    assert_eq!(keys.signing_id(), Some(turned.current));
}
