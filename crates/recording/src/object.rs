//! The copy's name and metadata in the customer's bucket. Keys are built here and nowhere else,
//! from checked parts only, and are the same for every attempt at a recording.

use std::collections::BTreeMap;
use std::fmt;

use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};

use crate::{AccountId, Announced, Destination, Sha256, StagingPath};

/// The key of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// A key as remembered by the ledger.
    #[must_use]
    pub fn remembered(key: String) -> Self {
        Self(key)
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `{prefix}/{kind}/{yyyy}/{mm}/{dd}/{recording_id}.{ext}` in UTC of the recording's start.
#[must_use]
pub fn object_key(announced: &Announced, destination: &Destination) -> ObjectKey {
    ObjectKey(format!(
        "{prefix}{kind}/{day}/{recording}.{extension}",
        prefix = destination.key_prefix(&announced.key.account_id),
        kind = announced.kind,
        day = announced.started_at.format("%Y/%m/%d"),
        recording = announced.key.recording_id,
        extension = extension(&announced.original.path),
    ))
}

/// The key's extension: the original's, if it is a short plain word, otherwise `bin`.
#[must_use]
pub fn extension(path: &StagingPath) -> String {
    match path.file_name().rsplit_once('.') {
        Some((stem, end))
            if !stem.is_empty()
                && (1..=8).contains(&end.len())
                && end.bytes().all(|b| b.is_ascii_alphanumeric()) =>
        {
            end.to_ascii_lowercase()
        }
        Some(_) | None => "bin".to_owned(),
    }
}

/// The content type a copy is stored under. A type that a browser would run or render as a page
/// is stored as opaque bytes: a recording is played, never executed.
#[must_use]
pub fn safe_media_type(announced: &str) -> &str {
    let essence = announced.split(';').next().unwrap_or_default().trim();
    let is = |prefix: &str| {
        essence
            .get(..prefix.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    };
    if is("audio/") || is("video/") {
        announced
    } else {
        "application/octet-stream"
    }
}

/// What the copy says of itself: enough to rebuild its row in the ledger. Names are without the
/// provider's prefix; values are ASCII by construction.
#[must_use]
pub fn object_metadata(
    announced: &Announced,
    destination: &Destination,
    retain_until: Option<chrono::DateTime<chrono::Utc>>,
    sha256: Option<Sha256>,
) -> BTreeMap<String, String> {
    let time = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let mut metadata = BTreeMap::from([
        (
            "callferry-account".to_owned(),
            announced.key.account_id.to_string(),
        ),
        (
            "callferry-recording".to_owned(),
            announced.key.recording_id.to_string(),
        ),
        (
            "callferry-interaction".to_owned(),
            announced.interaction_id.to_string(),
        ),
        ("callferry-kind".to_owned(), announced.kind.to_string()),
        ("callferry-started".to_owned(), time(announced.started_at)),
        (
            "callferry-completed".to_owned(),
            time(announced.completed_at),
        ),
        (
            "callferry-revision".to_owned(),
            destination.revision.to_string(),
        ),
    ]);
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            metadata.insert(format!("callferry-{name}"), value);
        }
    };
    add(
        "duration-ms",
        announced.duration_ms.map(|ms| ms.to_string()),
    );
    add("retain-until", retain_until.map(time));
    add("sha256", sha256.map(|digest| digest.to_string()));
    metadata
}

/// Whether metadata names this recording of this account: only then is an object ours to adopt.
#[must_use]
pub(crate) fn names(metadata: &BTreeMap<String, String>, announced: &Announced) -> bool {
    let is = |name: &str, value: &str| metadata.get(name).map(String::as_str) == Some(value);
    let account: &AccountId = &announced.key.account_id;
    is("callferry-account", account.as_str())
        && is("callferry-recording", announced.key.recording_id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> StagingPath {
        StagingPath::new(&"acme".parse().unwrap(), text).unwrap()
    }

    #[test]
    fn extensions_are_short_plain_words_or_bin() {
        assert_eq!(extension(&path("acme/a.WAV")), "wav");
        for odd in [
            "acme/a",
            "acme/.wav",
            "acme/a.",
            "acme/a.w v",
            "acme/a.toolongext",
        ] {
            assert_eq!(extension(&path(odd)), "bin", "{odd}");
        }
    }

    #[test]
    fn only_sound_and_pictures_keep_their_media_type() {
        assert_eq!(safe_media_type("audio/wav"), "audio/wav");
        assert_eq!(
            safe_media_type("Video/mp4; codecs=x"),
            "Video/mp4; codecs=x"
        );
        for other in [
            "text/html",
            "image/svg+xml",
            "application/javascript",
            "",
            "audio",
        ] {
            assert_eq!(safe_media_type(other), "application/octet-stream");
        }
    }
}
