//! Originals in a container of our own: as for S3 (`s3/staged.rs`).
//!
//! A deletion is conditional on the entity tag, which changes with every write. Where the storage
//! account keeps versions or deleted blobs, the deleted original stays there for as long as the
//! account says: a current version cannot be deleted by its id.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderValue, Method, header};
use recording::{Fault, Fence, Operation, ParkReason};
use serde::Deserialize;

use super::classify::BLOB_NOT_FOUND;
use super::container::Container;
use super::sas::{Grant, VERSION};
use crate::deadline;
use crate::exchange::{Answer, Ask, Meaning, Repeat, Trouble, encode, put_header};
use crate::s3::parse;
use crate::staging::bucket::object::{Deleted, Entity, Line, Page, Put, Seen, http_date};

/// Blobs in one page of a listing: its answer fits into what is read of one.
const PAGE: usize = 500;

/// `<EnumerationResults>`.
#[derive(Debug, Deserialize)]
struct Listed {
    #[serde(rename = "Blobs")]
    blobs: Blobs,
    #[serde(rename = "NextMarker")]
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Blobs {
    #[serde(rename = "Blob", default)]
    blobs: Vec<ListedBlob>,
}

#[derive(Debug, Deserialize)]
struct ListedBlob {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Properties")]
    properties: Properties,
}

#[derive(Debug, Deserialize)]
struct Properties {
    #[serde(rename = "Last-Modified")]
    modified: String,
    #[serde(rename = "Content-Length")]
    size_bytes: u64,
    /// With a hierarchical namespace: `directory`.
    #[serde(rename = "ResourceType")]
    resource_type: Option<String>,
}

impl Container {
    /// What is at the key now. `None`: the service says that this blob is not there.
    pub(crate) async fn staged(&self, key: &str) -> Result<Option<Seen>, Fault> {
        let blob = self.blob(key, Grant::Read);
        let ask = blob.ask(Operation::Look, Method::HEAD, "")?;
        match blob.exchange(&ask).await {
            Ok(answer) => Seen::read(&answer.headers, None, odd(&answer)).map(Some),
            Err(trouble) if says_missing(&trouble) => Ok(None),
            Err(trouble) => Err(trouble.fault(Operation::Look)),
        }
    }

    /// The bytes from `offset` on of exactly this blob, or all of them, as they come. `None`: it
    /// is not this blob any more, or ends before that.
    pub(crate) async fn read_staged(
        &self,
        key: &str,
        entity: &Entity,
        range: Option<(u64, u64)>,
    ) -> Result<Option<Answer>, Fault> {
        let blob = self.blob(key, Grant::Read);
        let mut ask = blob.ask(Operation::Read, Method::GET, "")?;
        put_header(&mut ask.headers, header::IF_MATCH.as_str(), &entity.tag)?;
        if let Some((from, to)) = range {
            let range = format!("bytes={from}-{to}");
            put_header(&mut ask.headers, "x-ms-range", &range)?;
        }
        ask.streams = true;
        match blob.exchange(&ask).await {
            Ok(answer) => Ok(Some(answer)),
            Err(trouble) if says_missing(&trouble) => Ok(None),
            Err(Trouble::Refused(refusal)) if matches!(refusal.status, 412 | 416) => Ok(None),
            Err(trouble) => Err(trouble.fault(Operation::Read)),
        }
    }

    /// A small blob as it is now, whichever it is.
    pub(crate) async fn read_small(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        let blob = self.blob(key, Grant::Read);
        let ask = blob.ask(Operation::Read, Method::GET, "")?;
        match blob.exchange(&ask).await {
            Ok(answer) => Ok(Some(answer.body)),
            Err(trouble) if says_missing(&trouble) => Ok(None),
            Err(trouble) => Err(trouble.fault(Operation::Read)),
        }
    }

    /// Puts a small blob that is not there yet.
    pub(crate) async fn put_staged(&self, key: &str, body: Bytes) -> Result<Put, Fault> {
        let blob = self.blob(key, Grant::Create);
        let mut ask = blob.ask(Operation::Put, Method::PUT, "")?;
        put_header(&mut ask.headers, "x-ms-blob-type", "BlockBlob")?;
        put_header(&mut ask.headers, "x-ms-blob-content-type", "text/plain")?;
        ask.headers
            .insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        ask.body = body;
        match blob.exchange(&ask).await {
            Ok(_) => Ok(Put::Done),
            Err(Trouble::Refused(refusal)) if refusal.meaning() == Meaning::Taken => Ok(Put::Taken),
            Err(trouble) => Err(trouble.fault(Operation::Put)),
        }
    }

    /// Deletes the blob on the condition that it still is this one, and asks the fence before each
    /// attempt.
    pub(crate) async fn delete_staged(
        &self,
        key: &str,
        entity: &Entity,
        fence: Option<&Fence>,
    ) -> Result<Deleted, Fault> {
        let blob = self.blob(key, Grant::Delete);
        let mut ask = blob.ask(Operation::Delete, Method::DELETE, "")?;
        put_header(&mut ask.headers, header::IF_MATCH.as_str(), &entity.tag)?;
        if let Some(fence) = fence {
            ask.fence = Some(fence);
            ask.patience = deadline::LOOK.min(fence.left());
        }
        ask.repeat = Repeat::Answered;
        match blob.exchange(&ask).await {
            Ok(_) => Ok(Deleted::Done),
            Err(trouble) => Deleted::unless_refused(trouble, &[BLOB_NOT_FOUND]),
        }
    }

    /// A page of the blobs below a prefix, in the order of their names.
    pub(crate) async fn list_staged(
        &self,
        prefix: &str,
        from: Option<&str>,
    ) -> Result<Page, Fault> {
        let mut query = format!(
            "restype=container&comp=list&maxresults={PAGE}&prefix={}",
            encode(prefix)
        );
        if let Some(marker) = from {
            query = format!("{query}&marker={}", encode(marker));
        }
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-version", HeaderValue::from_static(VERSION));
        let uri = self.place.container_url(&query)?;
        let ask = Ask::new(Operation::List, Method::GET, uri, headers);
        let answer = self.blob("", Grant::List).exchange(&ask).await;
        let answer = answer.map_err(|trouble| trouble.fault(Operation::List))?;
        // The service leads its documents with a byte order mark.
        let body = answer.body.strip_prefix(b"\xef\xbb\xbf");
        let listed: Option<Listed> = parse(body.unwrap_or(&answer.body));
        page(listed.ok_or_else(|| cannot("the answer cannot be understood"))?)
    }
}

fn page(listed: Listed) -> Result<Page, Fault> {
    let mut lines = Vec::with_capacity(listed.blobs.blobs.len());
    for blob in listed.blobs.blobs {
        let Properties {
            modified,
            size_bytes,
            resource_type,
        } = blob.properties;
        lines.push(Line {
            key: blob.name,
            size_bytes,
            modified: time(&modified)?,
            is_folder: resource_type.as_deref() == Some("directory"),
        });
    }
    let next = listed.next.filter(|next| !next.is_empty());
    Ok(Page { lines, next })
}

fn time(text: &str) -> Result<DateTime<Utc>, Fault> {
    http_date(text).ok_or_else(|| cannot("a time cannot be understood"))
}

/// A blob that stands for a folder, as the hierarchical namespace and older tools make them.
fn odd(answer: &Answer) -> Option<&'static str> {
    let says = |name: &str, value: &str| answer.text(name) == Some(value);
    let is_folder =
        says("x-ms-resource-type", "directory") || says("x-ms-meta-hdi_isfolder", "true");
    is_folder.then_some("the blob stands for a folder")
}

fn says_missing(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Refused(refusal) => {
            refusal.status == 404 && refusal.code.as_deref() == Some(BLOB_NOT_FOUND)
        }
        Trouble::Never(_) | Trouble::Lost(_) | Trouble::Fenced(_) => false,
    }
}

fn cannot(what: &str) -> Fault {
    Fault::new(ParkReason::OutcomeUnknown, format!("list: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_with_and_without_blobs_is_read() {
        let read = |text: &str| parse::<Listed>(text.as_bytes()).map(|it| page(it).unwrap());
        let empty = "<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>";
        let empty = read(empty).unwrap();
        assert!(empty.lines.is_empty() && empty.next.is_none());
        let one = "<EnumerationResults><Prefix>in/</Prefix><Blobs><Blob>\
            <Name>in/acme/a&amp;b.wav</Name><Properties><Content-Length>7</Content-Length>\
            <Last-Modified>Sun, 22 Nov 2026 10:00:00 GMT</Last-Modified>\
            <BlobType>BlockBlob</BlobType></Properties></Blob></Blobs>\
            <NextMarker>more</NextMarker></EnumerationResults>";
        let one = read(one).unwrap();
        assert_eq!(one.lines[0].key, "in/acme/a&b.wav");
        assert_eq!(
            one.lines[0].modified.to_rfc3339(),
            "2026-11-22T10:00:00+00:00"
        );
        assert_eq!(
            (one.lines[0].size_bytes, one.next.as_deref()),
            (7, Some("more"))
        );
    }
}
