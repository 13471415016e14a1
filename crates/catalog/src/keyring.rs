//! The key ring: the keys under which secrets of destinations lie in the database.
//!
//! It is a file and never in the database, so that a dump of one is worth nothing without the
//! other. New secrets are sealed under the key that is marked current; older keys stay in the
//! ring for as long as rows name them.

mod file;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

use crate::admin::AdminFault;
use crate::failure::{Failure, corrupt};

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// Several keys with ids, one of them current. Cheap to clone; its memory is cleared when the
/// last clone goes.
#[derive(Clone)]
pub struct KeyRing {
    current: Arc<str>,
    keys: Arc<BTreeMap<String, Key>>,
}

type Key = Zeroizing<[u8; KEY_BYTES]>;

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("current", &self.current)
            .field("ids", &self.ids().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// A secret under a key of the ring.
pub(crate) struct Sealed {
    /// Under which.
    pub(crate) key_id: String,
    /// Nonce, cipher text, tag.
    pub(crate) bytes: Vec<u8>,
}

impl KeyRing {
    /// A ring with one new key, which is current.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate() -> Result<Self, AdminFault> {
        let refuse = |_| AdminFault::refused("the system gives no random bytes", "try again");
        let mut id = [0; 4];
        aws_lc_rs::rand::fill(&mut id).map_err(refuse)?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        aws_lc_rs::rand::fill(&mut key[..]).map_err(refuse)?;
        let id = format!("k-{}", hex::encode(id));
        Ok(Self {
            current: id.as_str().into(),
            keys: Arc::new(BTreeMap::from([(id, key)])),
        })
    }

    /// The id of the key that new secrets are sealed under.
    #[must_use]
    pub fn current_id(&self) -> &str {
        &self.current
    }

    /// The ids of all keys.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    fn key(&self, id: &str) -> Option<RandomizedNonceKey> {
        let key = self.keys.get(id)?;
        RandomizedNonceKey::new(&AES_256_GCM, &key[..]).ok()
    }

    /// Seals a secret so that it opens only together with `context`. The nonce is random; one
    /// key is good for far more secrets (2³²) than there will ever be destinations.
    pub(crate) fn seal(&self, secret: &str, context: &[u8]) -> Result<Sealed, Failure> {
        let failed = || corrupt("a secret could not be sealed: this is a defect");
        let key = self.key(&self.current).ok_or_else(failed)?;
        // Room for the tag from the start: no copy of the plain text is left behind by growing.
        let mut text = Zeroizing::new(Vec::with_capacity(secret.len().saturating_add(16)));
        text.extend_from_slice(secret.as_bytes());
        let nonce = key
            .seal_in_place_append_tag(Aad::from(context), &mut *text)
            .map_err(|_| failed())?;
        let mut bytes = nonce.as_ref().to_vec();
        bytes.extend_from_slice(&text);
        Ok(Sealed {
            key_id: self.current.to_string(),
            bytes,
        })
    }

    /// Opens a secret. `None`: the ring lacks its key, the key of this id is another one, or the
    /// secret is not the one that was sealed for this context.
    pub(crate) fn open(&self, key_id: &str, sealed: &[u8], context: &[u8]) -> Option<String> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = Zeroizing::new(text.to_vec());
        let opened = self
            .key(key_id)?
            .open_in_place(Nonce::from(nonce), Aad::from(context), &mut text)
            .ok()?;
        std::str::from_utf8(opened).ok().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_only_with_its_key_and_its_context_and_unchanged() {
        let ring = KeyRing::generate().unwrap();
        let sealed = ring.seal("hunter2", b"here").unwrap();
        assert_eq!(sealed.key_id, ring.current_id());
        assert!(!sealed.bytes.windows(7).any(|window| window == b"hunter2"));
        let open = |ring: &KeyRing, bytes: &[u8], context: &[u8]| {
            ring.open(&sealed.key_id, bytes, context)
        };
        assert_eq!(
            open(&ring, &sealed.bytes, b"here").as_deref(),
            Some("hunter2")
        );
        assert_eq!(open(&ring, &sealed.bytes, b"there"), None);
        for index in 0..sealed.bytes.len() {
            let mut changed = sealed.bytes.clone();
            changed[index] ^= 1;
            assert_eq!(open(&ring, &changed, b"here"), None, "{index}");
            assert_eq!(open(&ring, &sealed.bytes[..index], b"here"), None);
        }
        let other = KeyRing::generate().unwrap();
        assert_eq!(open(&other, &sealed.bytes, b"here"), None);
        // The same id, another key.
        let reused = KeyRing {
            current: Arc::clone(&ring.current),
            keys: Arc::new(BTreeMap::from([(
                sealed.key_id.clone(),
                Zeroizing::new([7; KEY_BYTES]),
            )])),
        };
        assert_eq!(open(&reused, &sealed.bytes, b"here"), None);
    }

    #[test]
    fn no_two_secrets_share_a_nonce() {
        let ring = KeyRing::generate().unwrap();
        let nonces: std::collections::BTreeSet<Vec<u8>> = (0..1000)
            .map(|_| ring.seal("x", b"").unwrap().bytes[..NONCE_LEN].to_vec())
            .collect();
        assert_eq!(nonces.len(), 1000);
    }

    #[test]
    fn a_key_ring_is_not_printed() {
        let ring = KeyRing::generate().unwrap();
        let printed = format!("{ring:?}");
        assert!(printed.contains(ring.current_id()));
        let key = &ring.keys[ring.current_id()];
        assert!(!printed.contains(&hex::encode(&key[..])));
        assert!(!printed.contains(&format!("{}, {}", key[0], key[1])));
    }
}
