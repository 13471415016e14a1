//! Changing the key ring's file: a key is added, made current, taken out. One change at a time,
//! and each whole or not at all.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};

use super::file::{read, refuse, text};
use super::{Held, KeyRing, key_made_at, new_id, new_key};
use crate::admin::AdminFault;

/// The file of a key ring that nobody else changes meanwhile.
#[derive(Debug)]
pub struct KeyRingFile {
    path: PathBuf,
    /// The folder, locked: the file itself is replaced by every change. Goes with this value, or
    /// with the process.
    _lock: File,
}

/// What a rotation did to the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turned {
    /// The key that was current before.
    pub previous: String,
    /// The key that is current now.
    pub current: String,
    /// Whether it had been in the ring already, waiting.
    pub was_prepared: bool,
}

const TRY_AGAIN: &str = "whoever runs this must own the file and be able to write its folder; \
                         nothing was changed";

impl KeyRingFile {
    /// Opens it for changes.
    ///
    /// # Errors
    /// When it is no key ring, or somebody else changes it now.
    pub fn lock(path: &Path) -> Result<Self, AdminFault> {
        // Where the path is a link, the file itself is what must be replaced.
        let whole = path.canonicalize().map_err(|error| {
            let hint = "CALLFERRY_KEYRING_FILE names it; `callferry keyring new FILE` makes one";
            refuse(path, &format!("cannot be found: {error}"), hint)
        })?;
        let cannot = |error: &dyn std::fmt::Display| {
            refuse(path, &format!("cannot be locked: {error}"), TRY_AGAIN)
        };
        let folder = File::open(folder(&whole)).map_err(|error| cannot(&error))?;
        match folder.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(AdminFault::refused(
                    format!("the key ring {} is being changed now", path.display()),
                    "another `callferry keyring rotate` or `retire` is at work: wait for its end",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(&error)),
        }
        read(&whole)?;
        Ok(Self {
            path: whole,
            _lock: folder,
        })
    }

    /// The ring as it is now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn ring(&self) -> Result<KeyRing, AdminFault> {
        KeyRing::load(&self.path)
    }

    /// Adds a new key that is not current yet, for processes that see copies of the file: it must
    /// be everywhere before anything is kept under it.
    ///
    /// Returns its id; one that waits already is returned as it is.
    ///
    /// # Errors
    /// When the file cannot be replaced.
    pub fn prepare(&self, now: DateTime<Utc>) -> Result<String, AdminFault> {
        let (mut held, _) = read(&self.path)?;
        if let Some(waiting) = held.waiting() {
            return Ok(waiting);
        }
        let id = held.add(now)?;
        self.replace(&held)?;
        Ok(id)
    }

    /// Makes a key current: the one that was prepared, or else a new one. All others stay.
    ///
    /// # Errors
    /// When the file cannot be replaced.
    pub fn turn(&self, now: DateTime<Utc>) -> Result<Turned, AdminFault> {
        let (mut held, _) = read(&self.path)?;
        let waiting = held.waiting();
        let was_prepared = waiting.is_some();
        let id = match waiting {
            Some(id) => id,
            None => held.add(now)?,
        };
        let previous = std::mem::replace(&mut held.current, id.clone());
        self.replace(&held)?;
        Ok(Turned {
            previous,
            current: id,
            was_prepared,
        })
    }

    /// Takes a key out. Whoever asks has made sure that nothing is under it.
    ///
    /// # Errors
    /// When it is the current one, is not there, or the file cannot be replaced.
    pub fn remove(&self, id: &str) -> Result<(), AdminFault> {
        let (mut held, _) = read(&self.path)?;
        if held.current == id {
            return Err(AdminFault::refused(
                format!("{id} is the key that new secrets are kept under"),
                "make another one current first: `callferry keyring rotate`",
            ));
        }
        if held.keys.remove(id).is_none() {
            let hint = "`callferry keyring show` lists the keys that there are";
            return Err(AdminFault::not_found(format!("key {id}"), hint));
        }
        self.replace(&held)
    }

    /// Puts another file in its place, with the same owner and permissions. Whoever opens the path
    /// finds the old ring or the new one, also after the machine crashed.
    fn replace(&self, held: &Held) -> Result<(), AdminFault> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        // One name: we hold the lock, so what lies there was left by a process that was killed.
        let new = self.path.with_file_name(format!(".{name}.new"));
        let done = self.write_beside(&new, held);
        done.map_err(|error| {
            if let Err(left) = std::fs::remove_file(&new)
                && left.kind() != io::ErrorKind::NotFound
            {
                let path = new.display();
                tracing::warn!(%path, error = %left, "an unfinished key ring was left behind");
            }
            let why = format!("cannot be replaced: {error}");
            refuse(&self.path, &why, TRY_AGAIN)
        })
    }

    fn write_beside(&self, new: &Path, held: &Held) -> io::Result<()> {
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
            // A fleet that could not read the new file would lose its keys at the next restart.
            fchown(&file, Some(before.uid()), Some(before.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(before.mode() & 0o770))?;
        file.write_all(text(held).as_bytes())?;
        file.sync_all()?;
        std::fs::rename(new, &self.path)?;
        File::open(folder(&self.path))?.sync_all()
    }
}

impl Held {
    /// Adds a new key, whose id says that it was made after the current one: this is all that
    /// tells a key that waits from one that was replaced. Ids say the second, so two that are made
    /// within one, or by machines whose clocks differ, would otherwise say nothing or the reverse.
    fn add(&mut self, now: DateTime<Utc>) -> Result<String, AdminFault> {
        let after = key_made_at(&self.current).map(|made| made + TimeDelta::seconds(1));
        let id = new_id(after.map_or(now, |after| now.max(after)))?;
        self.keys.insert(id.clone(), new_key()?);
        Ok(id)
    }

    /// The latest key that was made after the current one: it waits to become it.
    fn waiting(&self) -> Option<String> {
        let made = |id: &str| key_made_at(id);
        let current = made(&self.current);
        let later = self.keys.keys().filter(|id| **id != self.current);
        let later = later.filter(|id| match (made(id), current) {
            (Some(at), Some(current)) => at > current,
            // The first releases' ids say nothing; what is dated came after them.
            (Some(_), None) => true,
            (None, _) => false,
        });
        later.max_by_key(|id| made(id)).cloned()
    }
}

fn folder(path: &Path) -> &Path {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    folder.unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests;
