//! The floor of staging: what the tests put there, and what lies there afterwards. Nothing is
//! followed and nothing special is opened.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;

use anyhow::{Context, Result, bail};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::case::Lying;

/// What lies at every path below the root that is no folder with something in it.
pub(crate) type Floor = BTreeMap<String, Lying>;

/// Puts something at a path, whose folders are made.
pub(crate) fn put(root: &Path, path: &str, what: &Lying) -> Result<()> {
    let at = root.join(path);
    let parent = at.parent().context("a path below the root")?;
    fs::create_dir_all(parent)?;
    let special = |kind, device| mknodat(CWD, &at, kind, Mode::RUSR | Mode::WUSR, device);
    let put = || -> Result<()> {
        match what {
            Lying::File(bytes) => fs::write(&at, bytes)?,
            Lying::Unreadable(bytes) => {
                fs::write(&at, bytes)?;
                fs::set_permissions(&at, fs::Permissions::from_mode(0o000))?;
            }
            Lying::Link(target) => symlink(target, &at)?,
            Lying::HardLink(other) => fs::hard_link(root.join(other), &at)?,
            Lying::Fifo => special(FileType::Fifo, 0)?,
            Lying::Socket => special(FileType::Socket, 0)?,
            Lying::Device => special(FileType::CharacterDevice, rustix::fs::makedev(1, 3))?,
            Lying::Folder => fs::create_dir(&at)?,
            Lying::Nothing => {}
        }
        Ok(())
    };
    put().with_context(|| format!("staging {path} as {what:?}"))
}

/// Looks at everything below the root; the marker is left out.
pub(crate) fn survey(root: &Path) -> Result<Floor> {
    let mut floor = Floor::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let mut empty = true;
        for entry in fs::read_dir(&folder)? {
            empty = false;
            let path = entry?.path();
            let name = path.strip_prefix(root)?.display().to_string();
            if fs::symlink_metadata(&path)?.is_dir() {
                folders.push(path);
            } else if name != ".callferry-staging" {
                floor.insert(name, look(&path)?);
            }
        }
        if empty && folder != root {
            let name = folder.strip_prefix(root)?.display().to_string();
            floor.insert(name, Lying::Folder);
        }
    }
    Ok(floor)
}

fn look(path: &Path) -> Result<Lying> {
    let metadata = fs::symlink_metadata(path)?;
    let kind = metadata.file_type();
    Ok(
        if kind.is_file() && metadata.permissions().mode() & 0o777 == 0 {
            // Only a test that may read everything, or owns it, gets this far.
            let mode = metadata.permissions();
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
            let bytes = fs::read(path)?;
            fs::set_permissions(path, mode)?;
            Lying::Unreadable(bytes)
        } else if kind.is_file() {
            Lying::File(fs::read(path)?)
        } else if kind.is_symlink() {
            Lying::Link(fs::read_link(path)?.display().to_string())
        } else if kind.is_fifo() {
            Lying::Fifo
        } else if kind.is_socket() {
            Lying::Socket
        } else if kind.is_char_device() {
            Lying::Device
        } else {
            bail!("{} is nothing that was put there", path.display())
        },
    )
}
