//! The key ring's file while processes run: it is read again when a secret does not open, so that
//! a rotation needs no restart.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Held, KeyRing};
use crate::admin::AdminFault;

/// How long a file that cannot be read now is left alone.
const PAUSE: Duration = Duration::from_secs(2);

/// Where a ring was read from, and what the file was like then.
pub(super) struct Source {
    path: PathBuf,
    seen: Mutex<Seen>,
}

struct Seen {
    stamp: Stamp,
    not_before: Option<Instant>,
}

/// What tells one state of a file from another. A file that is replaced has another inode, one
/// that is written into another time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            bytes: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

impl Source {
    pub(super) fn new(path: &Path, stamp: Stamp) -> Self {
        let seen = Seen {
            stamp,
            not_before: None,
        };
        Self {
            path: path.to_owned(),
            seen: Mutex::new(seen),
        }
    }

    /// Hands over the ring that the file holds now, if it is another file than the one that was
    /// read. Whether it was.
    fn changed(&self, take: impl FnOnce(Held)) -> bool {
        // One at a time: whoever waits here finds the file read already, and taken.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen
            .not_before
            .is_some_and(|moment| Instant::now() < moment)
        {
            return false;
        }
        let found = std::fs::metadata(&self.path);
        if found.is_ok_and(|found| Stamp::of(&found) == seen.stamp) {
            return false;
        }
        match super::file::read(&self.path) {
            Ok((held, stamp)) => {
                seen.stamp = stamp;
                seen.not_before = None;
                take(held);
                true
            }
            Err(fault) => {
                // What was read before is still good for the secrets that it opens.
                tell(&fault);
                seen.not_before = Instant::now().checked_add(PAUSE);
                false
            }
        }
    }
}

fn tell(fault: &AdminFault) {
    tracing::warn!(error = %fault, "the key ring changed and cannot be read: the old one is kept");
}

impl KeyRing {
    /// Looks whether the file is another one by now, and reads it then. Whether it was.
    ///
    /// SUBTLE: a look is one `stat`, so that it may happen for every secret that does not open;
    /// only a file that changed is read.
    pub(super) fn look_again(&self) -> bool {
        let take = |held: Held| {
            tracing::info!(
                keyring.current = held.current,
                keyring.keys = held.keys.len(),
                "the key ring changed and was read again"
            );
            let shared = self.shared.held.write();
            *shared.unwrap_or_else(PoisonError::into_inner) = held;
        };
        let source = self.shared.source.as_ref();
        source.is_some_and(|source| source.changed(take))
    }
}
