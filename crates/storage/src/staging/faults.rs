//! What an error of the file system says: about one path, or about staging itself.

use recording::StagingFault;
use rustix::io::Errno;

/// An error, understood.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nothing is there; to be believed only if the marker is.
    Missing,
    /// Something is wrong with this one path.
    Odd(&'static str),
    /// Staging cannot be used.
    Broken(Errno),
}

impl Trouble {
    /// Understands an error met on the way to one file. A permission that it lacks says nothing of
    /// what it is: with the marker in sight that is this one file's trouble, and it is tried again.
    pub(super) fn at_path(errno: Errno) -> Self {
        match errno {
            Errno::NOENT => Self::Missing,
            Errno::LOOP => Self::Odd("a symbolic link is on the way or at the path"),
            Errno::XDEV => Self::Odd("the path leads out of the account's folder"),
            Errno::NOTDIR => Self::Odd("a component of the path is no folder"),
            Errno::NXIO | Errno::NODEV => Self::Odd("a socket or device is at the path"),
            Errno::ISDIR => Self::Odd("a folder is at the path"),
            Errno::NAMETOOLONG => Self::Odd("the path is too long for the file system"),
            other => Self::Broken(other),
        }
    }
}

/// Staging cannot be used: says which call failed and how.
pub(super) fn unavailable(what: &str, errno: Errno) -> StagingFault {
    StagingFault::Unavailable(format!("{what}: {errno}"))
}
