//! Completing an upload: create-only, with the whole object's checksum and size, so that the
//! store itself refuses a whole that is not what was read.

use std::fmt::Write;

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use quick_xml::escape::escape;
use recording::{Digests, Operation, Outbound, ParkReason, Part, SendFault, SendOutcome};

use super::Stopped;
use crate::budget::telling;
use crate::deadline;
use crate::digest::to_base64;
use crate::exchange::unless_refused;
use crate::s3::bucket::Bucket;
use crate::s3::classify::Meaning;
use crate::s3::exchange::{Repeat, Trouble};
use crate::s3::place::{encode, put as put_header};
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
        parts: &[Part],
        digests: Digests,
    ) -> Result<Completed, Stopped> {
        let query = format!("uploadId={}", encode(upload_id));
        let key = Some(outbound.key.as_str());
        let mut ask = self.ask(Operation::Complete, Method::POST, key, &query)?;
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
            let why = refusal.describe(Operation::Complete);
            // The upload is gone: completed by an attempt whose answer was lost, or aborted.
            if refusal.code.as_deref() == Some("NoSuchUpload") {
                return Ok(Completed::Unclear(digests, why));
            }
            if refusal.meaning() == Meaning::Taken {
                return Ok(Completed::Taken(digests, why));
            }
        }
        match unless_refused(Operation::Complete, trouble, digests) {
            Ok(SendOutcome::Sent(digests, _)) => Ok(Completed::Done(digests)),
            Ok(SendOutcome::Unclear(digests, why)) => Ok(Completed::Unclear(digests, why)),
            // Nothing was made of these parts, and nothing ever will be: one of them is not there
            // as it is remembered, or the whole is not what was read. Going on with this upload
            // would end here again.
            Err(SendFault::Store(fault)) if fault.reason == ParkReason::OutcomeUnknown => {
                Err(Stopped::Useless(fault.into()))
            }
            Err(fault) => Err(fault.into()),
        }
    }
}

fn names_result(body: &[u8]) -> bool {
    xml::root(body).as_deref() == Some("CompleteMultipartUploadResult")
}

fn document(parts: &[Part]) -> String {
    let mut text =
        String::from("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for part in parts {
        let Part { number, .. } = part;
        let etag = escape(part.etag.as_str());
        let checksum = to_base64(part.crc64nvme);
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
