//! Which objects of a bucket are announced under which id: the same rules as for files.

use std::path::{Path, PathBuf};

use anyhow::Result;
use storage::{BucketStaging, ListedOriginal};

use super::PublishArgs;
use super::plan::{Found, Planned, Walk};
use crate::failure::Failure;

/// The objects to announce, and what was found below a prefix and is none.
pub(super) async fn plan(
    args: &PublishArgs,
    bucket: &BucketStaging,
) -> Result<(Vec<Planned>, Vec<PathBuf>)> {
    let mut walk = Walk::new(&args.account);
    for path in &args.paths {
        let named = relative(path, bucket)?;
        let listed = bucket.list(&named).await.map_err(|fault| {
            Failure::failed(format!("{bucket}: {fault}"))
                .hint("our identity must be allowed to list there: see deploy/README.md")
        })?;
        below(&mut walk, &named, &listed)?;
    }
    Ok(walk.ended())
}

/// A path as given, relative to staging: it may have staging's own URL before it.
fn relative(path: &Path, bucket: &BucketStaging) -> Result<String> {
    let text = path.to_str().ok_or_else(|| {
        Failure::usage(format!("{}: the path is not UTF-8", path.display())).hint("rename it")
    })?;
    let own = format!("{bucket}/");
    let text = text.strip_prefix(&own).unwrap_or(text);
    if text.starts_with('/') || text.contains("://") {
        let message = format!("{} does not lie in staging", path.display());
        return Err(Failure::usage(message)
            .hint(format!("staging is {bucket}; paths are relative to it"))
            .into());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// What was named, as an object or as what leads the keys of some.
fn below(walk: &mut Walk<'_>, named: &str, listed: &[ListedOriginal]) -> Result<()> {
    if listed.is_empty() {
        return Err(
            Failure::failed(format!("{named}: nothing is there in staging"))
                .hint("paths are relative to staging: an account's folder comes first")
                .into(),
        );
    }
    for object in listed {
        let rest = object.path.strip_prefix(named).unwrap_or(&object.path);
        let is_hidden = rest.split('/').any(|word| word.starts_with('.'));
        // A name that ends in a slash, or has nothing between two, is no path.
        let is_odd = object.is_folder || object.path.split('/').any(str::is_empty);
        if rest.is_empty() && is_odd {
            return Err(Failure::failed(format!("{named} is not a plain object"))
                .hint("it only stands for a folder; name the objects below it")
                .into());
        }
        if is_hidden || is_odd {
            walk.skip(PathBuf::from(&object.path));
        } else {
            walk.announce(
                Path::new(&object.path),
                Found {
                    file: PathBuf::from(&object.path),
                    size_bytes: object.size_bytes,
                    changed: object.modified,
                },
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(path: &str, is_folder: bool) -> ListedOriginal {
        ListedOriginal {
            path: path.to_owned(),
            size_bytes: 7,
            modified: "2026-11-22T10:00:00Z".parse().unwrap(),
            is_folder,
        }
    }

    fn found(named: &str, paths: &[&str]) -> Result<(Vec<String>, usize)> {
        let account = "acme".parse().unwrap();
        let mut walk = Walk::new(&account);
        let listed: Vec<_> = paths
            .iter()
            .map(|path| object(path, path.ends_with('/')))
            .collect();
        below(&mut walk, named, &listed)?;
        let (planned, skipped) = walk.ended();
        let ids = planned.iter().map(|planned| planned.id.to_string());
        Ok((ids.collect(), skipped.len()))
    }

    #[test]
    fn a_prefix_is_announced_with_everything_below_it_but_hidden_objects_and_folders() {
        let paths = [
            "acme/2026/",
            "acme/2026/.rec-3.part",
            "acme/2026/rec-1.wav",
            "acme/2026/rec-2.wav",
            "acme/.tmp/rec-4.wav",
        ];
        let (ids, skipped) = found("acme", &paths).unwrap();
        assert_eq!(ids, ["rec-1", "rec-2"]);
        assert_eq!(skipped, 3);
        let one = found("acme/2026/rec-1.wav", &paths[2..3]).unwrap();
        assert_eq!(one, (vec!["rec-1".to_owned()], 0));
        // Whoever names a hidden one means it.
        let hidden = found("acme/.tmp/rec-4.wav", &paths[4..]).unwrap();
        assert_eq!(hidden.0, ["rec-4"]);
    }

    #[test]
    fn what_cannot_be_announced_stops_everything_and_is_named() {
        for (named, paths, says) in [
            ("acme/gone", &[][..], "nothing is there"),
            ("beta", &["beta/x.wav"][..], "outside the account"),
            ("acme", &["acme/a b.wav"][..], "a b.wav"),
            ("acme", &["acme/a/rec.wav", "acme/b/rec.mp3"][..], "same id"),
        ] {
            let error = found(named, paths).unwrap_err();
            assert!(crate::failure::hint(&error).is_some(), "{named}: {error}");
            assert!(error.to_string().contains(says), "{named}: {error}");
        }
        let folder = [object("acme/day", true)];
        let account = "acme".parse().unwrap();
        let refused = below(&mut Walk::new(&account), "acme/day", &folder);
        assert!(refused.unwrap_err().to_string().contains("plain object"));
    }
}
