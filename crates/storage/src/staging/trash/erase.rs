//! Erasing an original without a second look at a copy: whatever of it is at its path or in the
//! trash.

use recording::{
    AtPath, Fence, Identity, Judgment, KnownBy, OriginalRemains, SoughtOriginal, StagingFault,
    TrashEntry,
};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::AtFlags;
use rustix::io::Errno;
use uuid::Uuid;

use super::{entries, moves};
use crate::staging::compare::{hash, identity, is_regular};
use crate::staging::faults::unavailable;
use crate::staging::places::{entry_name, make_bin, open_bin};
use crate::staging::root::{FILE, Root, account_of, beneath};
use crate::staging::shift::{Shifted, Spot, from_token, to_token};

/// What a permission says, without being one.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) original: SoughtOriginal,
    pub(super) token: Uuid,
    pub(super) fence: Fence,
}

impl Wanted {
    fn fenced(&self) -> Result<(), StagingFault> {
        let over = |_| StagingFault::Unreadable("not deleted: the lease ran out".to_owned());
        self.fence.check().map_err(over)
    }
}

/// Deletes what is in the trash, then what is at the path, if it is the original.
///
/// SUBTLE: what is at the path is moved before it is deleted, and compared with what was seen
/// there: a process that woke up too late for its lease can take only the very file that it judged,
/// and never another recording's that has the path by then.
pub(super) fn erase(root: &Root, wanted: &Wanted) -> Result<u32, StagingFault> {
    let original = &wanted.original;
    let (key, path) = (&original.key, &original.path);
    if account_of(path) != key.account_id.as_str() {
        let what = "refused to delete: the path is another account's";
        return Err(StagingFault::Unreadable(what.to_owned()));
    }
    let mut deleted: u32 = 0;
    for entry in entries::find(root, key)? {
        deleted = deleted.saturating_add(u32::from(end_entry(root, wanted, &entry)?));
    }
    let Some((parent, seen)) = at_path(root, original)? else {
        return Ok(deleted);
    };
    let Some(seen) = seen else {
        return Err(StagingFault::NotAPlainFile(
            "a folder, a link or a device is at the path".to_owned(),
        ));
    };
    if judged(&parent, path.file_name(), &seen, &original.known_by)? != Judgment::Its {
        return Ok(deleted);
    }
    wanted.fenced()?;
    let bin = make_bin(root, &key.account_id)?;
    let name = entry_name(&key.recording_id, wanted.token);
    let from = Spot {
        folder: &parent,
        name: path.file_name(),
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

/// Deletes an entry that is the original; any other is put back, where its path is free.
fn end_entry(root: &Root, wanted: &Wanted, entry: &TrashEntry) -> Result<bool, StagingFault> {
    let original = &wanted.original;
    let Some(bin) = open_bin(root, &original.key.account_id)? else {
        return Ok(false);
    };
    let name = entry_name(&entry.key.recording_id, entry.token);
    let cannot = |errno| unavailable("the entry cannot be seen", errno);
    let judgment = match rustix::fs::statat(&bin, &name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if is_regular(&stat) => {
            let seen = identity(&stat);
            judged(&bin, &name, &seen, &original.known_by)?
        }
        // A link or a socket: whatever it is, nobody recorded it.
        Ok(_) => Judgment::Another,
        Err(Errno::NOENT) => return root.probe().map(|()| false),
        Err(errno) => return Err(cannot(errno)),
    };
    wanted.fenced()?;
    match judgment {
        Judgment::Its => unlink(&bin, &name),
        // One that stays here is counted by the look that follows.
        Judgment::Another | Judgment::Doubtful(_) => {
            moves::put_back(root, entry, &original.path).map(|_| false)
        }
    }
}

/// What the file of this name and identity is.
fn judged(
    folder: impl AsFd,
    name: &str,
    seen: &Identity,
    known_by: &KnownBy,
) -> Result<Judgment, StagingFault> {
    if let Some(judgment) = known_by.by_identity(seen) {
        return Ok(judgment);
    }
    let file = match beneath(folder, name, FILE) {
        Ok(file) => file,
        // It was a plain file a moment ago.
        Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Err(StagingFault::Changed),
        Err(errno) => return Err(unavailable("the file cannot be opened", errno)),
    };
    let cannot = |errno| unavailable("the file cannot be read", errno);
    let digests = hash(&file, seen.size_bytes).map_err(cannot)?;
    // Somebody may be writing right now; then whatever was read tells nothing.
    match identity(&rustix::fs::fstat(&file).map_err(cannot)?) == *seen {
        true => Ok(known_by.by_bytes(&digests.sha256)),
        false => Err(StagingFault::Changed),
    }
}

/// What is left of it.
pub(super) fn left(
    root: &Root,
    original: &SoughtOriginal,
) -> Result<OriginalRemains, StagingFault> {
    // The path first: what is moved meanwhile lies in the trash then.
    let at_path = match at_path(root, original)? {
        None => AtPath::Nothing,
        Some((_, None)) => AtPath::It,
        Some((parent, Some(seen))) => judged(
            &parent,
            original.path.file_name(),
            &seen,
            &original.known_by,
        )?
        .into(),
    };
    let in_trash = entries::find(root, &original.key)?.len();
    Ok(OriginalRemains {
        at_path,
        in_trash: u32::try_from(in_trash).unwrap_or(u32::MAX),
    })
}

/// The folder and what is in it at the path: its identity, if it is a file. `None`: nothing is
/// there, believed only with the marker.
fn at_path(
    root: &Root,
    original: &SoughtOriginal,
) -> Result<Option<(OwnedFd, Option<Identity>)>, StagingFault> {
    let path = &original.path;
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
