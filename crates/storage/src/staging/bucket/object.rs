//! One object of staging, as either cloud tells of it.

use chrono::{DateTime, Utc};
use http::HeaderMap;
use recording::{Fault, Identity, ParkReason};

use crate::exchange::{Meaning, Trouble};

/// What a bucket calls one object: nothing else has these words at the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entity {
    /// The strong entity tag, in its quotes.
    pub(crate) tag: String,
    /// The version, where the bucket keeps versions.
    pub(crate) version: Option<String>,
}

impl Entity {
    /// The words that the ledger remembers: neither holds a space.
    fn word(&self) -> String {
        match &self.version {
            Some(version) => format!("{} {version}", self.tag),
            None => self.tag.clone(),
        }
    }

    /// Reads remembered words back. `None`: none of a bucket's.
    pub(super) fn remembered(word: &str) -> Option<Self> {
        let (tag, version) = match word.split_once(' ') {
            Some((tag, version)) => (tag, Some(version)),
            None => (word, None),
        };
        Self::new(tag, version)
    }

    /// A weak tag, or one that could not be sent back as it came, names no object.
    fn new(tag: &str, version: Option<&str>) -> Option<Self> {
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        let strong = tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"') && plain(tag);
        let version = version.filter(|version| !version.is_empty());
        (strong && version.is_none_or(plain)).then(|| Self {
            tag: tag.to_owned(),
            version: version.map(ToOwned::to_owned),
        })
    }
}

/// An object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its size.
    pub(crate) size_bytes: u64,
    /// When it was put there, to the second.
    modified: DateTime<Utc>,
    /// What it is called.
    pub(crate) entity: Entity,
    /// Why it is no plain object, if it is none.
    pub(crate) odd: Option<&'static str>,
}

impl Seen {
    /// Reads the headers of an answer.
    ///
    /// # Errors
    /// What tells one object from another is not all there.
    pub(crate) fn read(
        headers: &HeaderMap,
        version: Option<&str>,
        odd: Option<&'static str>,
    ) -> Result<Self, Fault> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let lacks = |what: &str| {
            let detail = format!("look: the answer has no {what}");
            Fault::new(ParkReason::OutcomeUnknown, detail)
        };
        let size_bytes = text("content-length").and_then(|value| value.parse().ok());
        let modified = text("last-modified").and_then(http_date);
        let tag = text("etag").ok_or_else(|| lacks("entity tag"))?;
        Ok(Self {
            size_bytes: size_bytes.ok_or_else(|| lacks("length"))?,
            modified: modified.ok_or_else(|| lacks("time of its last change"))?,
            entity: Entity::new(tag, version).ok_or_else(|| lacks("strong entity tag"))?,
            odd,
        })
    }

    /// The identity that is remembered and compared.
    pub(super) fn identity(&self) -> Identity {
        Identity {
            size_bytes: self.size_bytes,
            mtime_ns: self.modified.timestamp().saturating_mul(1_000_000_000),
            inode: 0,
            entity: Some(self.entity.word()),
        }
    }
}

/// Reads the time of an HTTP header.
pub(crate) fn http_date(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc2822(text).ok()?;
    Some(time.with_timezone(&Utc))
}

/// What became of a create-only PUT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is there.
    Done,
    /// Something was there already.
    Taken,
}

/// What a 412 says of a condition that is not met; a store may say nothing. Azure answers 412 also
/// of a blob that somebody holds a lease of, which is the same blob as before.
const NOT_MET: [&str; 4] = [
    "",
    "PreconditionFailed",
    "ConditionNotMet",
    "TargetConditionNotMet",
];

/// What became of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deleted {
    /// The bucket deleted exactly this object.
    Done,
    /// There was none; to be believed only if the marker is seen.
    Missing,
    /// Another object is there; it stays.
    Changed,
    /// It may have been deleted: a look tells.
    Unclear(String),
}

impl Deleted {
    /// Reads a deletion that got no good answer; `missing` are the codes that say so.
    ///
    /// # Errors
    /// It was refused, or never sent.
    pub(crate) fn unless_refused(trouble: Trouble, missing: &[&str]) -> Result<Self, Fault> {
        use recording::Operation::Delete;
        let refusal = match trouble {
            Trouble::Refused(refusal) => refusal,
            Trouble::Lost(why) => return Ok(Self::Unclear(why)),
            trouble @ (Trouble::Never(_) | Trouble::Fenced(_)) => return Err(trouble.fault(Delete)),
        };
        let code = refusal.code.as_deref().unwrap_or_default();
        match (refusal.status, refusal.meaning()) {
            (412, _) if NOT_MET.contains(&code) => Ok(Self::Changed),
            (404, _) if missing.contains(&code) => Ok(Self::Missing),
            // Somebody else writes or deletes there at this moment.
            (409, _) if matches!(code, "ConditionalRequestConflict" | "OperationAborted") => {
                Ok(Self::Unclear(refusal.describe(Delete)))
            }
            (_, Meaning::Unknown) => Ok(Self::Unclear(refusal.describe(Delete))),
            _ => Err(refusal.fault(Delete)),
        }
    }
}

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its key in the bucket.
    pub(crate) key: String,
    /// Its size.
    pub(crate) size_bytes: u64,
    /// When it was put there.
    pub(crate) modified: DateTime<Utc>,
    /// Whether the bucket itself calls it a folder.
    pub(crate) is_folder: bool,
}

/// A page of a listing, and where the next one begins.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Its objects.
    pub(crate) lines: Vec<Line>,
    /// Given back to ask for the next page; `None`: this was the last.
    pub(crate) next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_reads_back_from_its_words_and_weak_or_strange_tags_are_none() {
        let tag = "\"9a0364b9e99bb480dd25e1f0284c8555-2\"";
        for version in [None, Some("3HL4kqtJvjVBH40Nrjfkd")] {
            let entity = Entity::new(tag, version).unwrap();
            assert_eq!(Entity::remembered(&entity.word()), Some(entity));
        }
        for none in ["", "abc", "W/\"abc\"", "\"\"", "\"a b\"", "\"a\u{e4}\""] {
            assert_eq!(Entity::new(none, None), None, "{none}");
        }
        assert_eq!(Entity::new(tag, Some("a b")), None);
    }

    #[test]
    fn a_412_means_another_object_only_where_it_is_of_the_condition() {
        let refused = |code: Option<&str>| {
            let answered = crate::exchange::Answered {
                status: 412,
                code: code.map(ToOwned::to_owned),
                retry_after: None,
            };
            let refusal = crate::azure::refusal(answered);
            Deleted::unless_refused(Trouble::Refused(refusal), &[])
        };
        for code in [
            None,
            Some("ConditionNotMet"),
            Some("TargetConditionNotMet"),
            Some("PreconditionFailed"),
        ] {
            assert_eq!(refused(code), Ok(Deleted::Changed), "{code:?}");
        }
        for code in [
            "LeaseIdMissing",
            "LeaseIdMismatchWithBlobOperation",
            "SomethingNew",
        ] {
            let fault = refused(Some(code)).unwrap_err();
            assert_eq!(fault.class(), recording::Class::Transient, "{code}");
            assert!(fault.detail.contains(code), "{fault:?}");
        }
    }

    #[test]
    fn every_word_of_an_answer_is_part_of_the_identity() {
        let headers = |length: &str, time: &str, tag: &str| {
            let mut headers = HeaderMap::new();
            for (name, value) in [
                ("content-length", length),
                ("last-modified", time),
                ("etag", tag),
            ] {
                headers.insert(name, value.parse().unwrap());
            }
            headers
        };
        let time = "Wed, 21 Oct 2026 07:28:00 GMT";
        let read = |length, time, tag, version| {
            let seen = Seen::read(&headers(length, time, tag), version, None);
            seen.map(|seen| seen.identity())
        };
        let one = read("9", time, "\"a\"", None).unwrap();
        assert_eq!(one.mtime_ns, 1_792_567_680_000_000_000);
        assert_eq!(read("9", time, "\"a\"", None).unwrap(), one);
        for other in [
            read("8", time, "\"a\"", None),
            read("9", "Wed, 21 Oct 2026 07:28:01 GMT", "\"a\"", None),
            read("9", time, "\"b\"", None),
            read("9", time, "\"a\"", Some("v")),
        ] {
            assert_ne!(other.unwrap(), one);
        }
        assert!(read("9", "yesterday", "\"a\"", None).is_err());
        assert!(read("9", time, "W/\"a\"", None).is_err());
    }
}
