//! Telling one file from another: by identity, and where that differs, by content.

use recording::{Digests, Identity};
use rustix::buffer::spare_capacity;
use rustix::fd::AsFd;
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use crate::digest::Hashing;

/// How much is read at a time when a whole file is hashed, in bytes.
const CHUNK: usize = 1 << 20;

/// Whether it is a regular file.
pub(super) fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// The identity that a file's status tells.
pub(super) fn identity(stat: &Stat) -> Identity {
    let nanoseconds = i64::try_from(stat.st_mtime_nsec).unwrap_or_default();
    let inode: u64 = stat.st_ino;
    Identity {
        size_bytes: u64::try_from(stat.st_size).unwrap_or_default(),
        mtime_ns: stat
            .st_mtime
            .saturating_mul(1_000_000_000)
            .saturating_add(nanoseconds),
        inode: i64::from_ne_bytes(inode.to_ne_bytes()),
        entity: None,
    }
}

/// Reads exactly `len` bytes at `offset`, or `None` if the file ends before that.
pub(super) fn read_exactly(
    file: impl AsFd,
    offset: u64,
    len: usize,
) -> Result<Option<Vec<u8>>, Errno> {
    // Never zeroed: the kernel fills the spare capacity.
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        let done = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let at = offset.saturating_add(done);
        match rustix::io::pread(file.as_fd(), spare_capacity(&mut bytes), at) {
            Ok(0) => return Ok(None),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    bytes.truncate(len);
    Ok(Some(bytes))
}

/// Fills `bytes` from `offset` on; `false` if the file ends before that.
pub(super) fn fill(file: impl AsFd, offset: u64, bytes: &mut [u8]) -> Result<bool, Errno> {
    let (mut left, mut at) = (bytes, offset);
    while !left.is_empty() {
        match rustix::io::pread(file.as_fd(), &mut *left, at) {
            Ok(0) => return Ok(false),
            Ok(read) => {
                left = left.get_mut(read..).unwrap_or_default();
                at = at.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(true)
}

/// What an open file is found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Likeness {
    /// The very file that was copied, unchanged, or one that was compared a moment ago.
    Known,
    /// Another one with the very same bytes.
    SameBytes(Identity),
    /// Something else.
    Other,
}

/// Compares an open file with the one that was copied; it is read only if its identity is neither
/// that one's nor the one that was `compared` already.
pub(super) fn likeness(
    file: impl AsFd,
    copied: &Identity,
    compared: Option<&Identity>,
    digests: &Digests,
) -> Result<Likeness, Errno> {
    let stat = rustix::fs::fstat(file.as_fd())?;
    if !is_regular(&stat) {
        return Ok(Likeness::Other);
    }
    let found = identity(&stat);
    if found == *copied || compared == Some(&found) {
        return Ok(Likeness::Known);
    }
    if found.size_bytes != digests.size_bytes {
        return Ok(Likeness::Other);
    }
    let same_bytes = hash(file.as_fd(), found.size_bytes)? == *digests;
    // Somebody may be writing right now; then it is not the copied one, whatever was read.
    let after = identity(&rustix::fs::fstat(file.as_fd())?);
    Ok(match same_bytes && after == found {
        true => Likeness::SameBytes(found),
        false => Likeness::Other,
    })
}

/// Hashes a file up to `limit` bytes, so that one which keeps growing ends all the same.
pub(super) fn hash(file: impl AsFd, limit: u64) -> Result<Digests, Errno> {
    let mut hashing = Hashing::new();
    let mut bytes = Vec::with_capacity(CHUNK);
    let mut offset = 0_u64;
    while offset < limit {
        bytes.clear();
        match rustix::io::pread(file.as_fd(), spare_capacity(&mut bytes), offset) {
            Ok(0) => break,
            Ok(_) => {
                let left = usize::try_from(limit.saturating_sub(offset)).unwrap_or(usize::MAX);
                bytes.truncate(left);
                hashing.update(&bytes);
                let taken = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                offset = offset.saturating_add(taken);
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(hashing.finish())
}
