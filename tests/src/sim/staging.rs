//! The simulated staging: files by inode, names, a trash, a marker; and producers who do not keep
//! to the rules.

mod originals;
mod trash;

use std::collections::BTreeMap;
use std::time::Duration;

use recording::{Identity, RecordingKey, StagingFault};
use uuid::Uuid;

use super::mutant::Mutant;
use super::side::Side;
use super::world::World;

pub(crate) use originals::OriginalsPort;
pub(crate) use trash::TrashPort;

/// Who took a file's last name away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndedBy {
    /// Cleanup.
    Us,
    /// Its producer.
    Producer,
}

/// One file.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// Whose it is: the account of its folder.
    pub(crate) account: String,
    /// What is in it.
    pub(crate) content: Vec<u8>,
    /// When it was last written.
    pub(crate) mtime_ns: i64,
    /// Whether it is a plain file; otherwise it is a link.
    pub(crate) plain: bool,
    /// Who unlinked it.
    pub(crate) ended: Option<EndedBy>,
}

/// A name in the trash.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Discarded {
    /// The file.
    pub(crate) inode: u64,
    /// Since when it has this name.
    pub(crate) since: Duration,
}

/// Staging.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// Every file there ever was, by inode.
    pub(crate) inodes: BTreeMap<u64, File>,
    /// Names.
    pub(crate) paths: BTreeMap<String, u64>,
    /// Names in the trash.
    pub(crate) trash: BTreeMap<(RecordingKey, Uuid), Discarded>,
    /// Until when it is not mounted.
    pub(crate) unmounted_until: Duration,
    next: u64,
}

impl Files {
    /// A file's identity.
    pub(crate) fn identity(&self, inode: u64) -> Identity {
        let file = self.inodes.get(&inode);
        let size = file.map_or(0, |file| file.content.len());
        Identity {
            size_bytes: u64::try_from(size).unwrap_or(u64::MAX),
            mtime_ns: file.map_or(0, |file| file.mtime_ns),
            inode: i64::try_from(inode).unwrap_or(i64::MAX),
            entity: None,
        }
    }

    /// What is in a file.
    pub(crate) fn content(&self, inode: u64) -> Vec<u8> {
        let file = self.inodes.get(&inode);
        file.map(|file| file.content.clone()).unwrap_or_default()
    }

    /// A new file at the path; what had the name loses it. `true`: something had it.
    pub(crate) fn create(&mut self, path: &str, content: Vec<u8>, at: Duration) -> bool {
        self.next = self.next.saturating_add(1);
        let account = path.split('/').next().unwrap_or_default().to_owned();
        let file = File {
            account,
            content,
            mtime_ns: nanos(at),
            plain: true,
            ended: None,
        };
        self.inodes.insert(self.next, file);
        let before = self.paths.insert(path.to_owned(), self.next);
        if let Some(file) = before.and_then(|inode| self.inodes.get_mut(&inode)) {
            file.ended = Some(EndedBy::Producer);
        }
        before.is_some()
    }

    /// Writes into the file at the path. `false`: there is none.
    pub(crate) fn rewrite(&mut self, path: &str, content: Vec<u8>, at: Duration) -> bool {
        let inode = self.paths.get(path).copied();
        match inode.and_then(|inode| self.inodes.get_mut(&inode)) {
            Some(file) => {
                file.content = content;
                file.mtime_ns = nanos(at);
                true
            }
            None => false,
        }
    }

    /// Turns the file at the path into a link.
    pub(crate) fn make_link(&mut self, path: &str) {
        let inode = self.paths.get(path).copied();
        if let Some(file) = inode.and_then(|inode| self.inodes.get_mut(&inode)) {
            file.plain = false;
        }
    }

    /// Whether the file still has a name.
    pub(crate) fn has_name(&self, inode: u64) -> bool {
        self.paths.values().any(|one| *one == inode)
            || self.trash.values().any(|one| one.inode == inode)
    }
}

fn nanos(at: Duration) -> i64 {
    i64::try_from(at.as_nanos()).unwrap_or(i64::MAX)
}

/// Why nothing in staging can be seen, if so.
pub(crate) fn unmounted(world: &World) -> Option<StagingFault> {
    if world.files.unmounted_until <= world.now() {
        None
    } else if world.mutated(Mutant::TrustedUnmount) {
        Some(StagingFault::Absent)
    } else {
        Some(StagingFault::Unavailable(
            "the marker is missing".to_owned(),
        ))
    }
}

/// What a failed system call means: staging is broken, or only this file is.
pub(crate) fn broken(side: &Side) -> StagingFault {
    if side.sim.world().dice.below(4) == 0 {
        StagingFault::Unreadable("permission denied".to_owned())
    } else {
        stale()
    }
}

/// Staging itself is broken.
pub(crate) fn stale() -> StagingFault {
    StagingFault::Unavailable("an input/output error".to_owned())
}
