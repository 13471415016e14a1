//! The envelope.

use recording::DestinationOwner;
use uuid::Uuid;

use super::*;

fn binding(place: &str) -> Binding {
    Binding::new(&DestinationOwner::Default, Uuid::nil(), [place; 6])
}

/// A secret as the first release sealed it: under the ring's key itself.
fn of_the_first_release(ring: &KeyRing, secret: &str, place: &str) -> Vec<u8> {
    let key = ring.key(&ring.current_id()).unwrap();
    close(&key, secret.as_bytes(), &binding(place).first_release()).unwrap()
}

#[test]
fn a_secret_opens_only_with_its_keys_and_its_binding_and_unchanged() {
    let ring = KeyRing::generate().unwrap();
    let sealed = ring.seal("hunter2", &binding("here")).unwrap();
    assert_eq!(sealed.key_id, ring.current_id());
    assert_eq!(sealed.wrapped_key.len(), 12 + 32 + 16);
    assert!(!sealed.bytes.windows(7).any(|window| window == b"hunter2"));
    let opens = |ring: &KeyRing, kept: Kept<'_>, place: &str| {
        let opened = ring.open(kept, &binding(place));
        opened.map(|text| text.to_string())
    };
    let kept = sealed.kept();
    assert_eq!(opens(&ring, kept, "here").as_deref(), Some("hunter2"));
    assert_eq!(opens(&ring, kept, "there"), None);
    for (index, _) in sealed.bytes.iter().enumerate() {
        let mut bytes = sealed.bytes.clone();
        bytes[index] ^= 1;
        let (changed, cut) = (&bytes[..], &sealed.bytes[..index]);
        for bytes in [changed, cut] {
            assert_eq!(
                opens(&ring, Kept { bytes, ..kept }, "here"),
                None,
                "{index}"
            );
        }
    }
    for (index, _) in sealed.wrapped_key.iter().enumerate() {
        let mut bytes = sealed.wrapped_key.clone();
        bytes[index] ^= 1;
        for key in [&bytes[..], &sealed.wrapped_key[..index]] {
            let changed = Kept {
                wrapped_key: Some(key),
                ..kept
            };
            assert_eq!(opens(&ring, changed, "here"), None, "{index}");
        }
    }
    let headless = Kept {
        wrapped_key: None,
        ..kept
    };
    assert_eq!(opens(&ring, headless, "here"), None);
    assert_eq!(opens(&KeyRing::generate().unwrap(), kept, "here"), None);
    // The same id, another key.
    let reused = Held::with(sealed.key_id.clone(), Zeroizing::new([7; KEY_BYTES]));
    assert_eq!(opens(&KeyRing::of(reused, None), kept, "here"), None);
}

#[test]
fn a_data_key_of_another_secret_opens_nothing() {
    let ring = KeyRing::generate().unwrap();
    let one = ring.seal("one", &binding("here")).unwrap();
    let two = ring.seal("two", &binding("here")).unwrap();
    let mixed = Kept {
        wrapped_key: Some(&two.wrapped_key),
        ..one.kept()
    };
    assert!(ring.open(mixed, &binding("here")).is_none());
    assert!(ring.rewrap(mixed, &binding("here")).is_none());
}

#[test]
fn a_secret_of_the_first_release_opens_and_is_given_a_data_key_by_a_rotation() {
    let ring = KeyRing::generate().unwrap();
    let (key_id, bytes) = (
        ring.current_id(),
        of_the_first_release(&ring, "old", "here"),
    );
    let kept = Kept {
        key_id: &key_id,
        wrapped_key: None,
        bytes: &bytes,
    };
    let opened = ring.open(kept, &binding("here")).unwrap();
    assert_eq!(*opened, "old");
    assert!(ring.open(kept, &binding("there")).is_none());
    let rewrapped = ring.rewrap(kept, &binding("here")).unwrap();
    assert!(
        rewrapped.bytes != bytes,
        "it is sealed under its data key now"
    );
    let opened = ring.open(rewrapped.kept(), &binding("here")).unwrap();
    assert_eq!(*opened, "old");
}

#[test]
fn no_two_secrets_share_a_nonce_or_a_data_key() {
    let ring = KeyRing::generate().unwrap();
    let mut nonces = std::collections::BTreeSet::new();
    for _ in 0..500 {
        let sealed = ring.seal("x", &binding("")).unwrap();
        nonces.insert(sealed.bytes[..NONCE_LEN].to_vec());
        nonces.insert(sealed.wrapped_key[..NONCE_LEN].to_vec());
        let key = ring.unwrap(&sealed.key_id, &sealed.wrapped_key, &binding(""));
        nonces.insert(key.unwrap().to_vec());
    }
    assert_eq!(nonces.len(), 1500);
}

#[test]
fn a_key_ring_is_not_printed() {
    let ring = KeyRing::generate().unwrap();
    let printed = format!("{ring:?}");
    assert!(printed.contains(&ring.current_id()));
    let key = ring.key(&ring.current_id()).unwrap();
    assert!(!printed.contains(&hex::encode(&key[..])));
    assert!(!printed.contains(&format!("{}, {}", key[0], key[1])));
}

#[test]
fn a_keys_id_says_when_it_was_made_unless_it_is_of_the_first_release() {
    let now = "2026-11-27T03:04:05Z".parse().unwrap();
    let ring = KeyRing::generate_at(now).unwrap();
    assert_eq!(key_made_at(&ring.current_id()), Some(now));
    for other in ["k-1a2b3c4d", "k-1a2b-3c4d", "mine", ""] {
        assert_eq!(key_made_at(other), None, "{other}");
    }
}
