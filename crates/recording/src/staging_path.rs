//! The path of an original in staging, as words. Checking words opens nothing: the file itself is
//! judged later, beneath the account's own folder.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::AccountId;

/// Where cleanup keeps what it is about to delete; no original may be announced inside it.
pub const TRASH_DIRECTORY: &str = ".callferry-trash";

/// The longest path, in bytes.
const MAX_PATH_BYTES: usize = 1024;
/// The longest component, in bytes: what file systems allow.
const MAX_COMPONENT_BYTES: usize = 255;

/// Why a path may not be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsafePath {
    /// It is not below the folder of the account that the event names.
    #[error("lies outside the account's folder: it must begin with `<account_id>/`")]
    OutsideAccount,
    /// It is absolute, climbs, is empty in places, or holds characters no path of ours has.
    #[error(
        "is not a plain relative path: no leading `/`, `.`, `..`, empty component, backslash, \
         control character, or component that begins with `.callferry`"
    )]
    Malformed,
    /// It is longer than a path may be.
    #[error("is too long: at most 1024 bytes, 255 in a component")]
    TooLong,
}

/// A relative path below the staging root whose first component is the account's id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StagingPath(String);

impl StagingPath {
    /// Checks the words of `path` for an original of `account`.
    ///
    /// # Errors
    /// Names what is wrong; the caller treats [`UnsafePath::OutsideAccount`] and
    /// [`UnsafePath::Malformed`] as attempts on another account's files.
    pub fn new(account: &AccountId, path: &str) -> Result<Self, UnsafePath> {
        if path.len() > MAX_PATH_BYTES || path.split('/').any(|c| c.len() > MAX_COMPONENT_BYTES) {
            return Err(UnsafePath::TooLong);
        }
        let plain = |component: &str| {
            !component.is_empty()
                && component != "."
                && component != ".."
                && !component.starts_with(".callferry")
                && !component
                    .chars()
                    .any(|c| c.is_control() || c == '\\' || is_invisible(c))
        };
        if path.starts_with('/') || !path.split('/').all(plain) {
            return Err(UnsafePath::Malformed);
        }
        match path.split_once('/') {
            Some((first, _)) if first == account.as_str() => Ok(Self(path.to_owned())),
            Some(_) | None => Err(UnsafePath::OutsideAccount),
        }
    }

    /// The path relative to the staging root, with the account's folder.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path below the account's own folder.
    #[must_use]
    pub fn below_account(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, rest)| rest)
    }

    /// The last component.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

/// Characters that make two different paths look alike to a person: bidi controls, zero width.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{2069}'
            | '\u{FEFF}'
    )
}

impl fmt::Display for StagingPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_below_the_accounts_folder_pass() {
        let acme: AccountId = "acme".parse().unwrap();
        let path = StagingPath::new(&acme, "acme/2026/11/22/rec.wav").unwrap();
        assert_eq!(path.below_account(), "2026/11/22/rec.wav");
        assert_eq!(path.file_name(), "rec.wav");
        for bad in [
            "",
            "/acme/a",
            "acme",
            "acme/",
            "acme//a",
            "acme/../b/c",
            "acme/./a",
        ] {
            assert!(StagingPath::new(&acme, bad).is_err(), "{bad:?}");
        }
        for bad in [
            "acme/a\\b",
            "acme/a\0b",
            "acme/.callferry-trash/x",
            "acme/a\u{202e}b",
        ] {
            assert_eq!(
                StagingPath::new(&acme, bad),
                Err(UnsafePath::Malformed),
                "{bad:?}"
            );
        }
        for foreign in ["beta/rec.wav", "acme2/rec.wav", "ACME/rec.wav"] {
            assert_eq!(
                StagingPath::new(&acme, foreign),
                Err(UnsafePath::OutsideAccount)
            );
        }
        let long = format!("acme/{}", "x".repeat(256));
        assert_eq!(StagingPath::new(&acme, &long), Err(UnsafePath::TooLong));
    }
}
