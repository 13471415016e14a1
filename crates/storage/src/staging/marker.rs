//! The staging marker: a file in the root that says "this is the staging, mounted". Written once,
//! by `callferry migrate`; no role creates it.

use std::path::Path;

use recording::StagingFault;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use uuid::Uuid;

use super::faults::unavailable;
use super::root::{FILE, beneath, open_root};

/// The marker's name.
const MARKER: &str = ".callferry-staging";
/// An id in text, with a generous margin for white space.
const MAX_BYTES: usize = 64;

/// Why the marker was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarkerFault {
    /// The root is the staging of another installation.
    #[error("the root already is the staging of another installation ({0})")]
    OtherStaging(Uuid),
    /// There is a marker and it holds no id: a person looks.
    #[error("the root's marker holds no id")]
    Malformed,
    /// The file system refused.
    #[error(transparent)]
    Staging(#[from] StagingFault),
}

/// Writes the marker with `staging_id` into the root, durably. Repeating it is harmless.
///
/// # Errors
/// [`MarkerFault::OtherStaging`] if another id is there; nothing is changed then.
pub fn write_marker(root: &Path, staging_id: Uuid) -> Result<(), MarkerFault> {
    let fault = |what: &str, errno| MarkerFault::Staging(unavailable(what, errno));
    let root = open_root(root).map_err(|errno| fault("the root cannot be opened", errno))?;
    match check(&root, staging_id)? {
        Some(()) => return Ok(()),
        None => write(&root, staging_id)
            .map_err(|errno| fault("the marker cannot be written", errno))?,
    }
    // Two writers may have met: the one whose link came first has won.
    match check(&root, staging_id)? {
        Some(()) => Ok(()),
        None => Err(fault("the marker vanished", Errno::NOENT)),
    }
}

/// The id in the root's marker, if there is one.
///
/// # Errors
/// The root cannot be read, or its marker holds no id.
pub fn read_marker(root: &Path) -> Result<Option<Uuid>, StagingFault> {
    let root = open_root(root).map_err(|errno| unavailable("the root cannot be opened", errno))?;
    read_in(&root).map_err(|errno| unavailable("the marker cannot be read", errno))
}

fn check(root: &OwnedFd, staging_id: Uuid) -> Result<Option<()>, MarkerFault> {
    match read_in(root) {
        Ok(Some(found)) if found == staging_id => Ok(Some(())),
        Ok(Some(found)) => Err(MarkerFault::OtherStaging(found)),
        Ok(None) => Ok(None),
        Err(Errno::INVAL) => Err(MarkerFault::Malformed),
        Err(errno) => Err(unavailable("the marker cannot be read", errno).into()),
    }
}

/// Reads the marker in an open root. `INVAL` if it holds no id.
pub(super) fn read_in(root: impl AsFd) -> Result<Option<Uuid>, Errno> {
    let file = match beneath(root, MARKER, FILE) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let mut text = Vec::with_capacity(MAX_BYTES);
    rustix::io::pread(&file, rustix::buffer::spare_capacity(&mut text), 0)?;
    let text = String::from_utf8(text).map_err(|_| Errno::INVAL)?;
    text.trim().parse().map(Some).map_err(|_| Errno::INVAL)
}

/// Writes the whole marker under another name first, so that a half-written one is never seen.
fn write(root: &OwnedFd, staging_id: Uuid) -> Result<(), Errno> {
    let draft = format!("{MARKER}.{}", Uuid::new_v4());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    let file = rustix::fs::openat(root, &draft, flags, mode)?;
    let text = format!("{staging_id}\n");
    let written = rustix::io::write(&file, text.as_bytes())?;
    if written != text.len() {
        return Err(Errno::NOSPC);
    }
    rustix::fs::fsync(&file)?;
    let linked = rustix::fs::linkat(root, &draft, root, MARKER, AtFlags::empty());
    rustix::fs::unlinkat(root, &draft, AtFlags::empty())?;
    rustix::fs::fsync(root)?;
    match linked {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}
