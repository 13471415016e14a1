//! The key ring as a file: TOML, one key marked current, for its owner's eyes.
//!
//! ```toml
//! current = "k-1a2b3c4d"
//!
//! [keys]
//! k-1a2b3c4d = "32 random bytes in base64"
//! ```

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::live::{Source, Stamp};
use super::{Held, KEY_BYTES, KeyRing};
use crate::admin::AdminFault;

/// No key ring is as large.
const MOST_BYTES: u64 = 64 * 1024;
/// Whoever is neither the file's owner nor of its group.
const OTHERS: u32 = 0o007;

const MAKE_ONE: &str = "`callferry keyring new FILE` makes one; CALLFERRY_KEYRING_FILE names it";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    current: String,
    keys: BTreeMap<String, String>,
}

pub(super) fn refuse(path: &Path, why: &str, hint: &str) -> AdminFault {
    AdminFault::Misconfigured {
        why: format!("the key ring {} {why}", path.display()),
        hint: hint.to_owned(),
    }
}

/// Reads a file, and says what it was like when it was read.
pub(super) fn read(path: &Path) -> Result<(Held, Stamp), AdminFault> {
    let unreadable = |error: io::Error| {
        let why = format!("cannot be read: {error}");
        refuse(path, &why, MAKE_ONE)
    };
    let file = File::open(path).map_err(unreadable)?;
    // Of the file that is open, whatever happens at the path meanwhile.
    let found = file.metadata().map_err(unreadable)?;
    if !found.is_file() {
        return Err(refuse(path, "is not a file", MAKE_ONE));
    }
    if found.mode() & OTHERS != 0 {
        let hint = "chmod o-rwx it; as a Kubernetes secret, mount it with defaultMode 0440";
        return Err(refuse(path, "may be read or written by everybody", hint));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MOST_BYTES.saturating_add(1))
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes > MOST_BYTES) {
        return Err(refuse(path, "is larger than 64 KiB", MAKE_ONE));
    }
    let held = parse(&text).map_err(|why| refuse(path, &why, MAKE_ONE))?;
    Ok((held, Stamp::of(&found)))
}

/// Reads a key ring. The parser's own words may quote a key, so only the line is told.
fn parse(text: &str) -> Result<Held, String> {
    let document: Document = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        format!("is not a key ring: see line {line}")
    })?;
    let mut keys = BTreeMap::new();
    for (id, key) in document.keys {
        let key = Zeroizing::new(key);
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if !(1..=64).contains(&id.len()) || !id.bytes().all(plain) {
            return Err("has a key whose id is not 1 to 64 letters, digits, dots, \
                        hyphens and underscores"
                .to_owned());
        }
        let bytes = STANDARD.decode(key.trim()).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| format!("has a key `{id}` that is not base64"))?;
        let bytes = <[u8; KEY_BYTES]>::try_from(&bytes[..])
            .map_err(|_| format!("has a key `{id}` that is not of {KEY_BYTES} bytes"))?;
        keys.insert(id, Zeroizing::new(bytes));
    }
    if !keys.contains_key(&document.current) {
        return Err("lacks the key that it names as current".to_owned());
    }
    Ok(Held {
        current: document.current,
        keys,
    })
}

/// The file of a ring.
pub(super) fn text(held: &Held) -> Zeroizing<String> {
    let mut text = Zeroizing::new(format!(
        "# The key ring of callferry: every process needs it, and nobody else. Keep a copy\n\
         # apart from the database's: without it the secrets of destinations are lost.\n\
         # `callferry keyring rotate` makes a new key current and keeps the older ones;\n\
         # `callferry keyring retire` takes one out that no secret is under any more.\n\
         current = \"{}\"\n\n[keys]\n",
        held.current
    ));
    for (id, key) in &held.keys {
        let encoded = Zeroizing::new(STANDARD.encode(&key[..]));
        text.push_str(&format!("\"{id}\" = \"{}\"\n", encoded.as_str()));
    }
    text
}

impl KeyRing {
    /// Reads the key ring of a file. It is read again when it has changed and a secret does not
    /// open, or one is to be sealed.
    ///
    /// # Errors
    /// When it cannot be read, others may read or write it, or it is no key ring. What is told
    /// never holds a part of a key.
    pub fn load(path: &Path) -> Result<Self, AdminFault> {
        let (held, stamp) = read(path)?;
        Ok(Self::of(held, Some(Source::new(path, stamp))))
    }

    /// Writes the ring into a new file that only its owner may read, and waits until it is on
    /// disk: a key that is lost takes every secret under it along.
    ///
    /// # Errors
    /// When the file is there already or cannot be written. Nothing is ever overwritten.
    pub fn write_new(&self, path: &Path) -> Result<(), AdminFault> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = options.open(path).map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                let what = format!("the file {}", path.display());
                let hint = "it may hold keys that secrets are sealed under: name another file";
                let hint = hint.to_owned();
                return AdminFault::Exists { what, hint };
            }
            refuse(path, &format!("cannot be made: {error}"), MAKE_ONE)
        })?;
        let written = file
            .write_all(self.held(text).as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| {
                let folder = path
                    .parent()
                    .filter(|folder| !folder.as_os_str().is_empty());
                File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
            });
        written.map_err(|error| {
            let why = format!("cannot be written: {error}");
            refuse(path, &why, "remove the unfinished file and try again")
        })
    }
}

#[cfg(test)]
mod tests;
