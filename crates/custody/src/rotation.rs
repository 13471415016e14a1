//! Making and changing the file of keys: one change at a time, and each whole or not at all.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::file::{Half, Held, KeyFault, Keys, MAKE_ONE, read};
use crate::key::SigningKey;

const TRY_AGAIN: &str = "whoever runs this must own the file and be able to write its folder; \
                         nothing was changed";

/// The file of keys that nobody else changes meanwhile.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    /// The folder, locked: the file itself is replaced by every change.
    _lock: File,
}

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turned {
    /// The key that signed before: its public half is kept, its private one is not.
    pub previous: String,
    /// The key that signs now.
    pub current: String,
}

impl KeyFile {
    /// Makes a file with one new key, which only its owner may read; returns the key's id.
    ///
    /// # Errors
    /// When the file is there already or cannot be written. Nothing is ever overwritten.
    pub fn make(path: &Path, now: DateTime<Utc>) -> Result<String, KeyFault> {
        let (id, held) = new_key(path, now)?;
        let keys = Keys {
            current: Some(id.clone()),
            keys: BTreeMap::from([(id.clone(), held)]),
        };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = options.open(path).map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                let hint = "it may hold keys that receipts are signed with: name another file";
                return KeyFault::failed(path, "is there already", hint);
            }
            KeyFault::wrong(path, format!("cannot be made: {error}"), MAKE_ONE)
        })?;
        let written = file
            .write_all(keys.text().as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| File::open(folder(path))?.sync_all());
        written.map_err(|error| {
            let hint = "remove the unfinished file and try again";
            KeyFault::failed(path, format!("cannot be written: {error}"), hint)
        })?;
        Ok(id)
    }

    /// Opens the file for changes.
    ///
    /// # Errors
    /// When it is no file of keys, has public ones alone, or somebody else changes it now.
    pub fn lock(path: &Path) -> Result<Self, KeyFault> {
        // Where the path is a link, the file itself is what must be replaced.
        let whole = path.canonicalize();
        let whole = whole.map_err(|error| {
            KeyFault::wrong(path, format!("cannot be found: {error}"), MAKE_ONE)
        })?;
        let cannot = |error: &dyn std::fmt::Display| {
            KeyFault::failed(path, format!("cannot be locked: {error}"), TRY_AGAIN)
        };
        let lock = File::open(folder(&whole)).map_err(|error| cannot(&error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let hint = "another `callferry receipt-key` is at work: wait for its end";
                return Err(KeyFault::failed(path, "is being changed now", hint));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(&error)),
        }
        if read(&whole)?.0.signing().is_none() {
            let hint = "a rotation is made in the file with the private key, and exported anew";
            return Err(KeyFault::wrong(path, "holds public keys alone", hint));
        }
        Ok(Self {
            path: whole,
            _lock: lock,
        })
    }

    /// Adds a key that does not sign yet, so that it is published before it does. Returns its id;
    /// one that waits already is returned as it is.
    ///
    /// # Errors
    /// When the file cannot be replaced.
    pub fn prepare(&self, now: DateTime<Utc>) -> Result<String, KeyFault> {
        let (mut keys, _) = read(&self.path)?;
        if let Some(waiting) = keys.prepared() {
            return Ok(waiting.to_owned());
        }
        let (id, held) = new_key(&self.path, now)?;
        keys.keys.insert(id.clone(), held);
        self.replace(&keys)?;
        Ok(id)
    }

    /// Makes a key current: the one that was prepared, or else a new one. Of the older one the
    /// public half is kept.
    ///
    /// # Errors
    /// When the file cannot be replaced.
    pub fn turn(&self, now: DateTime<Utc>) -> Result<Turned, KeyFault> {
        let (mut keys, _) = read(&self.path)?;
        let id = match keys.prepared() {
            Some(waiting) => waiting.to_owned(),
            None => {
                let (id, held) = new_key(&self.path, now)?;
                keys.keys.insert(id.clone(), held);
                id
            }
        };
        let previous = keys.current.replace(id.clone()).unwrap_or_default();
        if let Some(held) = keys.keys.get_mut(&previous) {
            held.key = Half::Public(held.public().clone());
            held.retired_at = Some(now);
        }
        self.replace(&keys)?;
        Ok(Turned {
            previous,
            current: id,
        })
    }

    /// Puts another file in its place, with the same owner and permissions. Whoever opens the path
    /// finds the old keys or the new ones, also after the machine crashed.
    fn replace(&self, keys: &Keys) -> Result<(), KeyFault> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        // One name: we hold the lock, so what lies there was left by a process that was killed.
        let new = self.path.with_file_name(format!(".{name}.new"));
        self.write_beside(&new, keys).map_err(|error| {
            if let Err(left) = std::fs::remove_file(&new)
                && left.kind() != io::ErrorKind::NotFound
            {
                let path = new.display();
                tracing::warn!(%path, error = %left, "an unfinished file of keys was left behind");
            }
            KeyFault::failed(
                &self.path,
                format!("cannot be replaced: {error}"),
                TRY_AGAIN,
            )
        })
    }

    fn write_beside(&self, new: &Path, keys: &Keys) -> io::Result<()> {
        match std::fs::remove_file(new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let before = std::fs::metadata(&self.path)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = options.open(new)?;
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (before.uid(), before.gid()) {
            // A fleet that could not read the new file would not sign after the next restart.
            fchown(&file, Some(before.uid()), Some(before.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(before.mode() & 0o770))?;
        file.write_all(keys.text().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(new, &self.path)?;
        File::open(folder(&self.path))?.sync_all()
    }
}

fn new_key(path: &Path, now: DateTime<Utc>) -> Result<(String, Held), KeyFault> {
    let key = SigningKey::generate();
    let key = key.ok_or_else(|| {
        let why = "cannot be made: the system gives no random bytes";
        KeyFault::failed(path, why, "try again")
    })?;
    let id = key.public().id().to_owned();
    let held = Held {
        key: Half::Private(Arc::new(key)),
        made_at: Some(now),
        retired_at: None,
    };
    Ok((id, held))
}

fn folder(path: &Path) -> &Path {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    folder.unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests;
