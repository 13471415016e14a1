//! Into the trash, within it, and back out of it.

use recording::{Identity, Moved, StagingFault, StagingPath, TrashEntry};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;
use uuid::Uuid;

use super::{Copied, entries};
use crate::staging::compare::{identity, is_regular};
use crate::staging::faults::unavailable;
use crate::staging::places::{entry_name, make_bin, make_within, open_bin};
use crate::staging::root::{FOLDER, Root, account_of, beneath};
use crate::staging::shift::{Shifted, Spot, exists, from_token, to_token};

/// Moves the original at `path` into the trash and compares what was moved.
pub(super) fn move_in(
    root: &Root,
    path: &StagingPath,
    copied: &Copied,
) -> Result<Moved, StagingFault> {
    if account_of(path) != copied.key.account_id.as_str() {
        let what = "refused to move: the path is another account's";
        return Err(StagingFault::Unavailable(what.to_owned()));
    }
    let parent = match parent_of(root, path) {
        Ok(parent) => parent,
        Err(StagingFault::Absent) => return Ok(Moved::Absent),
        Err(StagingFault::NotAPlainFile(_)) => return Ok(Moved::NotTheSame),
        Err(
            fault @ (StagingFault::Unavailable(_)
            | StagingFault::Unreadable(_)
            | StagingFault::Changed),
        ) => return Err(fault),
    };
    let from = Spot {
        folder: &parent,
        name: path.file_name(),
    };
    // A folder or a link is not even moved; whatever replaces it later is compared below.
    match rustix::fs::statat(&parent, path.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if is_regular(&stat) => {}
        Ok(_) => return Ok(Moved::NotTheSame),
        Err(Errno::NOENT) => return absent(root),
        Err(errno) => return Err(unavailable("the original cannot be reached", errno)),
    }
    let bin = make_bin(root, &copied.key.account_id)?;
    let entry = TrashEntry {
        key: copied.key.clone(),
        token: copied.token,
        compared: None,
    };
    let name = entry_name(&entry.key.recording_id, entry.token);
    let to = Spot {
        folder: &bin,
        name: &name,
    };
    let cannot = |errno| unavailable("the original cannot be moved", errno);
    match to_token(from, to).map_err(cannot)? {
        Shifted::Done => {}
        Shifted::Missing => return absent(root),
        Shifted::Taken => {
            let what = "refused to move: the trash holds an entry of this token already";
            return Err(StagingFault::Unavailable(what.to_owned()));
        }
    }
    let found = entries::likeness(&bin, &entry, copied)?;
    if let Some(entry) = found.and_then(|found| entries::known_as(entry, found)) {
        return Ok(Moved::Moved(entry));
    }
    // Taken again meanwhile: both files are kept, this one in the trash. Either way it is not
    // the copied one.
    from_token(to, from).map_err(|errno| unavailable("it cannot be put back", errno))?;
    Ok(Moved::NotTheSame)
}

/// Whether the file at `path` is, by identity, the one that was copied.
pub(super) fn in_place(
    root: &Root,
    path: &StagingPath,
    copied: &Identity,
) -> Result<bool, StagingFault> {
    let parent = match parent_of(root, path) {
        Ok(parent) => parent,
        Err(StagingFault::Absent | StagingFault::NotAPlainFile(_)) => return Ok(false),
        Err(
            fault @ (StagingFault::Unavailable(_)
            | StagingFault::Unreadable(_)
            | StagingFault::Changed),
        ) => return Err(fault),
    };
    match rustix::fs::statat(&parent, path.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(is_regular(&stat) && identity(&stat) == *copied),
        Err(Errno::NOENT) => root.probe().map(|()| false),
        Err(errno) => Err(unavailable("the original cannot be reached", errno)),
    }
}

fn absent(root: &Root) -> Result<Moved, StagingFault> {
    match root.absent() {
        StagingFault::Absent => Ok(Moved::Absent),
        fault @ (StagingFault::Unavailable(_)
        | StagingFault::Unreadable(_)
        | StagingFault::NotAPlainFile(_)
        | StagingFault::Changed) => Err(fault),
    }
}

/// The components of the folder that holds the original, below the account's folder.
fn folders(path: &StagingPath) -> &str {
    path.below_account()
        .rsplit_once('/')
        .map_or("", |(folders, _)| folders)
}

pub(super) fn parent_of(root: &Root, path: &StagingPath) -> Result<OwnedFd, StagingFault> {
    let account = root.account_folder(path)?;
    let folders = folders(path);
    let folders = if folders.is_empty() { "." } else { folders };
    beneath(&account, folders, FOLDER).map_err(|errno| root.fault(errno))
}

/// Renames an entry to another token.
pub(super) fn take_over(
    root: &Root,
    entry: TrashEntry,
    token: Uuid,
) -> Result<Option<TrashEntry>, StagingFault> {
    let Some(bin) = open_bin(root, &entry.key.account_id)? else {
        return Ok(None);
    };
    let cannot = |errno| unavailable("the entry cannot be taken over", errno);
    let old = entry_name(&entry.key.recording_id, entry.token);
    let from = Spot {
        folder: &bin,
        name: &old,
    };
    let taken = TrashEntry {
        key: entry.key,
        token,
        compared: entry.compared,
    };
    if entry.token == token {
        let here = exists(from).map_err(cannot)?;
        return Ok(here.then_some(taken));
    }
    let new = entry_name(&taken.key.recording_id, token);
    let to = Spot {
        folder: &bin,
        name: &new,
    };
    match to_token(from, to).map_err(cannot)? {
        Shifted::Done => Ok(Some(taken)),
        Shifted::Missing | Shifted::Taken => Ok(None),
    }
}

/// Puts an entry back to its path; the folders on the way are made again where they are gone.
pub(super) fn put_back(
    root: &Root,
    entry: &TrashEntry,
    path: &StagingPath,
) -> Result<bool, StagingFault> {
    if account_of(path) != entry.key.account_id.as_str() {
        let what = "refused to put back: the path is another account's";
        return Err(StagingFault::Unavailable(what.to_owned()));
    }
    let Some(bin) = open_bin(root, &entry.key.account_id)? else {
        return Err(root.absent());
    };
    let cannot = |errno| unavailable("the entry cannot be put back", errno);
    let name = entry_name(&entry.key.recording_id, entry.token);
    let from = Spot {
        folder: &bin,
        name: &name,
    };
    if !exists(from).map_err(cannot)? {
        return Err(root.absent());
    }
    let parent = match make_folders(root, path) {
        Ok(parent) => parent,
        // A file or link stands where a folder was: the path is taken.
        Err(Errno::NOTDIR | Errno::LOOP) => return Ok(false),
        Err(errno) => return Err(cannot(errno)),
    };
    let to = Spot {
        folder: &parent,
        name: path.file_name(),
    };
    match from_token(from, to).map_err(cannot)? {
        Shifted::Done => Ok(true),
        Shifted::Taken => Ok(false),
        Shifted::Missing => Err(root.absent()),
    }
}

fn make_folders(root: &Root, path: &StagingPath) -> Result<OwnedFd, Errno> {
    let open = Mode::RWXU | Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH;
    let top = root.enter().map_err(|_| Errno::IO)?;
    let mut folder = make_within(&top, account_of(path), open)?;
    for name in folders(path).split('/').filter(|name| !name.is_empty()) {
        folder = make_within(&folder, name, open)?;
    }
    Ok(folder)
}
