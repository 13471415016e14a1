//! Deleting a copy: the blob with its snapshots under its entity tag, then each earlier version by
//! its id. Where the storage account keeps deleted blobs for some days, that is its own rule.
//!
//! SUBTLE: only a listing tells that no version is left. An account may have begun to keep versions
//! after the copy was stored: nothing of the blob says so, and its deletion makes it one.

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderValue, Method, header};
use recording::{
    Class, CopyOf, Fault, Fence, Look, Operation, ParkReason, Remains, Removable, Removal,
};
use serde::Deserialize;

use super::classify::BLOB_NOT_FOUND;
use super::container::{Blob, Container};
use super::look::observed;
use super::sas::{Grant, VERSION};
use crate::deadline;
use crate::exchange::{Ask, Meaning, Repeat, Trouble, encode, put_header};
use crate::s3::parse;
use crate::staging::bucket::object::http_date;

/// Pages of one name's versions at most: nobody writes it but us, and once.
const PAGES_MAX: usize = 10;
/// What is refused because the blob is kept: by a policy, a hold or a lease.
const LOCKED: [&str; 3] = [
    "BlobImmutableDueToPolicy",
    "LeaseIdMissing",
    "LeaseIdMismatchWithBlobOperation",
];

/// `<EnumerationResults>`.
#[derive(Debug, Deserialize)]
struct Page {
    #[serde(rename = "Blobs")]
    blobs: Blobs,
    #[serde(rename = "NextMarker")]
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Blobs {
    #[serde(rename = "Blob", default)]
    blobs: Vec<Listed>,
}

#[derive(Debug, Clone, Deserialize)]
struct Listed {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "VersionId")]
    version: Option<String>,
    #[serde(rename = "IsCurrentVersion")]
    current: Option<bool>,
    #[serde(rename = "Properties")]
    properties: Properties,
}

#[derive(Debug, Clone, Deserialize)]
struct Properties {
    #[serde(rename = "Etag", default)]
    etag: String,
    #[serde(rename = "Content-Length", default)]
    size_bytes: u64,
}

/// What of a copy lies under its name.
#[derive(Debug, Default)]
struct Lying {
    /// The entity tag of the blob itself, if it is the copy.
    current: Option<String>,
    /// Earlier versions that are the copy.
    versions: Vec<String>,
    others: bool,
    versioned: bool,
}

/// What became of one deletion.
enum Deletion {
    Done,
    Locked(String),
    Unclear(String),
}

impl Container {
    /// See [`recording::Removers::remains`].
    pub(crate) async fn remains(&self, copy: &CopyOf) -> Result<Remains, Fault> {
        let lying = self.lying(copy).await?;
        let versions = u32::try_from(lying.versions.len()).unwrap_or(u32::MAX);
        Ok(Remains {
            versions: versions.saturating_add(u32::from(lying.current.is_some())),
            others: lying.others,
            versioned: lying.versioned,
        })
    }

    /// See [`recording::Removers::remove`].
    pub(crate) async fn remove(&self, removable: &Removable) -> Result<Removal, Fault> {
        let (copy, fence) = (removable.copy(), removable.fence());
        let mut deleted: u32 = 0;
        let mut lying = Lying::default();
        self.current(copy, &mut lying).await?;
        let current = self.blob(copy.object_key.as_str(), Grant::Delete);
        if let Some(etag) = lying.current.take() {
            let mut ask = current.ask(Operation::Delete, Method::DELETE, "")?;
            put_header(&mut ask.headers, header::IF_MATCH.as_str(), &etag)?;
            put_header(&mut ask.headers, "x-ms-delete-snapshots", "include")?;
            match self.delete_copy(current, ask, fence).await? {
                Deletion::Done => deleted = deleted.saturating_add(1),
                Deletion::Locked(detail) => return Ok(self.locked(copy, detail).await),
                Deletion::Unclear(detail) => return Ok(Removal::Unclear(detail)),
            }
        }
        // Where versions are kept, the blob that was deleted is one now.
        let lying = self.lying(copy).await?;
        let earlier = self.blob(copy.object_key.as_str(), Grant::DeleteVersion);
        for version in &lying.versions {
            let query = format!("versionid={}", encode(version));
            let ask = earlier.ask(Operation::Delete, Method::DELETE, &query)?;
            match self.delete_copy(earlier, ask, fence).await? {
                Deletion::Done => deleted = deleted.saturating_add(1),
                Deletion::Locked(detail) => return Ok(self.locked(copy, detail).await),
                Deletion::Unclear(detail) => return Ok(Removal::Unclear(detail)),
            }
        }
        Ok(Removal::Asked(deleted))
    }

    /// The blob itself. Whether the place keeps versions is only known of one that is there.
    async fn current(&self, copy: &CopyOf, lying: &mut Lying) -> Result<(), Fault> {
        lying.versioned = copy.version_id.is_some();
        match self.look(copy.object_key.as_str()).await? {
            Look::Absent => {}
            Look::Present(observed) => {
                lying.versioned |= observed.version_id.is_some();
                match copy.is(&observed) {
                    true => lying.current = Some(observed.etag),
                    false => lying.others = true,
                }
            }
        }
        Ok(())
    }

    async fn lying(&self, copy: &CopyOf) -> Result<Lying, Fault> {
        let mut lying = Lying::default();
        self.current(copy, &mut lying).await?;
        for listed in self.versions(copy.object_key.as_str()).await? {
            let Some(version) = listed.version.filter(|_| listed.current != Some(true)) else {
                continue;
            };
            lying.versioned = true;
            let Properties { etag, size_bytes } = listed.properties;
            let is_ours = copy.is_listed_as(Some(&version), &etag, size_bytes)
                || self.is_version_of(copy, &version).await?;
            match is_ours {
                true => lying.versions.push(version),
                false => lying.others = true,
            }
        }
        Ok(lying)
    }

    /// Whether we may see which versions of a blob there are.
    ///
    /// # Errors
    /// We may not, or it cannot be seen.
    pub(crate) async fn sees_versions(&self, key: &str) -> Result<(), Fault> {
        self.versions(key).await.map(drop)
    }

    /// Whether a version's metadata names the recording.
    async fn is_version_of(&self, copy: &CopyOf, version: &str) -> Result<bool, Fault> {
        let blob = self.blob(copy.object_key.as_str(), Grant::Read);
        let query = format!("versionid={}", encode(version));
        let ask = blob.ask(Operation::Look, Method::HEAD, &query)?;
        match blob.exchange(&ask).await {
            Ok(answer) => Ok(copy.is(&observed(&answer.headers)?)),
            Err(Trouble::Refused(refusal)) if refusal.code.as_deref() == Some(BLOB_NOT_FOUND) => {
                Ok(false)
            }
            Err(trouble) => Err(trouble.fault(Operation::Look)),
        }
    }

    /// What is listed under exactly this name, earlier versions with it. Where they may not be
    /// listed, nothing is known of them: least of all that there are none.
    async fn versions(&self, key: &str) -> Result<Vec<Listed>, Fault> {
        let mut found = Vec::new();
        let mut after = String::new();
        for _ in 0..PAGES_MAX {
            let query = format!(
                "restype=container&comp=list&include=versions&maxresults=1000&prefix={}{after}",
                encode(key)
            );
            let mut headers = HeaderMap::new();
            headers.insert("x-ms-version", HeaderValue::from_static(VERSION));
            let uri = self.place.container_url(&query)?;
            let ask = Ask::new(Operation::List, Method::GET, uri, headers);
            let answer = self.blob("", Grant::List).exchange(&ask).await;
            let answer = answer.map_err(|trouble| unlisted(trouble.fault(Operation::List)))?;
            // The service leads its documents with a byte order mark.
            let body = answer.body.strip_prefix(b"\xef\xbb\xbf");
            let page: Option<Page> = parse(body.unwrap_or(&answer.body));
            let page = page.ok_or_else(|| cannot("the versions cannot be understood"))?;
            let last = page.blobs.blobs.last().map(|listed| listed.name.clone());
            found.extend(page.blobs.blobs.into_iter().filter(|it| it.name == key));
            match page.next.filter(|next| !next.is_empty()) {
                // Names are listed in order: what follows is another one.
                Some(_) if last.is_some_and(|last| last != key) => return Ok(found),
                None => return Ok(found),
                Some(next) => after = format!("&marker={}", encode(&next)),
            }
        }
        Err(cannot("the versions of one blob do not end"))
    }

    async fn delete_copy<'a>(
        &self,
        blob: Blob<'_>,
        mut ask: Ask<'a>,
        fence: &'a Fence,
    ) -> Result<Deletion, Fault> {
        ask.fence = Some(fence);
        ask.patience = deadline::LOOK.min(fence.left());
        ask.repeat = Repeat::Answered;
        let refusal = match blob.exchange(&ask).await {
            Ok(_) => return Ok(Deletion::Done),
            Err(Trouble::Refused(refusal)) => refusal,
            Err(Trouble::Lost(why)) => return Ok(Deletion::Unclear(why)),
            Err(trouble @ (Trouble::Never(_) | Trouble::Fenced(_))) => {
                return Err(trouble.fault(Operation::Delete));
            }
        };
        match (refusal.meaning(), refusal.code.as_deref()) {
            (_, Some(BLOB_NOT_FOUND)) => Ok(Deletion::Done),
            (_, Some(code)) if LOCKED.contains(&code) => {
                Ok(Deletion::Locked(refusal.describe(Operation::Delete)))
            }
            (Meaning::Taken | Meaning::Unknown, _) => {
                Ok(Deletion::Unclear(refusal.describe(Operation::Delete)))
            }
            (Meaning::Refused(_) | Meaning::Stale, _) => Err(refusal.fault(Operation::Delete)),
        }
    }

    /// Locked, and until when if the service says so.
    async fn locked(&self, copy: &CopyOf, detail: String) -> Removal {
        let until = async {
            let blob = self.blob(copy.object_key.as_str(), Grant::Read);
            let ask = blob.ask(Operation::Look, Method::HEAD, "").ok()?;
            let answer = blob.exchange(&ask).await.ok()?;
            http_date(answer.text("x-ms-immutability-policy-until-date")?)
        };
        let until: Option<DateTime<Utc>> = until.await;
        Removal::Locked(until, detail)
    }
}

/// Says which right is missing.
fn unlisted(mut fault: Fault) -> Fault {
    if fault.class() == Class::Destination {
        fault.detail.push_str(
            ": whether a version of it is left can only be listed, which a SAS allows by l \
             (sp=rcwdxl), and a role by reading blobs",
        );
    }
    fault
}

fn cannot(what: &str) -> Fault {
    Fault::new(ParkReason::OutcomeUnknown, format!("list: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_with_which_one_is_current() {
        let text = "<EnumerationResults><Prefix>k</Prefix><Blobs>\
            <Blob><Name>k</Name><VersionId>v1</VersionId><Properties><Etag>0x1</Etag>\
            <Content-Length>5</Content-Length></Properties></Blob>\
            <Blob><Name>k</Name><VersionId>v2</VersionId><IsCurrentVersion>true</IsCurrentVersion>\
            <Properties><Etag>0x2</Etag><Content-Length>5</Content-Length></Properties></Blob>\
            </Blobs><NextMarker /></EnumerationResults>";
        let page: Page = parse(text.as_bytes()).unwrap();
        let current: Vec<_> = page.blobs.blobs.iter().map(|it| it.current).collect();
        assert_eq!(current, [None, Some(true)]);
        assert_eq!(page.blobs.blobs[0].version.as_deref(), Some("v1"));
        let plain = "<EnumerationResults><Blobs><Blob><Name>k</Name><Properties>\
            <Etag>0x1</Etag><Content-Length>5</Content-Length></Properties></Blob></Blobs>\
            <NextMarker>n</NextMarker></EnumerationResults>";
        let page: Page = parse(plain.as_bytes()).unwrap();
        assert!(page.blobs.blobs[0].version.is_none());
    }
}
