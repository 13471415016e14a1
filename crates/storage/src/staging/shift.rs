//! Moving a name from one folder to another without replacing anything, durably.

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

/// A name in an open folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot<'a> {
    /// The folder.
    pub(super) folder: &'a OwnedFd,
    /// The name in it.
    pub(super) name: &'a str,
}

/// What a move did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shifted {
    /// It is at the new place and no longer at the old one.
    Done,
    /// Nothing was at the old place.
    Missing,
    /// Something is at the new place already; nothing was changed.
    Taken,
}

/// Whether the file system lacks `RENAME_NOREPLACE` (NFS and some others).
fn lacks_noreplace(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}

fn rename(from: Spot<'_>, to: Spot<'_>) -> Result<(), Errno> {
    let flags = RenameFlags::NOREPLACE;
    rustix::fs::renameat_with(from.folder, from.name, to.folder, to.name, flags)
}

/// Moves to a name that carries a random token, which nobody else makes.
///
/// SUBTLE: where the file system cannot rename without replacing, a plain rename is the safe way
/// here and `linkat` + unlink is not: between those two the *source* could be replaced, and the
/// unlink would delete a file that nobody copied. A rename takes exactly one file, and its target
/// cannot be somebody else's because of the token.
pub(super) fn to_token(from: Spot<'_>, to: Spot<'_>) -> Result<Shifted, Errno> {
    match rename(from, to) {
        Err(errno) if lacks_noreplace(errno) => {
            if exists(to)? {
                return Ok(Shifted::Taken);
            }
            settle(
                rustix::fs::renameat(from.folder, from.name, to.folder, to.name),
                from,
                to,
            )
        }
        renamed => settle(renamed, from, to),
    }
}

/// Moves from a token's name back to a path that others may write to.
///
/// SUBTLE: here the target is the one that may appear meanwhile, so the fallback links, which
/// fails if the name is taken, and unlinks the source, which only we touch. A crash in between
/// leaves two names of one file; the next call sees that they are one and ends it.
pub(super) fn from_token(from: Spot<'_>, to: Spot<'_>) -> Result<Shifted, Errno> {
    let linked = match rename(from, to) {
        Err(errno) if lacks_noreplace(errno) => {
            rustix::fs::linkat(from.folder, from.name, to.folder, to.name, AtFlags::empty())
        }
        Err(Errno::EXIST) if same_file(from, to)? => Ok(()),
        renamed => return settle(renamed, from, to),
    };
    match linked {
        Err(Errno::EXIST) if !same_file(from, to)? => return Ok(Shifted::Taken),
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return settle(Err(errno), from, to),
    }
    rustix::fs::fsync(to.folder)?;
    let unlinked = rustix::fs::unlinkat(from.folder, from.name, AtFlags::empty());
    settle(unlinked, from, to)
}

/// Makes both folders durable after a success and sorts the errors.
fn settle(done: Result<(), Errno>, from: Spot<'_>, to: Spot<'_>) -> Result<Shifted, Errno> {
    match done {
        Ok(()) => {
            rustix::fs::fsync(to.folder)?;
            rustix::fs::fsync(from.folder)?;
            Ok(Shifted::Done)
        }
        Err(Errno::NOENT) => Ok(Shifted::Missing),
        Err(Errno::EXIST) => Ok(Shifted::Taken),
        Err(errno) => Err(errno),
    }
}

/// Whether anything, also a dangling link, has this name.
pub(super) fn exists(spot: Spot<'_>) -> Result<bool, Errno> {
    match rustix::fs::statat(spot.folder, spot.name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Whether two names are one file.
fn same_file(one: Spot<'_>, other: Spot<'_>) -> Result<bool, Errno> {
    let stat =
        |spot: Spot<'_>| rustix::fs::statat(spot.folder, spot.name, AtFlags::SYMLINK_NOFOLLOW);
    match (stat(one), stat(other)) {
        (Ok(one), Ok(other)) => Ok(one.st_dev == other.st_dev && one.st_ino == other.st_ino),
        (Err(Errno::NOENT), _) | (_, Err(Errno::NOENT)) => Ok(false),
        (Err(errno), _) | (_, Err(errno)) => Err(errno),
    }
}
