//! The staging root: reopened by path each time, so that a mount that went away is noticed.

use std::path::{Path, PathBuf};

use recording::{StagingFault, StagingPath};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use uuid::Uuid;

use super::faults::{Trouble, unavailable};
use super::marker;

/// A folder that is only passed through.
pub(super) const THROUGH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);
/// A folder that is listed or made durable.
pub(super) const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);
/// A file. `NONBLOCK`, because opening a FIFO waits for its writer otherwise.
pub(super) const FILE: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK);

/// The root's path and the id that its marker must hold.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    staging_id: Uuid,
}

impl Root {
    pub(super) fn new(path: &Path, staging_id: Uuid) -> Self {
        Self {
            path: path.to_owned(),
            staging_id,
        }
    }

    /// Opens the root by its path, anew, and looks for the marker in this very descriptor: what
    /// is looked up through it is then looked up in staging, and not in the empty folder that an
    /// unmounted volume leaves behind.
    pub(super) fn enter(&self) -> Result<OwnedFd, StagingFault> {
        let root = open_root(&self.path)
            .map_err(|errno| unavailable("the root cannot be opened", errno))?;
        match marker::read_in(&root) {
            Ok(Some(found)) if found == self.staging_id => Ok(root),
            Ok(Some(found)) => Err(StagingFault::Unavailable(format!(
                "the root's marker is another staging's ({found})"
            ))),
            Ok(None) => Err(StagingFault::Unavailable(
                "the root has no staging marker: is it mounted?".to_owned(),
            )),
            Err(errno) => Err(unavailable("the marker cannot be read", errno)),
        }
    }

    /// Looks for the marker in the root, reopened by path.
    pub(super) fn probe(&self) -> Result<(), StagingFault> {
        self.enter().map(drop)
    }

    /// Whose trouble a failure at one path is: staging's only if staging itself does not answer.
    /// One file's permissions, folder or bad sector must not stop the work on all others.
    pub(super) fn blame(&self, fault: StagingFault) -> StagingFault {
        match fault {
            StagingFault::Unavailable(why) => match self.probe() {
                Ok(()) => StagingFault::Unreadable(why),
                Err(outage) => outage,
            },
            fault @ (StagingFault::Absent
            | StagingFault::NotAPlainFile(_)
            | StagingFault::Unreadable(_)
            | StagingFault::Changed) => fault,
        }
    }

    /// What to answer when nothing was found: [`StagingFault::Absent`] only if the marker is
    /// there now.
    pub(super) fn absent(&self) -> StagingFault {
        match self.probe() {
            Ok(()) => StagingFault::Absent,
            Err(fault) => fault,
        }
    }

    /// Turns an error met on the way to one file into a fault. Also "odd" is believed only in the
    /// right root.
    pub(super) fn fault(&self, errno: Errno) -> StagingFault {
        match Trouble::at_path(errno) {
            Trouble::Missing => self.absent(),
            Trouble::Odd(what) => match self.probe() {
                Ok(()) => StagingFault::NotAPlainFile(what.to_owned()),
                Err(fault) => fault,
            },
            Trouble::Broken(errno) => unavailable("the file cannot be reached", errno),
        }
    }

    /// Opens the account's own folder, in the root reopened by path.
    pub(super) fn account_folder(&self, path: &StagingPath) -> Result<OwnedFd, StagingFault> {
        let root = self.enter()?;
        beneath(&root, account_of(path), THROUGH).map_err(|errno| self.fault(errno))
    }
}

/// The first component of a staging path: the account's id, as its constructor checked.
pub(super) fn account_of(path: &StagingPath) -> &str {
    path.as_str()
        .split_once('/')
        .map_or("", |(account, _)| account)
}

/// Opens a root by path.
pub(super) fn open_root(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, FOLDER.union(OFlags::CLOEXEC), Mode::empty())
}

/// Opens something beneath a folder, following no link of any kind.
pub(super) fn beneath(folder: impl AsFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::io::retry_on_intr(|| {
        rustix::fs::openat2(folder.as_fd(), path, flags, Mode::empty(), resolve)
    })
}
