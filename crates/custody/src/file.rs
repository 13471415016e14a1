//! The keys as a file: TOML, for its owner's eyes, with one private key that signs; or a JSON Web
//! Key Set with public ones alone, for whoever only publishes them.
//!
//! ```toml
//! current = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
//!
//! [keys.kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k]
//! made_at = "2026-11-27T03:04:05Z"
//! private = "32 random bytes in base64"
//!
//! [keys.the-thumbprint-of-an-older-one]
//! made_at = "2025-11-27T03:04:05Z"
//! retired_at = "2026-11-27T03:04:05Z"
//! public = "its public half in base64url"
//! ```

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::key::{PublicKey, SigningKey};
use crate::trusted::TrustedKeys;

/// No file of keys is as large.
const MOST_BYTES: u64 = 64 * 1024;
/// Whoever is neither the file's owner nor of its group.
const OTHERS: u32 = 0o007;
pub(crate) const MAKE_ONE: &str =
    "`callferry receipt-key new FILE` makes one; CALLFERRY_RECEIPT_KEY_FILE names it";

/// Why a file of keys cannot be used, with what to do about it. Never holds a part of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct KeyFault {
    /// What is wrong.
    pub why: String,
    /// What to do about it.
    pub hint: String,
    /// Whether it is the file or its use that is wrong; otherwise it could not be changed now.
    pub is_wrong: bool,
}

impl KeyFault {
    pub(crate) fn wrong(path: &Path, why: impl AsRef<str>, hint: &str) -> Self {
        Self {
            why: format!("the receipt key {} {}", path.display(), why.as_ref()),
            hint: hint.to_owned(),
            is_wrong: true,
        }
    }

    pub(crate) fn failed(path: &Path, why: impl AsRef<str>, hint: &str) -> Self {
        Self {
            is_wrong: false,
            ..Self::wrong(path, why, hint)
        }
    }
}

/// What a key is to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It signs.
    Current,
    /// It is published, and signs after the next rotation.
    Prepared,
    /// It signed once, and verifies what it signed.
    Retired,
    /// It is there to be published; whether it signs is not said.
    Published,
}

/// A key as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyView {
    /// Its id, as receipts name it.
    pub key_id: String,
    /// What it is to the file.
    pub standing: Standing,
    /// When it was made, where that is known.
    pub made_at: Option<DateTime<Utc>>,
    /// Since when it does not sign any more.
    pub retired_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    current: String,
    keys: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    made_at: Option<DateTime<Utc>>,
    retired_at: Option<DateTime<Utc>>,
    private: Option<String>,
    public: Option<String>,
}

/// One key of the file.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) key: Half,
    pub(crate) made_at: Option<DateTime<Utc>>,
    pub(crate) retired_at: Option<DateTime<Utc>>,
}

/// Which half of a key the file has.
#[derive(Debug, Clone)]
pub(crate) enum Half {
    Private(Arc<SigningKey>),
    Public(PublicKey),
}

impl Held {
    pub(crate) fn public(&self) -> &PublicKey {
        match &self.key {
            Half::Private(key) => key.public(),
            Half::Public(key) => key,
        }
    }
}

/// What a file holds.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    /// The id of the key that signs; none in a set of public keys.
    pub(crate) current: Option<String>,
    /// All, by id.
    pub(crate) keys: BTreeMap<String, Held>,
}

/// What tells one state of a file from another. A file that is replaced has another inode, one
/// that is written into another time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    place: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(found: &Metadata) -> Self {
        Self {
            place: (found.dev(), found.ino()),
            bytes: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

/// Reads a file, and says what it was like when it was read.
pub(crate) fn read(path: &Path) -> Result<(Keys, Stamp), KeyFault> {
    let unreadable =
        |error: io::Error| KeyFault::wrong(path, format!("cannot be read: {error}"), MAKE_ONE);
    let file = File::open(path).map_err(unreadable)?;
    // Of the file that is open, whatever happens at the path meanwhile.
    let found = file.metadata().map_err(unreadable)?;
    if !found.is_file() {
        return Err(KeyFault::wrong(path, "is not a file", MAKE_ONE));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MOST_BYTES.saturating_add(1))
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes > MOST_BYTES) {
        return Err(KeyFault::wrong(path, "is larger than 64 KiB", MAKE_ONE));
    }
    let wrong = |why: String| KeyFault::wrong(path, why, MAKE_ONE);
    let keys = if text.trim_start().starts_with('{') {
        Keys::of_set(&text).map_err(wrong)?
    } else {
        if found.mode() & OTHERS != 0 {
            let hint = "chmod o-rwx it; as a Kubernetes secret, mount it with defaultMode 0440";
            let why = "may be read or written by everybody";
            return Err(KeyFault::wrong(path, why, hint));
        }
        Keys::parse(&text).map_err(wrong)?
    };
    Ok((keys, Stamp::of(&found)))
}

impl Keys {
    /// Public keys alone.
    fn of_set(text: &str) -> Result<Self, String> {
        let set = TrustedKeys::read(text)?;
        let held = |key: &PublicKey| Held {
            key: Half::Public(key.clone()),
            made_at: None,
            retired_at: None,
        };
        Ok(Self {
            current: None,
            keys: set
                .keys()
                .map(|key| (key.id().to_owned(), held(key)))
                .collect(),
        })
    }

    /// The parser's own words may quote a key, so only the line is told.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let document: Document = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count().saturating_add(1));
            format!("is no file of receipt keys: see line {line}")
        })?;
        let mut keys = BTreeMap::new();
        for (id, entry) in document.keys {
            let private = entry.private.map(Zeroizing::new);
            let key = match (&private, &entry.public) {
                (Some(private), None) => SigningKey::from_text(private)
                    .map(|key| Half::Private(Arc::new(key)))
                    .ok_or("has a private key that is not 32 bytes in base64")?,
                (None, Some(public)) => PublicKey::from_x(public)
                    .map(Half::Public)
                    .ok_or("has a public key that is not 32 bytes in base64url")?,
                (Some(_), Some(_)) | (None, None) => {
                    return Err("has a key that is not one of private and public".to_owned());
                }
            };
            let held = Held {
                key,
                made_at: entry.made_at,
                retired_at: entry.retired_at,
            };
            if held.public().id() != id {
                // The name may be anything, a key in the wrong place even: it is not repeated.
                let id = held.public().id();
                return Err(format!(
                    "calls key {id} by another name: a thumbprint is its name"
                ));
            }
            keys.insert(id, held);
        }
        let current = keys.get(&document.current).map(|held| &held.key);
        if !matches!(current, Some(Half::Private(_))) {
            return Err("lacks the private key that it names as current".to_owned());
        }
        Ok(Self {
            current: Some(document.current),
            keys,
        })
    }

    /// The key that signs.
    pub(crate) fn signing(&self) -> Option<&Arc<SigningKey>> {
        match &self.keys.get(self.current.as_deref()?)?.key {
            Half::Private(key) => Some(key),
            Half::Public(_) => None,
        }
    }

    /// The key that signs after the next rotation.
    pub(crate) fn prepared(&self) -> Option<&str> {
        let private = |held: &Held| matches!(held.key, Half::Private(_));
        let mut others = self.keys.iter().filter(|(_, held)| private(held));
        let other = others.find(|(id, _)| Some(id.as_str()) != self.current.as_deref());
        other.map(|(id, _)| id.as_str())
    }

    /// Every key, the one that signs first, then the latest.
    pub(crate) fn in_order(&self) -> Vec<&Held> {
        let mut all: Vec<_> = self.keys.iter().collect();
        let is_current = |id: &str| Some(id) == self.current.as_deref();
        all.sort_by_key(|(id, held)| (!is_current(id), std::cmp::Reverse(held.made_at)));
        all.into_iter().map(|(_, held)| held).collect()
    }

    pub(crate) fn views(&self) -> Vec<KeyView> {
        let views = self.in_order().into_iter().map(|held| {
            let id = held.public().id();
            let standing = match (&held.key, &self.current) {
                (_, None) => Standing::Published,
                (Half::Public(_), Some(_)) => Standing::Retired,
                (Half::Private(_), Some(current)) if current == id => Standing::Current,
                (Half::Private(_), Some(_)) => Standing::Prepared,
            };
            KeyView {
                key_id: id.to_owned(),
                standing,
                made_at: held.made_at,
                retired_at: held.retired_at,
            }
        });
        views.collect()
    }

    /// The file.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        let current = self.current.as_deref().unwrap_or_default();
        let mut text = Zeroizing::new(format!(
            "# Keys that callferry signs custody receipts with: for transfer and\n\
             # housekeeping, and nobody else.\n\
             # Whoever has a private key can state under our name that a copy was stored.\n\
             # `callferry receipt-key rotate` makes a new key current and keeps the public half\n\
             # of the older one; keep those published for as long as receipts are kept.\n\
             current = \"{current}\"\n"
        ));
        for (id, held) in &self.keys {
            text.push_str(&format!("\n[keys.\"{id}\"]\n"));
            for (name, at) in [("made_at", held.made_at), ("retired_at", held.retired_at)] {
                if let Some(at) = at {
                    let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
                    text.push_str(&format!("{name} = \"{at}\"\n"));
                }
            }
            match &held.key {
                Half::Private(key) => {
                    text.push_str(&format!("private = \"{}\"\n", key.text().as_str()));
                }
                Half::Public(key) => text.push_str(&format!("public = \"{}\"\n", key.x())),
            }
        }
        text
    }
}
