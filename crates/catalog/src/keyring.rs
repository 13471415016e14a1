//! The key ring: the keys under which secrets of destinations lie in the database.
//!
//! It is a file and never in the database, so that a dump of one is worth nothing without the
//! other. A secret is sealed under a random key of its own, its *data key*, and the data key is
//! wrapped under a key of the ring: a rotation re-wraps the data keys and leaves the secrets as
//! they are. New data keys are wrapped under the key that is marked current; older keys stay in
//! the ring for as long as rows name them.

mod binding;
mod file;
mod live;
mod rotation;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use chrono::{DateTime, NaiveDateTime, Utc};
use zeroize::Zeroizing;

use crate::admin::AdminFault;
use crate::failure::{Failure, corrupt};
use live::Source;

pub(crate) use binding::Binding;
pub use rotation::{KeyRingFile, Turned};

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// How the moment of its making is written into a key's id.
const MADE: &str = "%Y%m%dT%H%M%SZ";

type Key = Zeroizing<[u8; KEY_BYTES]>;

/// Several keys with ids, one of them current. Cheap to clone: clones are the same ring, also when
/// the file that it was read from changes. Its memory is cleared when the last clone goes.
#[derive(Clone)]
pub struct KeyRing {
    shared: Arc<Shared>,
}

struct Shared {
    held: RwLock<Held>,
    /// The file that is read again when a key is missing; `None` for a ring that lies in no file.
    source: Option<Source>,
}

/// The keys.
#[derive(Clone)]
struct Held {
    current: String,
    keys: BTreeMap<String, Key>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("current", &self.current_id())
            .field("ids", &self.ids().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// A secret under a data key of its own, and that one under a key of the ring.
pub(crate) struct Sealed {
    /// The ring's key.
    pub(crate) key_id: String,
    /// Nonce, data key, tag; under the ring's key.
    pub(crate) wrapped_key: Vec<u8>,
    /// Nonce, cipher text, tag; under the data key.
    pub(crate) bytes: Vec<u8>,
}

impl Sealed {
    /// As it lies in its row.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> Kept<'_> {
        Kept {
            key_id: &self.key_id,
            wrapped_key: Some(&self.wrapped_key),
            bytes: &self.bytes,
        }
    }
}

/// The same as it lies in a row. Rows of the first release have no data key: their secret is
/// under the ring's key itself.
#[derive(Clone, Copy)]
pub(crate) struct Kept<'a> {
    /// The ring's key.
    pub(crate) key_id: &'a str,
    /// The data key under it.
    pub(crate) wrapped_key: Option<&'a [u8]>,
    /// The secret.
    pub(crate) bytes: &'a [u8],
}

impl KeyRing {
    /// A ring with one new key, which is current. Its id does not say when it was made.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate() -> Result<Self, AdminFault> {
        let id = format!("k-{}", random_word()?);
        Ok(Self::of(Held::with(id, new_key()?), None))
    }

    /// The same with a key whose id says when it was made.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate_at(now: DateTime<Utc>) -> Result<Self, AdminFault> {
        Ok(Self::of(Held::with(new_id(now)?, new_key()?), None))
    }

    fn of(held: Held, source: Option<Source>) -> Self {
        Self {
            shared: Arc::new(Shared {
                held: RwLock::new(held),
                source,
            }),
        }
    }

    fn held<T>(&self, ask: impl FnOnce(&Held) -> T) -> T {
        let held = self.shared.held.read();
        ask(&held.unwrap_or_else(PoisonError::into_inner))
    }

    /// The id of the key that new secrets are kept under.
    #[must_use]
    pub fn current_id(&self) -> String {
        self.held(|held| held.current.clone())
    }

    /// The ids of all keys.
    pub fn ids(&self) -> impl Iterator<Item = String> {
        let ids = self.held(|held| held.keys.keys().cloned().collect::<Vec<_>>());
        ids.into_iter()
    }

    /// Seals a secret so that it opens only together with `binding`, under a new data key. The
    /// ring's file is looked at before, so that what a rotation replaced is not used any more.
    pub(crate) fn seal(&self, secret: &str, binding: &Binding) -> Result<Sealed, Failure> {
        self.look_again();
        self.seal_as_it_is(secret, binding)
    }

    fn seal_as_it_is(&self, secret: &str, binding: &Binding) -> Result<Sealed, Failure> {
        let failed = || corrupt("a secret could not be sealed: this is a defect");
        let data_key = new_key().map_err(|_| failed())?;
        let bytes = close(&data_key, secret.as_bytes(), &binding.secret()).ok_or_else(failed)?;
        let (key_id, wrapped_key) = self.wrap(&data_key, binding).ok_or_else(failed)?;
        Ok(Sealed {
            key_id,
            wrapped_key,
            bytes,
        })
    }

    fn wrap(&self, data_key: &Key, binding: &Binding) -> Option<(String, Vec<u8>)> {
        self.held(|held| {
            let key = held.keys.get(&held.current)?;
            let wrapped = close(key, &data_key[..], &binding.data_key(&held.current))?;
            Some((held.current.clone(), wrapped))
        })
    }

    /// Opens a secret. `None`: the ring lacks its key, also after its file was looked at again;
    /// the key of this id is another one; or the secret is not the one that was sealed for this
    /// binding.
    pub(crate) fn open(&self, kept: Kept<'_>, binding: &Binding) -> Option<Zeroizing<String>> {
        let opened = self.plain(kept, binding);
        if opened.is_some() || !self.look_again() {
            return opened;
        }
        self.plain(kept, binding)
    }

    fn plain(&self, kept: Kept<'_>, binding: &Binding) -> Option<Zeroizing<String>> {
        let opened = match kept.wrapped_key {
            None => {
                let key = self.key(kept.key_id)?;
                unclose(&key, kept.bytes, &binding.first_release())?
            }
            Some(wrapped) => {
                let data_key = self.unwrap(kept.key_id, wrapped, binding)?;
                unclose(&data_key, kept.bytes, &binding.secret())?
            }
        };
        let text = std::str::from_utf8(&opened).ok()?;
        Some(Zeroizing::new(text.to_owned()))
    }

    fn unwrap(&self, key_id: &str, wrapped: &[u8], binding: &Binding) -> Option<Key> {
        let opened = unclose(&self.key(key_id)?, wrapped, &binding.data_key(key_id))?;
        <[u8; KEY_BYTES]>::try_from(&opened[..])
            .ok()
            .map(Zeroizing::new)
    }

    /// The same secret under the current key: its data key wrapped anew, the secret untouched.
    /// One of the first release is given a data key. `None` as for [`KeyRing::open`].
    pub(crate) fn rewrap(&self, kept: Kept<'_>, binding: &Binding) -> Option<Sealed> {
        let Some(wrapped) = kept.wrapped_key else {
            let secret = self.plain(kept, binding)?;
            return self.seal_as_it_is(&secret, binding).ok();
        };
        let data_key = self.unwrap(kept.key_id, wrapped, binding)?;
        // A data key that does not open its secret is worth nothing: such a row is told of.
        unclose(&data_key, kept.bytes, &binding.secret())?;
        let (key_id, wrapped_key) = self.wrap(&data_key, binding)?;
        Some(Sealed {
            key_id,
            wrapped_key,
            bytes: kept.bytes.to_vec(),
        })
    }

    fn key(&self, id: &str) -> Option<Key> {
        self.held(|held| held.keys.get(id).cloned())
    }
}

impl Held {
    fn with(id: String, key: Key) -> Self {
        Self {
            current: id.clone(),
            keys: BTreeMap::from([(id, key)]),
        }
    }
}

/// When a key was made, where its id says so.
#[must_use]
pub fn key_made_at(id: &str) -> Option<DateTime<Utc>> {
    let (made, _) = id.strip_prefix("k-")?.split_once('-')?;
    let made = NaiveDateTime::parse_from_str(made, MADE).ok()?;
    Some(made.and_utc())
}

fn new_id(now: DateTime<Utc>) -> Result<String, AdminFault> {
    Ok(format!("k-{}-{}", now.format(MADE), random_word()?))
}

fn random_word() -> Result<String, AdminFault> {
    let mut word = [0; 4];
    aws_lc_rs::rand::fill(&mut word).map_err(|_| no_random_bytes())?;
    Ok(hex::encode(word))
}

fn new_key() -> Result<Key, AdminFault> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    aws_lc_rs::rand::fill(&mut key[..]).map_err(|_| no_random_bytes())?;
    Ok(key)
}

fn no_random_bytes() -> AdminFault {
    AdminFault::refused("the system gives no random bytes", "try again")
}

/// Nonce, cipher text, tag. The nonce is random; one key is good for far more (2³²) than there
/// will ever be destinations.
fn close(key: &Key, plain: &[u8], context: &[u8]) -> Option<Vec<u8>> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, &key[..]).ok()?;
    // Room for the tag from the start: no copy of the plain text is left behind by growing.
    let mut text = Zeroizing::new(Vec::with_capacity(plain.len().saturating_add(16)));
    text.extend_from_slice(plain);
    let nonce = key
        .seal_in_place_append_tag(Aad::from(context), &mut *text)
        .ok()?;
    let mut bytes = nonce.as_ref().to_vec();
    bytes.extend_from_slice(&text);
    Some(bytes)
}

fn unclose(key: &Key, closed: &[u8], context: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, text) = closed.split_first_chunk::<NONCE_LEN>()?;
    let mut text = Zeroizing::new(text.to_vec());
    let key = RandomizedNonceKey::new(&AES_256_GCM, &key[..]).ok()?;
    let opened = key.open_in_place(Nonce::from(nonce), Aad::from(context), &mut text);
    let bytes = opened.ok()?.len();
    text.truncate(bytes);
    Some(text)
}

#[cfg(test)]
mod tests;
