//! Looking: what is at a key, by a new request, with the blocks that it was put together from; and
//! reading it back.

use std::collections::BTreeMap;

use http::{HeaderMap, Method, header};
use recording::{Digests, Fault, Look, Observed, Operation, ParkReason};

use super::blocks::Which;
use super::classify::BLOB_NOT_FOUND;
use super::container::Container;
use super::sas::Grant;
use crate::deadline;
use crate::exchange::{Trouble, changed, digest_body, put_header};

const META: &str = "x-ms-meta-";
/// Our names of metadata begin so, in Azure's spelling.
const OURS: &str = "callferry_";

impl Container {
    /// Asks what is at the key.
    pub(crate) async fn look(&self, key: &str) -> Result<Look, Fault> {
        let blob = self.blob(key, Grant::Read);
        let ask = blob.ask(Operation::Look, Method::HEAD, "")?;
        let answer = match blob.exchange(&ask).await {
            Ok(answer) => answer,
            Err(Trouble::Refused(refusal)) => match refusal.code.as_deref() {
                Some(BLOB_NOT_FOUND) if refusal.status == 404 => return Ok(Look::Absent),
                // Somebody else's 404: neither the blob's absence nor the container's.
                None if refusal.status == 404 => {
                    let detail = "look: 404 without a code";
                    return Err(Fault::new(ParkReason::OutcomeUnknown, detail));
                }
                Some(_) | None => return Err(refusal.fault(Operation::Look)),
            },
            Err(trouble) => return Err(trouble.fault(Operation::Look)),
        };
        let mut observed = observed(&answer.headers)?;
        // The service digests what is sent whole, and nothing that is put together from blocks.
        let is_blocks = observed.content_md5.is_none()
            && observed.size_bytes > 0
            && answer.text("x-ms-blob-type") == Some("BlockBlob");
        if is_blocks {
            observed.blocks = match blob.list_blocks(Which::Committed).await {
                // SUBTLE: these are two requests. Blocks of another blob than the one looked at
                // are no evidence; without any the proof reads the blob back.
                Ok(listed) if listed.etag.as_deref() == Some(&observed.etag) => Some(listed.blocks),
                Ok(_) => None,
                Err(trouble) => return Err(trouble.fault(Operation::List)),
            };
        }
        Ok(Look::Present(observed))
    }

    /// Reads the blob under the observed entity tag and hashes it.
    pub(crate) async fn read_back(&self, key: &str, observed: &Observed) -> Result<Digests, Fault> {
        let blob = self.blob(key, Grant::Read);
        let mut ask = blob.ask(Operation::ReadBack, Method::GET, "")?;
        put_header(&mut ask.headers, header::IF_MATCH.as_str(), &observed.etag)?;
        ask.streams = true;
        ask.patience = deadline::moving(observed.size_bytes, 1);
        let answer = blob
            .exchange(&ask)
            .await
            .map_err(|trouble| match &trouble {
                Trouble::Refused(refusal)
                    if refusal.status == 412 || refusal.code.as_deref() == Some(BLOB_NOT_FOUND) =>
                {
                    changed()
                }
                Trouble::Refused(_) | Trouble::Never(_) | Trouble::Lost(_) | Trouble::Fenced(_) => {
                    trouble.fault(Operation::ReadBack)
                }
            })?;
        digest_body(answer, observed.size_bytes).await
    }
}

/// Reads the headers of a blob.
pub(super) fn observed(headers: &HeaderMap) -> Result<Observed, Fault> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let missing = |what: &str| {
        let detail = format!("look: the answer has no {what}");
        Fault::new(ParkReason::OutcomeUnknown, detail)
    };
    let length = text(header::CONTENT_LENGTH.as_str()).and_then(|value| value.parse().ok());
    let etag = text(header::ETAG.as_str()).ok_or_else(|| missing("entity tag"))?;
    let mut metadata = BTreeMap::new();
    for (name, value) in headers {
        if let Some(name) = name.as_str().strip_prefix(META) {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let name = match name.starts_with(OURS) {
                true => name.replace('_', "-"),
                false => name.to_owned(),
            };
            metadata.insert(name, value);
        }
    }
    Ok(Observed {
        size_bytes: length.ok_or_else(|| missing("length"))?,
        crc64nvme: None,
        etag: etag.to_owned(),
        version_id: text("x-ms-version-id").map(ToOwned::to_owned),
        content_md5: text("content-md5").map(ToOwned::to_owned),
        blocks: None,
        metadata,
        read_back: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blobs_headers_are_read_and_ours_get_their_hyphens_back() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-length", "9"),
            ("etag", "\"0x8\""),
            ("content-md5", "JfnnlDI7RTiF9RgfG2JNCw=="),
            ("x-ms-version-id", "2026-11-22T10:00:00.0000000Z"),
            ("x-ms-meta-callferry_account", "acme"),
            ("x-ms-meta-callferry_duration_ms", "7"),
            ("x-ms-meta-their_own", "x"),
        ] {
            put_header(&mut headers, name, value).unwrap();
        }
        let seen = observed(&headers).unwrap();
        assert_eq!(seen.size_bytes, 9);
        assert_eq!(seen.metadata["callferry-account"], "acme");
        assert_eq!(seen.metadata["callferry-duration-ms"], "7");
        assert_eq!(seen.metadata["their_own"], "x");
        assert!(seen.content_md5.is_some() && seen.version_id.is_some());
        headers.remove("etag");
        assert!(observed(&headers).is_err());
    }
}
