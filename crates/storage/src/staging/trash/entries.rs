//! What lies in the trash: finding, comparing, deleting.

use recording::{AccountId, RecordingKey, StagingFault, TrashEntry};
use rustix::fd::OwnedFd;
use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::Copied;
use crate::staging::compare::{self, Likeness};
use crate::staging::faults::unavailable;
use crate::staging::places::{entry_name, names, open_bin, open_bins, read_name};
use crate::staging::root::{FILE, FOLDER, Root, beneath};

/// The entries of one recording.
pub(super) fn find(root: &Root, key: &RecordingKey) -> Result<Vec<TrashEntry>, StagingFault> {
    let Some(bin) = open_bin(root, &key.account_id)? else {
        return Ok(Vec::new());
    };
    let found = within(&bin, &key.account_id)?;
    Ok(found
        .into_iter()
        .filter(|entry| entry.key == *key)
        .collect())
}

/// The entries of everybody that were moved in longer ago than `older_than_s`.
pub(super) fn list(
    root: &Root,
    older_than_s: u64,
    limit: usize,
) -> Result<Vec<TrashEntry>, StagingFault> {
    let Some(bins) = open_bins(root)? else {
        return Ok(Vec::new());
    };
    let mut old = Vec::new();
    for name in names(&bins).map_err(cannot_list)? {
        let Ok(account) = name.parse::<AccountId>() else {
            continue;
        };
        let bin = match beneath(&bins, &name, FOLDER) {
            Ok(bin) => bin,
            // Not a folder, or gone again: none of ours.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
            Err(errno) => return Err(cannot_list(errno)),
        };
        for entry in within(&bin, &account)? {
            if old.len() >= limit {
                return Ok(old);
            }
            if is_older(&bin, &entry, older_than_s)? {
                old.push(entry);
            }
        }
    }
    Ok(old)
}

fn within(bin: &OwnedFd, account: &AccountId) -> Result<Vec<TrashEntry>, StagingFault> {
    let names = names(bin).map_err(cannot_list)?;
    let entries = names.iter().filter_map(|name| read_name(account, name));
    Ok(entries.collect())
}

fn cannot_list(errno: Errno) -> StagingFault {
    unavailable("the trash cannot be listed", errno)
}

/// A rename keeps the time of the content's change and sets the status' change, which is therefore
/// when the entry came here.
///
/// SUBTLE: the clock is the kernel's, not the `Clock` port: only the clock that stamped the file
/// can be compared with the stamp, and nothing is decided by the result but when to look.
fn is_older(bin: &OwnedFd, entry: &TrashEntry, than_s: u64) -> Result<bool, StagingFault> {
    let name = entry_name(&entry.key.recording_id, entry.token);
    match rustix::fs::statat(bin, &name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
            let age = now.tv_sec.saturating_sub(stat.st_ctime);
            Ok(u64::try_from(age).unwrap_or_default() >= than_s)
        }
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(cannot_list(errno)),
    }
}

/// Compares an entry with what was copied. `None`: it is not that.
pub(super) fn compare(
    root: &Root,
    entry: TrashEntry,
    copied: &Copied,
) -> Result<Option<TrashEntry>, StagingFault> {
    let Some(bin) = open_bin(root, &entry.key.account_id)? else {
        return Ok(None);
    };
    let found = likeness(&bin, &entry, copied)?;
    Ok(found.and_then(|found| known_as(entry, found)))
}

/// The entry of what was found; `None` if that is not what was copied.
pub(super) fn known_as(entry: TrashEntry, found: Likeness) -> Option<TrashEntry> {
    match found {
        Likeness::Known => Some(entry),
        Likeness::SameBytes(identity) => Some(TrashEntry {
            compared: Some(identity),
            ..entry
        }),
        Likeness::Other => None,
    }
}

/// `None`: there is no such entry (any more).
pub(super) fn likeness(
    bin: &OwnedFd,
    entry: &TrashEntry,
    copied: &Copied,
) -> Result<Option<Likeness>, StagingFault> {
    let name = entry_name(&entry.key.recording_id, entry.token);
    let file = match beneath(bin, &name, FILE) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        // A link or a socket: whatever it is, it was not copied.
        Err(Errno::LOOP | Errno::NXIO) => return Ok(Some(Likeness::Other)),
        Err(errno) => return Err(unavailable("the entry cannot be opened", errno)),
    };
    let compared = entry.compared.as_ref();
    let found = compare::likeness(&file, &copied.identity, compared, &copied.digests);
    found
        .map(Some)
        .map_err(|errno| unavailable("the entry cannot be read", errno))
}

/// Deletes an entry that is what was copied, durably.
pub(super) fn unlink(root: &Root, entry: &TrashEntry, copied: &Copied) -> Result<(), StagingFault> {
    if entry.key != copied.key || entry.token != copied.token {
        let what = "refused to delete: the permission is for another entry";
        return Err(StagingFault::Unavailable(what.to_owned()));
    }
    // That it is gone is believed only in the right root, which `open_bin` and the probe below say.
    let Some(bin) = open_bin(root, &entry.key.account_id)? else {
        return Ok(());
    };
    match likeness(&bin, entry, copied)? {
        Some(Likeness::Known | Likeness::SameBytes(_)) => {}
        Some(Likeness::Other) => {
            let what = "refused to delete: the entry is not what was copied";
            return Err(StagingFault::Unavailable(what.to_owned()));
        }
        None => return root.probe(),
    }
    let name = entry_name(&entry.key.recording_id, entry.token);
    match rustix::fs::unlinkat(&bin, &name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(unavailable("the entry cannot be deleted", errno)),
    }
    rustix::fs::fsync(&bin).map_err(|errno| unavailable("the trash cannot be synced", errno))
}
