//! Erasing an original that nobody copied: whatever of it is at its path or in the trash.

use recording::{Fence, Identity, OriginalRemains, RecordingKey, StagingFault, StagingPath};
use rustix::fd::OwnedFd;
use rustix::fs::AtFlags;
use rustix::io::Errno;
use uuid::Uuid;

use super::{entries, moves};
use crate::staging::compare::{identity, is_regular};
use crate::staging::faults::unavailable;
use crate::staging::places::{entry_name, make_bin, open_bin};
use crate::staging::root::{Root, account_of};
use crate::staging::shift::{Shifted, Spot, from_token, to_token};

/// What a permission says, without being one.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) key: RecordingKey,
    pub(super) path: StagingPath,
    pub(super) token: Uuid,
    pub(super) fence: Fence,
}

impl Wanted {
    fn fenced(&self) -> Result<(), StagingFault> {
        let over = |_| StagingFault::Unreadable("not deleted: the lease ran out".to_owned());
        self.fence.check().map_err(over)
    }
}

/// Deletes what is in the trash, then what is at the path.
///
/// SUBTLE: what is at the path is moved before it is deleted, and compared with what was seen
/// there: a process that woke up too late for its lease can take only the very file that it saw,
/// and never another recording's that has the path by then.
pub(super) fn erase(root: &Root, wanted: &Wanted) -> Result<u32, StagingFault> {
    if account_of(&wanted.path) != wanted.key.account_id.as_str() {
        let what = "refused to delete: the path is another account's";
        return Err(StagingFault::Unreadable(what.to_owned()));
    }
    let mut deleted: u32 = 0;
    for entry in entries::find(root, &wanted.key)? {
        wanted.fenced()?;
        let Some(bin) = open_bin(root, &wanted.key.account_id)? else {
            break;
        };
        let name = entry_name(&entry.key.recording_id, entry.token);
        deleted = deleted.saturating_add(u32::from(unlink(&bin, &name)?));
    }
    let Some((parent, seen)) = at_path(root, &wanted.path)? else {
        return Ok(deleted);
    };
    let Some(seen) = seen else {
        return Err(StagingFault::NotAPlainFile(
            "a folder, a link or a device is at the path".to_owned(),
        ));
    };
    wanted.fenced()?;
    let bin = make_bin(root, &wanted.key.account_id)?;
    let name = entry_name(&wanted.key.recording_id, wanted.token);
    let from = Spot {
        folder: &parent,
        name: wanted.path.file_name(),
    };
    let to = Spot {
        folder: &bin,
        name: &name,
    };
    let cannot = |errno| unavailable("the original cannot be moved", errno);
    match to_token(from, to).map_err(cannot)? {
        Shifted::Done => {}
        Shifted::Missing => return root.probe().map(|()| deleted),
        Shifted::Taken => return Err(StagingFault::Changed),
    }
    let moved = rustix::fs::statat(&bin, &name, AtFlags::SYMLINK_NOFOLLOW);
    let moved = moved.map_err(|errno| unavailable("the entry cannot be seen", errno))?;
    if !is_regular(&moved) || identity(&moved) != seen {
        from_token(to, from).map_err(|errno| unavailable("it cannot be put back", errno))?;
        return Err(StagingFault::Changed);
    }
    wanted.fenced()?;
    Ok(deleted.saturating_add(u32::from(unlink(&bin, &name)?)))
}

/// What is left of it.
pub(super) fn left(
    root: &Root,
    key: &RecordingKey,
    path: &StagingPath,
) -> Result<OriginalRemains, StagingFault> {
    // The path first: what is moved meanwhile lies in the trash then.
    let at_path = at_path(root, path)?.is_some();
    let in_trash = entries::find(root, key)?.len();
    Ok(OriginalRemains {
        at_path,
        in_trash: u32::try_from(in_trash).unwrap_or(u32::MAX),
    })
}

/// The folder and what is in it at the path: its identity, if it is a file. `None`: nothing is
/// there, believed only with the marker.
fn at_path(
    root: &Root,
    path: &StagingPath,
) -> Result<Option<(OwnedFd, Option<Identity>)>, StagingFault> {
    let parent = match moves::parent_of(root, path) {
        Ok(parent) => parent,
        Err(StagingFault::Absent) => return Ok(None),
        Err(
            fault @ (StagingFault::Unavailable(_)
            | StagingFault::Unreadable(_)
            | StagingFault::NotAPlainFile(_)
            | StagingFault::Changed),
        ) => return Err(fault),
    };
    match rustix::fs::statat(&parent, path.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some((parent, is_regular(&stat).then(|| identity(&stat))))),
        Err(Errno::NOENT) => root.probe().map(|()| None),
        Err(errno) => Err(unavailable("the original cannot be reached", errno)),
    }
}

/// Deletes a name in the trash, durably. `false`: it was gone.
fn unlink(bin: &OwnedFd, name: &str) -> Result<bool, StagingFault> {
    let deleted = match rustix::fs::unlinkat(bin, name, AtFlags::empty()) {
        Ok(()) => true,
        Err(Errno::NOENT) => false,
        Err(errno) => return Err(unavailable("the entry cannot be deleted", errno)),
    };
    rustix::fs::fsync(bin).map_err(|errno| unavailable("the trash cannot be synced", errno))?;
    Ok(deleted)
}
