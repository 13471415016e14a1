//! Where things lie in the trash: `.callferry-trash/<account>/<recording>~<token>`.

use recording::{AccountId, RecordingId, RecordingKey, StagingFault, TRASH_DIRECTORY, TrashEntry};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Dir, Mode};
use rustix::io::Errno;
use uuid::Uuid;

use super::faults::unavailable;
use super::root::{FOLDER, Root, beneath};

/// The name of an entry within its account's folder. No id holds a `~`.
pub(super) fn entry_name(recording: &RecordingId, token: Uuid) -> String {
    format!("{recording}~{token}")
}

/// Reads an entry's name back; `None` for what cleanup did not put there.
pub(super) fn read_name(account: &AccountId, name: &str) -> Option<TrashEntry> {
    let (recording, token) = name.split_once('~')?;
    Some(TrashEntry {
        key: RecordingKey {
            account_id: account.clone(),
            recording_id: recording.parse().ok()?,
        },
        token: token.parse().ok()?,
        compared: None,
    })
}

/// Opens an account's trash folder; `None` if it was never made, believed only with the marker.
pub(super) fn open_bin(root: &Root, account: &AccountId) -> Result<Option<OwnedFd>, StagingFault> {
    let path = format!("{TRASH_DIRECTORY}/{account}");
    open_folder(root, &path)
}

/// Opens the folder of all trash; `None` if it was never made, believed only with the marker.
pub(super) fn open_bins(root: &Root) -> Result<Option<OwnedFd>, StagingFault> {
    open_folder(root, TRASH_DIRECTORY)
}

fn open_folder(root: &Root, path: &str) -> Result<Option<OwnedFd>, StagingFault> {
    let top = root.enter()?;
    match beneath(&top, path, FOLDER) {
        Ok(folder) => Ok(Some(folder)),
        Err(Errno::NOENT) => root.probe().map(|()| None),
        Err(errno) => Err(unavailable("the trash cannot be opened", errno)),
    }
}

/// Opens an account's trash folder and makes it where it is missing, private to cleanup. Called
/// only after the original was seen, hence in the right root.
pub(super) fn make_bin(root: &Root, account: &AccountId) -> Result<OwnedFd, StagingFault> {
    let top = root.enter()?;
    make_within(&top, TRASH_DIRECTORY, Mode::RWXU)
        .and_then(|bins| make_within(&bins, account.as_str(), Mode::RWXU))
        .map_err(|errno| unavailable("the trash cannot be made", errno))
}

/// Opens a folder in another and makes it, durably, where it is missing.
pub(super) fn make_within(parent: &OwnedFd, name: &str, mode: Mode) -> Result<OwnedFd, Errno> {
    match beneath(parent, name, FOLDER) {
        Err(Errno::NOENT) => {}
        found => return found,
    }
    match rustix::fs::mkdirat(parent, name, mode) {
        Ok(()) => rustix::fs::fsync(parent)?,
        Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    beneath(parent, name, FOLDER)
}

/// The names in a folder.
pub(super) fn names(folder: impl AsFd) -> Result<Vec<String>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        // A name that is not text is none of ours.
        if let Ok(name) = entry.file_name().to_str()
            && !matches!(name, "." | "..")
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_names_read_back_and_strangers_are_left_alone() {
        let account: AccountId = "acme".parse().unwrap();
        let recording: RecordingId = "rec-1".parse().unwrap();
        let token = Uuid::from_u128(7);
        let entry = read_name(&account, &entry_name(&recording, token)).unwrap();
        assert_eq!(entry.key.recording_id, recording);
        assert_eq!(entry.token, token);
        for stranger in [
            "rec-1",
            "rec-1~",
            "~x",
            "rec~no-uuid",
            ".hidden~",
            "lost+found",
        ] {
            assert_eq!(read_name(&account, stranger), None, "{stranger}");
        }
    }
}
