//! Originals in a bucket of our own: looking, reading by range, listing, and the deletion that a
//! bucket carries out only on exactly the object that was looked at.

use bytes::Bytes;
use chrono::{DateTime, SubsecRound, Utc};
use http::{HeaderValue, Method, header};
use recording::{Fault, Fence, Operation, ParkReason};
use serde::Deserialize;

use super::bucket::Bucket;
use super::classify::Meaning;
use super::exchange::{Repeat, Trouble};
use super::place::{encode, put as put_header};
use super::xml;
use crate::deadline;
use crate::exchange::Answer;
use crate::staging::bucket::object::{Deleted, Entity, Line, Page, Put, Seen};

/// What says that there is no such object. A HEAD has no code.
const MISSING: [&str; 2] = ["NoSuchKey", "NoSuchVersion"];
/// Objects in one page of a listing: its answer fits into what is read of one.
const PAGE: usize = 500;

/// `<ListBucketResult>`.
#[derive(Debug, Deserialize)]
struct Listed {
    #[serde(rename = "IsTruncated")]
    is_truncated: bool,
    #[serde(rename = "EncodingType")]
    encoding_type: Option<String>,
    #[serde(rename = "NextContinuationToken")]
    next: Option<String>,
    #[serde(rename = "Contents", default)]
    contents: Vec<ListedObject>,
}

/// One `<Contents>`.
#[derive(Debug, Deserialize)]
struct ListedObject {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "LastModified")]
    modified: DateTime<Utc>,
    #[serde(rename = "Size")]
    size_bytes: u64,
}

impl Bucket {
    /// What is at the key now, or one version of it. `None` is the bucket's "not found", which
    /// may also mean that the bucket itself is not.
    pub(crate) async fn staged(
        &self,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<Seen>, Fault> {
        let ask = self.ask(
            Operation::Look,
            Method::HEAD,
            Some(key),
            &of_version(version),
        )?;
        match self.exchange(&ask).await {
            Ok(answer) => seen(&answer).map(Some),
            Err(Trouble::Refused(refusal)) if refusal.status == 404 => Ok(None),
            Err(trouble) => Err(trouble.fault(Operation::Look)),
        }
    }

    /// The bytes from `offset` on of exactly this object, or all of them, as they come. `None`: it
    /// is not this object any more, or ends before that.
    pub(crate) async fn read_staged(
        &self,
        key: &str,
        entity: &Entity,
        range: Option<(u64, u64)>,
    ) -> Result<Option<Answer>, Fault> {
        let version = of_version(entity.version.as_deref());
        let mut ask = self.ask(Operation::Read, Method::GET, Some(key), &version)?;
        put_header(&mut ask.headers, header::IF_MATCH.as_str(), &entity.tag)?;
        if let Some((from, to)) = range {
            let range = format!("bytes={from}-{to}");
            put_header(&mut ask.headers, header::RANGE.as_str(), &range)?;
        }
        ask.streams = true;
        match self.exchange(&ask).await {
            Ok(answer) => Ok(Some(answer)),
            Err(Trouble::Refused(refusal)) if matches!(refusal.status, 404 | 412 | 416) => Ok(None),
            Err(trouble) => Err(trouble.fault(Operation::Read)),
        }
    }

    /// A small object as it is now, whichever it is.
    pub(crate) async fn read_small(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        let ask = self.ask(Operation::Read, Method::GET, Some(key), "")?;
        match self.exchange(&ask).await {
            Ok(answer) => Ok(Some(answer.body)),
            Err(Trouble::Refused(refusal))
                if refusal.status == 404 && names_missing(refusal.code.as_deref()) =>
            {
                Ok(None)
            }
            Err(trouble) => Err(trouble.fault(Operation::Read)),
        }
    }

    /// Puts a small object; with `create_only` not over another.
    pub(crate) async fn put_staged(
        &self,
        key: &str,
        body: Bytes,
        create_only: bool,
    ) -> Result<Put, Fault> {
        let mut ask = self.ask(Operation::Put, Method::PUT, Some(key), "")?;
        put_header(&mut ask.headers, "content-type", "text/plain")?;
        if create_only {
            ask.headers
                .insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        ask.body = body;
        match self.exchange(&ask).await {
            Ok(_) => Ok(Put::Done),
            Err(Trouble::Refused(refusal)) if refusal.meaning() == Meaning::Taken => Ok(Put::Taken),
            Err(trouble) => Err(trouble.fault(Operation::Put)),
        }
    }

    /// Deletes exactly this object, and asks the fence before each attempt.
    ///
    /// A version is deleted by its id, which names one object for ever; everything else on the
    /// condition that the entity tag still is this one.
    pub(crate) async fn delete_staged(
        &self,
        key: &str,
        entity: &Entity,
        fence: Option<&Fence>,
    ) -> Result<Deleted, Fault> {
        let version = of_version(entity.version.as_deref());
        let mut ask = self.ask(Operation::Delete, Method::DELETE, Some(key), &version)?;
        if entity.version.is_none() {
            put_header(&mut ask.headers, header::IF_MATCH.as_str(), &entity.tag)?;
        }
        if let Some(fence) = fence {
            ask.fence = Some(fence);
            ask.patience = deadline::LOOK.min(fence.left());
        }
        ask.repeat = Repeat::Answered;
        match self.exchange(&ask).await {
            Ok(_) => Ok(Deleted::Done),
            Err(trouble) => Deleted::unless_refused(trouble, &MISSING),
        }
    }

    /// A page of the objects below a prefix, in the order of their keys.
    pub(crate) async fn list_staged(
        &self,
        prefix: &str,
        from: Option<&str>,
    ) -> Result<Page, Fault> {
        let mut query = format!(
            "encoding-type=url&list-type=2&max-keys={PAGE}&prefix={}",
            encode(prefix)
        );
        if let Some(token) = from {
            query = format!("continuation-token={}&{query}", encode(token));
        }
        let ask = self.ask(Operation::List, Method::GET, None, &query)?;
        let answer = self.exchange(&ask).await;
        let answer = answer.map_err(|trouble| trouble.fault(Operation::List))?;
        let listed: Option<Listed> = match xml::root(&answer.body).as_deref() {
            Some("ListBucketResult") => xml::parse(&answer.body),
            Some(_) | None => None,
        };
        page(listed.ok_or_else(|| cannot("the answer cannot be understood"))?)
    }
}

fn page(listed: Listed) -> Result<Page, Fault> {
    let escaped = match listed.encoding_type.as_deref() {
        Some("url") => true,
        None | Some("") => false,
        Some(_) => return Err(cannot("the keys are in an unknown encoding")),
    };
    let mut lines = Vec::with_capacity(listed.contents.len());
    for object in listed.contents {
        lines.push(Line {
            key: read_key(object.key, escaped)?,
            size_bytes: object.size_bytes,
            modified: object.modified.trunc_subsecs(0),
            is_folder: false,
        });
    }
    let next = match (listed.is_truncated, listed.next) {
        (false, _) => None,
        (true, Some(next)) if !next.is_empty() => Some(next),
        (true, _) => {
            return Err(cannot("there is more, and the answer does not say where"));
        }
    };
    Ok(Page { lines, next })
}

fn read_key(key: String, escaped: bool) -> Result<String, Fault> {
    xml::listed_key(key, escaped).ok_or_else(|| cannot("a key is no text"))
}

fn seen(answer: &Answer) -> Result<Seen, Fault> {
    let version = answer
        .text("x-amz-version-id")
        .filter(|version| *version != "null");
    let is_folder = answer
        .text(header::CONTENT_TYPE.as_str())
        .is_some_and(|kind| kind.starts_with("application/x-directory"));
    let odd = is_folder.then_some("the object stands for a folder (application/x-directory)");
    Seen::read(&answer.headers, version, odd)
}

fn of_version(version: Option<&str>) -> String {
    version.map_or_else(String::new, |version| {
        format!("versionId={}", encode(version))
    })
}

fn names_missing(code: Option<&str>) -> bool {
    code.is_some_and(|code| MISSING.contains(&code))
}

fn cannot(what: &str) -> Fault {
    Fault::new(ParkReason::OutcomeUnknown, format!("list: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_believed_only_whole() {
        let read = |text: &str| xml::parse::<Listed>(text.as_bytes()).map(page);
        let head = "<ListBucketResult><EncodingType>url</EncodingType>";
        let one = "<Contents><Key>in/acme/a+b%2Bc.wav</Key><Size>7</Size>\
                   <LastModified>2026-11-22T10:00:00.000Z</LastModified></Contents>";
        let whole = format!("{head}<IsTruncated>false</IsTruncated>{one}</ListBucketResult>");
        let whole = read(&whole).unwrap().unwrap();
        assert_eq!(whole.lines[0].key, "in/acme/a b+c.wav");
        assert_eq!((whole.lines[0].size_bytes, whole.next), (7, None));
        let cut = format!("{head}<IsTruncated>true</IsTruncated>{one}</ListBucketResult>");
        assert!(read(&cut).unwrap().is_err());
        let more =
            "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>";
        let more = format!("{head}{more}</ListBucketResult>");
        assert_eq!(read(&more).unwrap().unwrap().next.as_deref(), Some("t"));
    }
}
