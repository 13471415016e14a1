//! Deleting a copy: what of it lies at its key, version by version, and each of them by itself.
//!
//! A listing is believed only whole, and never alone: some stores list versions only where they
//! keep them, so that the key is looked at besides. What is not this copy is not touched: a
//! customer may have put something else there.

use chrono::{DateTime, Utc};
use http::{Method, header};
use recording::{CopyOf, Fault, Fence, Look, Operation, ParkReason, Remains, Removable, Removal};
use serde::Deserialize;

use super::bucket::Bucket;
use super::classify::Meaning;
use super::exchange::{OBJECT_LOCKED, Repeat, Trouble};
use super::look::observed;
use super::place::{encode, put as put_header};
use super::xml;
use crate::deadline;

/// The version of what was written while a bucket kept none.
const NO_VERSION: &str = "null";
/// Pages of one key's versions at most: nobody writes it but us, and once.
const PAGES_MAX: usize = 10;
/// What was listed is deleted; then it is listed once more, because a bucket may have begun to keep
/// versions: then a copy from before has become one, and goes by its id.
const PASSES: usize = 2;

/// `<ListVersionsResult>`. Versions and markers come mixed.
#[derive(Debug, Deserialize)]
struct Page {
    #[serde(rename = "IsTruncated")]
    is_truncated: bool,
    #[serde(rename = "NextKeyMarker")]
    next_key: Option<String>,
    #[serde(rename = "NextVersionIdMarker")]
    next_version: Option<String>,
    #[serde(rename = "Version", default)]
    versions: Vec<Listed>,
    #[serde(rename = "DeleteMarker", default)]
    markers: Vec<Marker>,
}

/// One `<Version>`.
#[derive(Debug, Clone, Deserialize)]
struct Listed {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "VersionId")]
    version: String,
    #[serde(rename = "ETag", default)]
    etag: String,
    #[serde(rename = "Size", default)]
    size_bytes: u64,
}

/// One `<DeleteMarker>`.
#[derive(Debug, Clone, Deserialize)]
struct Marker {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "VersionId", default)]
    version: String,
}

/// The versions at one key.
#[derive(Debug, Default)]
struct Versions {
    listed: Vec<Listed>,
    /// The ids of the markers.
    markers: Vec<String>,
    /// Whether the bucket keeps versions, or did.
    kept: bool,
}

/// One version that is the copy. Without an id it is what the key itself shows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ours {
    version: Option<String>,
    etag: String,
}

/// What lies at a copy's key.
#[derive(Debug, Default)]
struct Lying {
    ours: Vec<Ours>,
    others: bool,
    versioned: bool,
}

/// What became of one deletion.
enum Deletion {
    Done,
    /// The bucket keeps versions by now: it put a marker of this id over the copy.
    Hidden(String),
    Locked(String),
    Unclear(String),
}

impl Bucket {
    /// See [`recording::Removers::remains`].
    pub(crate) async fn remains(&self, copy: &CopyOf) -> Result<Remains, Fault> {
        let lying = self.lying(copy).await?;
        Ok(Remains {
            versions: u32::try_from(lying.ours.len()).unwrap_or(u32::MAX),
            others: lying.others,
            versioned: lying.versioned,
        })
    }

    /// See [`recording::Removers::remove`].
    pub(crate) async fn remove(&self, removable: &Removable) -> Result<Removal, Fault> {
        let (copy, fence) = (removable.copy(), removable.fence());
        let mut made = Vec::new();
        let removal = self.passes(copy, fence, &mut made).await;
        // Nothing that is kept is hidden by us, and nothing of ours is left over.
        let left_over = self.unmark(copy, &made, fence).await;
        match (removal, left_over) {
            (Ok(Removal::Asked(_)), Ok(Some(other))) => Ok(other),
            (Ok(Removal::Asked(_)), Err(fault)) => Err(fault),
            // Why the copy is there yet is what a person has to know first.
            (removal, _) => removal,
        }
    }

    async fn passes(
        &self,
        copy: &CopyOf,
        fence: &Fence,
        made: &mut Vec<String>,
    ) -> Result<Removal, Fault> {
        let key = copy.object_key.as_str();
        let mut deleted: u32 = 0;
        for _ in 0..PASSES {
            let lying = self.lying(copy).await?;
            if lying.ours.is_empty() {
                break;
            }
            for ours in &lying.ours {
                match self.delete_copy(key, ours, fence).await? {
                    Deletion::Done => deleted = deleted.saturating_add(1),
                    Deletion::Hidden(marker) => {
                        // Only a marker that is itself without an id takes the place of what was.
                        deleted = deleted.saturating_add(u32::from(marker == NO_VERSION));
                        made.push(marker);
                    }
                    Deletion::Locked(detail) => {
                        let until = self.locked_until(key, ours.version.as_deref()).await;
                        return Ok(Removal::Locked(until, detail));
                    }
                    Deletion::Unclear(detail) => return Ok(Removal::Unclear(detail)),
                }
            }
        }
        Ok(Removal::Asked(deleted))
    }

    /// Takes back the markers that our own deletions made, as far as they are markers yet: what is
    /// put in their place has their id where a bucket stopped keeping versions.
    async fn unmark(
        &self,
        copy: &CopyOf,
        made: &[String],
        fence: &Fence,
    ) -> Result<Option<Removal>, Fault> {
        if made.is_empty() {
            return Ok(None);
        }
        let key = copy.object_key.as_str();
        let versions = self.versions(key).await?;
        for marker in made.iter().filter(|made| versions.markers.contains(made)) {
            let ours = Ours {
                version: Some(marker.clone()),
                etag: String::new(),
            };
            match self.delete_copy(key, &ours, fence).await? {
                Deletion::Done | Deletion::Hidden(_) => {}
                Deletion::Locked(detail) => return Ok(Some(Removal::Locked(None, detail))),
                Deletion::Unclear(detail) => return Ok(Some(Removal::Unclear(detail))),
            }
        }
        Ok(None)
    }

    async fn lying(&self, copy: &CopyOf) -> Result<Lying, Fault> {
        let key = copy.object_key.as_str();
        let versions = self.versions(key).await?;
        let kept = versions.kept || copy.version_id.is_some();
        let mut lying = Lying {
            versioned: kept,
            ..Lying::default()
        };
        for listed in &versions.listed {
            let (version, etag) = (listed.version.as_str(), listed.etag.as_str());
            let is_ours = copy.is_listed_as(Some(version), etag, listed.size_bytes)
                || self.is_version_of(copy, version).await?;
            if is_ours {
                lying.ours.push(Ours {
                    version: kept.then(|| version.to_owned()),
                    etag: etag.to_owned(),
                });
            } else {
                lying.others = true;
            }
        }
        match self.look(key).await? {
            Look::Absent => {}
            Look::Present(observed) if copy.is(&observed) => {
                if lying.ours.is_empty() {
                    lying.ours.push(Ours {
                        version: observed.version_id,
                        etag: observed.etag,
                    });
                }
            }
            Look::Present(_) => lying.others = true,
        }
        Ok(lying)
    }

    /// Whether a version's metadata names the recording.
    async fn is_version_of(&self, copy: &CopyOf, version: &str) -> Result<bool, Fault> {
        let query = format!("versionId={}", encode(version));
        let key = Some(copy.object_key.as_str());
        let ask = self.ask(Operation::Look, Method::HEAD, key, &query)?;
        match self.exchange(&ask).await {
            Ok(answer) => Ok(copy.is(&observed(&answer.headers)?)),
            // Gone since it was listed. Were it only hidden from us, the next look lists it.
            Err(Trouble::Refused(refusal)) if refusal.status == 404 => Ok(false),
            Err(trouble) => Err(trouble.fault(Operation::Look)),
        }
    }

    /// Every version at exactly this key. None where the store knows no versions at all.
    async fn versions(&self, key: &str) -> Result<Versions, Fault> {
        let mut found = Versions::default();
        let mut after = String::new();
        for _ in 0..PAGES_MAX {
            let query = format!("max-keys=1000&prefix={}{after}&versions=", encode(key));
            let ask = self.ask(Operation::List, Method::GET, None, &query)?;
            let answer = match self.exchange(&ask).await {
                Ok(answer) => answer,
                Err(Trouble::Refused(refusal))
                    if matches!(refusal.status, 405 | 501)
                        || refusal.code.as_deref() == Some("NotImplemented") =>
                {
                    return Ok(Versions::default());
                }
                Err(trouble) => return Err(trouble.fault(Operation::List)),
            };
            let page: Option<Page> = match xml::root(&answer.body).as_deref() {
                Some("ListVersionsResult") => xml::parse(&answer.body),
                Some(_) | None => None,
            };
            let page = page.ok_or_else(|| cannot("the versions cannot be understood"))?;
            match found.take(key, page)? {
                None => return Ok(found),
                Some((key, version)) => {
                    let (key, version) = (encode(&key), encode(&version));
                    after = format!("&key-marker={key}&version-id-marker={version}");
                }
            }
        }
        Err(cannot("the versions of one key do not end"))
    }

    async fn delete_copy(&self, key: &str, ours: &Ours, fence: &Fence) -> Result<Deletion, Fault> {
        let query = match &ours.version {
            Some(version) => format!("versionId={}", encode(version)),
            None => String::new(),
        };
        let mut ask = self.ask(Operation::Delete, Method::DELETE, Some(key), &query)?;
        if ours.version.is_none() {
            put_header(&mut ask.headers, header::IF_MATCH.as_str(), &ours.etag)?;
        }
        ask.fence = Some(fence);
        ask.patience = deadline::LOOK.min(fence.left());
        ask.repeat = Repeat::Answered;
        let answer = match self.exchange(&ask).await {
            Ok(answer) => answer,
            Err(trouble) => return refused(trouble),
        };
        let made_marker = answer.text("x-amz-delete-marker") == Some("true");
        Ok(match (&ours.version, answer.text("x-amz-version-id")) {
            (None, Some(marker)) if made_marker => Deletion::Hidden(marker.to_owned()),
            (None | Some(_), _) => Deletion::Done,
        })
    }

    /// Until when a version is locked, if the store says so to us.
    async fn locked_until(&self, key: &str, version: Option<&str>) -> Option<DateTime<Utc>> {
        let query = version.map(|version| format!("versionId={}", encode(version)));
        let query = query.unwrap_or_default();
        let ask = self.ask(Operation::Look, Method::HEAD, Some(key), &query);
        let answer = self.exchange(&ask.ok()?).await.ok()?;
        let until = answer.text("x-amz-object-lock-retain-until-date")?;
        until.parse().ok()
    }
}

impl Versions {
    /// Takes a page in; returns where the next one begins, if the key goes on there.
    fn take(&mut self, key: &str, page: Page) -> Result<Option<(String, String)>, Fault> {
        let own = |listed: &&Listed| listed.key == key;
        let own: Vec<_> = page.versions.iter().filter(own).cloned().collect();
        let markers = page.markers.iter().filter(|marker| marker.key == key);
        self.markers
            .extend(markers.map(|marker| marker.version.clone()));
        self.kept |=
            !self.markers.is_empty() || own.iter().any(|listed| listed.version != NO_VERSION);
        self.listed.extend(own);
        if !page.is_truncated {
            return Ok(None);
        }
        match (page.next_key, page.next_version) {
            // Keys are listed in order: the next page begins with another one.
            (Some(next), _) if next != key => Ok(None),
            (Some(next), Some(version)) => Ok(Some((next, version))),
            (None, _) | (_, None) => {
                Err(cannot("there is more, and the answer does not say where"))
            }
        }
    }
}

fn refused(trouble: Trouble) -> Result<Deletion, Fault> {
    let refusal = match trouble {
        Trouble::Refused(refusal) => refusal,
        Trouble::Lost(why) => return Ok(Deletion::Unclear(why)),
        trouble @ (Trouble::Never(_) | Trouble::Fenced(_)) => {
            return Err(trouble.fault(Operation::Delete));
        }
    };
    let code = refusal.code.as_deref().unwrap_or_default();
    match (refusal.meaning(), code) {
        (_, OBJECT_LOCKED) => Ok(Deletion::Locked(refusal.describe(Operation::Delete))),
        (_, "NoSuchKey" | "NoSuchVersion") => Ok(Deletion::Done),
        (Meaning::Taken | Meaning::Unknown, _) => {
            Ok(Deletion::Unclear(refusal.describe(Operation::Delete)))
        }
        (Meaning::Refused(_) | Meaning::Stale, _) => Err(refusal.fault(Operation::Delete)),
    }
}

fn cannot(what: &str) -> Fault {
    Fault::new(ParkReason::OutcomeUnknown, format!("list: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        let text = format!("<ListVersionsResult>{text}</ListVersionsResult>");
        xml::parse(text.as_bytes()).unwrap()
    }

    const MIXED: &str = "<Name>rec</Name><IsTruncated>false</IsTruncated>\
        <DeleteMarker><Key>a/k</Key><VersionId>m2</VersionId></DeleteMarker>\
        <Version><Key>a/k</Key><VersionId>v2</VersionId><ETag>&quot;e2&quot;</ETag><Size>7</Size>\
        </Version>\
        <DeleteMarker><Key>a/k</Key><VersionId>m1</VersionId></DeleteMarker>\
        <Version><Key>a/k</Key><VersionId>v1</VersionId><ETag>&quot;e1&quot;</ETag><Size>5</Size>\
        </Version>\
        <Version><Key>a/k.other</Key><VersionId>v9</VersionId><ETag>&quot;e9&quot;</ETag>\
        <Size>5</Size></Version>";

    #[test]
    fn versions_and_markers_come_mixed_and_other_keys_are_left_out() {
        let mut found = Versions::default();
        assert_eq!(found.take("a/k", page(MIXED)), Ok(None));
        let listed: Vec<_> = found.listed.iter().map(|it| it.version.as_str()).collect();
        assert_eq!((listed, found.kept), (vec!["v2", "v1"], true));
        assert_eq!(found.listed[0].etag, "\"e2\"");
        assert_eq!(found.markers, ["m2", "m1"]);
    }

    #[test]
    fn a_key_goes_on_in_the_next_page_and_a_page_without_an_end_is_no_answer() {
        let more = |next: &str| page(&format!("<IsTruncated>true</IsTruncated>{next}"));
        let mut found = Versions::default();
        let on =
            more("<NextKeyMarker>k</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>");
        assert_eq!(found.take("k", on), Ok(Some(("k".into(), "v".into()))));
        let other = more("<NextKeyMarker>k2</NextKeyMarker>");
        assert_eq!(found.take("k", other), Ok(None));
        assert!(found.take("k", more("")).is_err());
        let one = "<Version><Key>k</Key><VersionId>null</VersionId><Size>1</Size></Version>";
        let one = page(&format!("<IsTruncated>false</IsTruncated>{one}"));
        assert_eq!(found.take("k", one), Ok(None));
        assert!(!found.kept && found.listed.len() == 1);
    }
}
