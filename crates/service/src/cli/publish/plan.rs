//! Which files are announced under which id. Nothing is sent before all of them are sound.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use chrono::{DateTime, SubsecRound, Utc};
use recording::{AccountId, RecordingId, StagingPath};

use super::PublishArgs;
use crate::failure::Failure;

/// One file to announce.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    /// The recording's id: the file's stem.
    pub(super) id: RecordingId,
    /// Where it is, for the event.
    pub(super) path: StagingPath,
    /// Where it is, for reading it.
    pub(super) file: PathBuf,
    /// Its size.
    pub(super) size_bytes: u64,
    /// Its last change, to the microsecond: what the ledger keeps, so that repeating it is a
    /// duplicate.
    pub(super) completed_at: DateTime<Utc>,
}

/// The files to announce, and what was found in a folder and is none.
pub(super) fn plan(args: &PublishArgs, root: &Path) -> Result<(Vec<Planned>, Vec<PathBuf>)> {
    let real_root = fs::canonicalize(root).map_err(|error| {
        Failure::failed(format!("the staging folder {}: {error}", root.display()))
            .hint("mount it, or see that CALLFERRY_STAGING_URL names the folder it is on here")
    })?;
    let mut walk = Walk::new(&args.account);
    for path in &args.paths {
        let relative = relative(path, root, &real_root)?;
        walk.named(&real_root, &relative)?;
    }
    Ok(walk.ended())
}

/// A path as given, relative to the staging root.
fn relative(path: &Path, root: &Path, real_root: &Path) -> Result<PathBuf> {
    if path.is_relative() {
        return Ok(path.to_owned());
    }
    let below = path
        .strip_prefix(root)
        .or_else(|_| path.strip_prefix(real_root));
    below.map(Path::to_owned).map_err(|_| {
        let message = format!("{} does not lie in the staging folder", path.display());
        Failure::usage(message)
            .hint(format!("the staging folder is {}", root.display()))
            .into()
    })
}

/// What was found so far.
pub(super) struct Walk<'a> {
    account: &'a AccountId,
    planned: BTreeMap<RecordingId, Planned>,
    skipped: Vec<PathBuf>,
}

/// What is known of an original.
pub(super) struct Found {
    /// Where it is, for reading it.
    pub(super) file: PathBuf,
    /// Its size.
    pub(super) size_bytes: u64,
    /// Its last change.
    pub(super) changed: DateTime<Utc>,
}

impl<'a> Walk<'a> {
    /// Nothing yet.
    pub(super) fn new(account: &'a AccountId) -> Self {
        Self {
            account,
            planned: BTreeMap::new(),
            skipped: Vec::new(),
        }
    }

    /// The originals in the order of their ids, and what was left out.
    pub(super) fn ended(self) -> (Vec<Planned>, Vec<PathBuf>) {
        (self.planned.into_values().collect(), self.skipped)
    }

    /// Leaves something out.
    pub(super) fn skip(&mut self, path: PathBuf) {
        self.skipped.push(path);
    }

    /// A path that was named: it must be a plain file or a folder.
    fn named(&mut self, root: &Path, relative: &Path) -> Result<()> {
        let file = root.join(relative);
        let metadata = fs::symlink_metadata(&file).map_err(|error| {
            Failure::failed(format!("{}: {error}", file.display()))
                .hint("paths are relative to the staging folder, not to the working directory")
        })?;
        if metadata.is_dir() {
            return self.folder(root, relative);
        }
        if !metadata.is_file() {
            let message = format!("{} is not a plain file", file.display());
            return Err(Failure::failed(message)
                .hint("links and special files are never followed; name the file itself")
                .into());
        }
        self.file(root, relative, &metadata)
    }

    /// Everything in a folder. Hidden files are a recorder's own (unfinished ones often are), and
    /// so are the marker and the trash.
    fn folder(&mut self, root: &Path, relative: &Path) -> Result<()> {
        let folder = root.join(relative);
        let entries = fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut entries = entries.with_context(|| format!("reading {}", folder.display()))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let relative = relative.join(entry.file_name());
            let metadata = fs::symlink_metadata(entry.path())
                .with_context(|| format!("looking at {}", entry.path().display()))?;
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            if hidden || !(metadata.is_dir() || metadata.is_file()) {
                self.skipped.push(entry.path());
            } else if metadata.is_dir() {
                self.folder(root, &relative)?;
            } else {
                self.file(root, &relative, &metadata)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, root: &Path, relative: &Path, metadata: &Metadata) -> Result<()> {
        let changed = metadata.modified().context("reading the time of a file")?;
        let found = Found {
            file: root.join(relative),
            size_bytes: metadata.len(),
            changed: DateTime::<Utc>::from(changed),
        };
        self.announce(relative, found)
    }

    /// One original to announce, by its path relative to staging.
    pub(super) fn announce(&mut self, relative: &Path, found: Found) -> Result<()> {
        let refuse = |why: String| Failure::usage(format!("{}: {why}", relative.display()));
        let text = relative
            .to_str()
            .ok_or_else(|| refuse("the path is not UTF-8".to_owned()).hint("rename it"))?;
        let path = StagingPath::new(self.account, text).map_err(|unsafe_path| {
            refuse(format!("the path {unsafe_path}")).hint(format!(
                "an account's files lie in its own folder of staging, as in {0}/…/name.wav",
                self.account
            ))
        })?;
        let stem = relative.file_stem().and_then(|stem| stem.to_str());
        let id = stem.unwrap_or_default().parse::<RecordingId>();
        let id = id.map_err(|malformed| {
            refuse(malformed.to_string()).hint("the file's name without extension becomes the id")
        })?;
        let planned = Planned {
            id: id.clone(),
            path,
            file: found.file,
            size_bytes: found.size_bytes,
            completed_at: found.changed.trunc_subsecs(6),
        };
        if let Some(other) = self.planned.insert(id, planned.clone())
            && other.path != planned.path
        {
            let why = format!("has the same id as {}", other.path);
            return Err(refuse(why)
                .hint("within an account each file needs a name of its own")
                .into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(paths: &[&Path]) -> PublishArgs {
        PublishArgs {
            account: "acme".parse().unwrap(),
            kind: recording::Kind::Call,
            media_type: None,
            duration_ms: None,
            sha256: false,
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }
    }

    fn staging() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("acme/2026")).unwrap();
        fs::write(root.path().join("acme/2026/rec-1.wav"), "one").unwrap();
        fs::write(root.path().join("acme/2026/rec-2.wav"), "").unwrap();
        fs::write(root.path().join("acme/2026/.rec-3.part"), "x").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("acme/2026/link")).unwrap();
        root
    }

    #[test]
    fn a_folder_is_announced_with_everything_in_it_but_hidden_files_and_links() {
        let root = staging();
        let absolute = root.path().join("acme");
        for named in [absolute.as_path(), Path::new("acme")] {
            let (planned, skipped) = plan(&args(&[named]), root.path()).unwrap();
            let ids: Vec<_> = planned.iter().map(|p| p.id.as_str()).collect();
            assert_eq!(ids, ["rec-1", "rec-2"]);
            assert_eq!(planned[0].path.as_str(), "acme/2026/rec-1.wav");
            assert_eq!((planned[0].size_bytes, planned[1].size_bytes), (3, 0));
            assert_eq!(skipped.len(), 2);
        }
        let twice = [Path::new("acme"), Path::new("acme/2026/rec-1.wav")];
        assert_eq!(plan(&args(&twice), root.path()).unwrap().0.len(), 2);
    }

    #[test]
    fn what_cannot_be_announced_stops_everything_and_is_named() {
        let root = staging();
        fs::create_dir_all(root.path().join("beta")).unwrap();
        fs::write(root.path().join("beta/x.wav"), "").unwrap();
        fs::create_dir_all(root.path().join("acme/odd")).unwrap();
        fs::write(root.path().join("acme/odd/a b.wav"), "").unwrap();
        fs::create_dir_all(root.path().join("acme/same")).unwrap();
        fs::write(root.path().join("acme/same/rec-1.mp3"), "").unwrap();
        for (paths, says) in [
            (vec!["beta"], "outside the account"),
            (vec!["acme/odd"], "a b.wav"),
            (vec!["acme/2026", "acme/same"], "same id"),
            (vec!["acme/2026/link"], "not a plain file"),
            (vec!["acme/2026/gone.wav"], "gone.wav"),
            (vec!["/etc/passwd"], "staging folder"),
            (vec!["acme/../beta/x.wav"], "plain relative path"),
        ] {
            let paths: Vec<_> = paths.iter().map(Path::new).collect();
            let error = plan(&args(&paths), root.path()).unwrap_err();
            assert!(crate::failure::hint(&error).is_some(), "{paths:?}: {error}");
            let error = error.to_string();
            assert!(error.contains(says), "{paths:?}: {error}");
        }
        let absent = root.path().join("absent");
        let error = plan(&args(&[Path::new("acme")]), &absent).unwrap_err();
        let hint = crate::failure::hint(&error).unwrap_or_default();
        assert!(hint.contains("CALLFERRY_STAGING_URL"), "{error}: {hint}");
    }
}
