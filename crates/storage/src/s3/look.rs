//! Looking: what is at a key, by a new request, with the checksum of the whole object.

use std::collections::BTreeMap;

use http::{HeaderMap, Method, header};
use recording::{Fault, Look, Observed, Operation, ParkReason};

use super::bucket::Bucket;
use super::exchange::Trouble;
use super::place::{encode, put as put_header};
use super::xml::{self, Listed};
use crate::digest::from_base64;

const META: &str = "x-amz-meta-";

impl Bucket {
    /// Asks what is at the key.
    pub(crate) async fn look(&self, key: &str) -> Result<Look, Fault> {
        let mut ask = self.ask(Operation::Look, Method::HEAD, Some(key), "")?;
        put_header(&mut ask.headers, "x-amz-checksum-mode", "ENABLED")?;
        match self.exchange(&ask).await {
            Ok(answer) => observed(&answer.headers).map(Look::Present),
            Err(Trouble::Refused(refusal)) if matches!(refusal.status, 403 | 404) => {
                if self.lists(key).await? {
                    return Err(contradiction(
                        refusal.status,
                        refusal.fault(Operation::Look),
                    ));
                }
                Ok(Look::Absent)
            }
            Err(trouble) => Err(trouble.fault(Operation::Look)),
        }
    }

    /// Whether the bucket lists this very key.
    ///
    /// SUBTLE: a HEAD's refusal has no body. 404 may mean that the bucket is gone, and 403 is what
    /// S3 says of a missing key to somebody who may list only below a prefix. A listing of exactly
    /// the key tells: it names a missing bucket, is refused to who may not know, and is strongly
    /// consistent. It is believed only whole: an error, a cut page or another key's line is no
    /// absence. Were it ever wrong, nothing could be lost by it: what follows an absence is a
    /// create-only write or a second copy, never a deletion.
    pub(crate) async fn lists(&self, key: &str) -> Result<bool, Fault> {
        let query = format!("list-type=2&max-keys=1&prefix={}", encode(key));
        let ask = self.ask(Operation::List, Method::GET, None, &query)?;
        let answer = self.exchange(&ask).await;
        let answer = answer.map_err(|trouble| trouble.fault(Operation::List))?;
        let listed: Option<Listed> = match xml::root(&answer.body).as_deref() {
            Some("ListBucketResult") => xml::parse(&answer.body),
            Some(_) | None => None,
        };
        let Some(listed) = listed else {
            let detail = "list: the answer cannot be understood";
            return Err(Fault::new(ParkReason::OutcomeUnknown, detail));
        };
        // Keys are listed in order, so the key itself comes before every longer one.
        match listed.contents.first() {
            Some(first) => Ok(first.key == key),
            None if listed.is_truncated => {
                let detail = "list: an empty page that is not the last";
                Err(Fault::new(ParkReason::OutcomeUnknown, detail))
            }
            None => Ok(false),
        }
    }
}

/// The listing shows what the HEAD did not.
fn contradiction(status: u16, refused: Fault) -> Fault {
    if status == 403 {
        return refused;
    }
    let detail = "look: the object is listed and cannot be seen";
    Fault::new(ParkReason::OutcomeUnknown, detail)
}

/// Reads the headers of an object.
pub(super) fn observed(headers: &HeaderMap) -> Result<Observed, Fault> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let missing = |what: &str| {
        let detail = format!("look: the answer has no {what}");
        Fault::new(ParkReason::OutcomeUnknown, detail)
    };
    let length = text(header::CONTENT_LENGTH.as_str()).and_then(|value| value.parse().ok());
    let etag = text(header::ETAG.as_str()).ok_or_else(|| missing("entity tag"))?;
    // A checksum of part checksums says nothing about the whole; it is as good as none.
    let whole = text("x-amz-checksum-type").is_none_or(|kind| kind == "FULL_OBJECT");
    let checksum = text("x-amz-checksum-crc64nvme").filter(|_| whole);
    let version = text("x-amz-version-id").filter(|version| *version != "null");
    let mut metadata = BTreeMap::new();
    for (name, value) in headers {
        if let Some(name) = name.as_str().strip_prefix(META) {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            metadata.insert(name.to_owned(), value);
        }
    }
    Ok(Observed {
        size_bytes: length.ok_or_else(|| missing("length"))?,
        crc64nvme: checksum.and_then(from_base64),
        etag: etag.to_owned(),
        version_id: version.map(ToOwned::to_owned),
        content_md5: None,
        blocks: None,
        metadata,
        read_back: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(extra: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        put_header(&mut headers, "content-length", "9").unwrap();
        put_header(&mut headers, "etag", "\"abc\"").unwrap();
        for (name, value) in extra {
            put_header(&mut headers, name, value).unwrap();
        }
        headers
    }

    #[test]
    fn only_a_checksum_of_the_whole_object_counts() {
        let crc = "x-amz-checksum-crc64nvme";
        let kind = "x-amz-checksum-type";
        let seen = |extra: &[(&str, &str)]| observed(&headers(extra)).unwrap().crc64nvme;
        assert!(seen(&[(crc, "rosUhgp5mIg=")]).is_some());
        assert!(seen(&[(crc, "rosUhgp5mIg="), (kind, "FULL_OBJECT")]).is_some());
        assert!(seen(&[(crc, "rosUhgp5mIg="), (kind, "COMPOSITE")]).is_none());
        assert!(seen(&[(crc, "rosUhgp5mIg=-2")]).is_none());
        assert!(seen(&[]).is_none());
    }

    #[test]
    fn metadata_versions_and_what_is_missing() {
        let seen = observed(&headers(&[
            ("x-amz-meta-callferry-account", "acme"),
            ("x-amz-version-id", "null"),
        ]));
        let seen = seen.unwrap();
        assert_eq!(seen.version_id, None);
        assert_eq!(seen.size_bytes, 9);
        assert_eq!(seen.metadata["callferry-account"], "acme");
        let mut without = headers(&[]);
        without.remove("etag");
        assert!(observed(&without).is_err());
    }
}
