//! Completing an upload: create-only, with the whole object's checksum and size, so that the
//! store itself refuses a whole that is not what was read.

use std::fmt::Write;

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use quick_xml::escape::escape;
use recording::{Digests, Outbound, SendFault, SendOutcome};

use super::Landed;
use crate::budget::telling;
use crate::deadline;
use crate::digest::to_base64;
use crate::s3::bucket::Bucket;
use crate::s3::classify::Meaning;
use crate::s3::exchange::{Repeat, Trouble};
use crate::s3::place::{encode, put as put_header};
use crate::s3::put::unless_refused;
use crate::s3::xml;

/// How completing ended, when it was not refused.
#[derive(Debug)]
pub(super) enum Completed {
    /// The store said that it has the object now.
    Done(Digests),
    /// Something is at the key already; the upload is still open.
    Taken(Digests, String),
    /// It may have been done.
    Unclear(Digests, String),
}

impl Bucket {
    pub(super) async fn complete(
        &self,
        outbound: &Outbound<'_>,
        upload_id: &str,
        parts: &[Landed],
        digests: Digests,
    ) -> Result<Completed, SendFault> {
        let query = format!("uploadId={}", encode(upload_id));
        let key = Some(outbound.key.as_str());
        let mut ask = self.ask("complete upload", Method::POST, key, &query)?;
        let checksum = to_base64(digests.crc64nvme);
        put_header(&mut ask.headers, "x-amz-checksum-crc64nvme", &checksum)?;
        put_header(&mut ask.headers, "x-amz-checksum-type", "FULL_OBJECT")?;
        let size = digests.size_bytes.to_string();
        put_header(&mut ask.headers, "x-amz-mp-object-size", &size)?;
        put_header(&mut ask.headers, "content-type", "application/xml")?;
        ask.headers
            .insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        ask.body = Bytes::from(document(parts));
        ask.fence = Some(outbound.fence);
        ask.patience = deadline::COMPLETE;
        ask.repeat = Repeat::Answered;
        // A store may assemble a large object for minutes: its own deadline ends the wait, not the
        // lack of bytes that move.
        let exchanged = telling(outbound.progress, self.exchange(&ask)).await;
        let trouble = match exchanged {
            Ok(answer) if names_result(&answer.body) => return Ok(Completed::Done(digests)),
            Ok(_) => {
                let why = "complete upload: the answer cannot be understood".to_owned();
                return Ok(Completed::Unclear(digests, why));
            }
            Err(trouble) => trouble,
        };
        if let Trouble::Refused(refusal) = &trouble {
            let why = refusal.describe("complete upload");
            // The upload is gone: completed by an attempt whose answer was lost, or aborted.
            if refusal.code.as_deref() == Some("NoSuchUpload") {
                return Ok(Completed::Unclear(digests, why));
            }
            if refusal.meaning() == Meaning::Taken {
                return Ok(Completed::Taken(digests, why));
            }
        }
        match unless_refused("complete upload", trouble, digests)? {
            SendOutcome::Sent(digests) => Ok(Completed::Done(digests)),
            SendOutcome::Unclear(digests, why) => Ok(Completed::Unclear(digests, why)),
        }
    }
}

fn names_result(body: &[u8]) -> bool {
    xml::root(body).as_deref() == Some("CompleteMultipartUploadResult")
}

fn document(parts: &[Landed]) -> String {
    let mut text =
        String::from("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for part in parts {
        let Landed {
            number,
            etag,
            checksum,
        } = part;
        let etag = escape(etag.as_str());
        let written = write!(
            text,
            "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>\
             <ChecksumCRC64NVME>{checksum}</ChecksumCRC64NVME></Part>"
        );
        debug_assert!(written.is_ok(), "a string takes everything");
    }
    text.push_str("</CompleteMultipartUpload>");
    text
}
