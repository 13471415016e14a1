//! Going on with an upload that an earlier claim left open, or not.

use std::collections::BTreeMap;

use http::Method;
use recording::{Crc64Nvme, Fault, Operation, Outbound, ParkReason, Part, Upload};

use super::is_plain;
use crate::exchange::{Meaning, Refusal};
use crate::parts::Plan;
use crate::s3::bucket::Bucket;
use crate::s3::exchange::Trouble;
use crate::s3::place::encode;
use crate::s3::xml;

const OPERATION: Operation = Operation::List;

/// An upload that parts are sent to.
#[derive(Debug)]
pub(super) struct Open {
    upload: Upload,
    /// The parts that an earlier claim saw the store take.
    known: BTreeMap<u32, Part>,
}

/// What the store says of an upload.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Open,
    Gone,
    /// It would not say; sending a part will tell.
    Unknown,
}

impl Open {
    /// One that was begun, or is gone on with, as it is remembered.
    pub(super) fn new(mut upload: Upload) -> Self {
        let parts = std::mem::take(&mut upload.parts);
        let known = parts.into_iter().map(|part| (part.number, part)).collect();
        Self { upload, known }
    }

    pub(super) fn id(&self) -> &str {
        &self.upload.id
    }

    /// As it is remembered when it begins: without parts.
    pub(super) fn upload(&self) -> &Upload {
        &self.upload
    }

    /// The part of this number, if the store took it with these very bytes.
    pub(super) fn has(&self, number: u32, crc64nvme: Crc64Nvme) -> Option<&Part> {
        let part = self.known.get(&number)?;
        (part.crc64nvme == crc64nvme).then_some(part)
    }
}

impl Bucket {
    /// The upload to go on with, if there is one. One of another original or another cut is
    /// aborted.
    pub(super) async fn earlier(
        &self,
        outbound: &Outbound<'_>,
        plan: Plan,
    ) -> Result<Option<Open>, Fault> {
        let Some(upload) = outbound.earlier.filter(|upload| is_plain(&upload.id)) else {
            return Ok(None);
        };
        let same_original = upload.identity == outbound.original.identity();
        if !same_original || upload.part_bytes != plan.part_bytes() {
            self.abort(outbound.key.as_str(), &upload.id).await?;
            return Ok(None);
        }
        let mut open = Open::new(upload.clone());
        match self.standing(outbound, &open).await? {
            Standing::Open => Ok(Some(open)),
            Standing::Gone => Ok(None),
            Standing::Unknown => {
                // SUBTLE: were every part remembered and the upload gone, no part would be sent
                // and only the completion would be refused, which may as well mean that it was
                // completed: that attempt would end in a look, find nothing, and be repeated for
                // ever. So at least one part is sent: its refusal has one meaning.
                open.known.pop_first();
                Ok(Some(open))
            }
        }
    }

    /// Asks before gigabytes are read for nothing.
    async fn standing(&self, outbound: &Outbound<'_>, open: &Open) -> Result<Standing, Fault> {
        if open.known.is_empty() {
            // Nothing would be lost; the first part tells.
            return Ok(Standing::Open);
        }
        let query = format!("max-parts=1&uploadId={}", encode(open.id()));
        let key = Some(outbound.key.as_str());
        let ask = self.ask(OPERATION, Method::GET, key, &query)?;
        match self.exchange(&ask).await {
            Ok(answer) => match xml::root(&answer.body).as_deref() {
                Some("ListPartsResult") => Ok(Standing::Open),
                Some(_) | None => Ok(Standing::Unknown),
            },
            Err(Trouble::Refused(refusal)) => refused(&refusal),
            Err(trouble) => Err(trouble.fault(OPERATION)),
        }
    }
}

/// Not every role may list parts, and not every store can.
fn refused(refusal: &Refusal) -> Result<Standing, Fault> {
    if refusal.code.as_deref() == Some("NoSuchUpload") {
        return Ok(Standing::Gone);
    }
    match refusal.meaning() {
        Meaning::Refused(
            ParkReason::AccessDenied | ParkReason::DestinationRefused | ParkReason::OutcomeUnknown,
        )
        | Meaning::Taken => Ok(Standing::Unknown),
        Meaning::Refused(_) | Meaning::Unknown | Meaning::Stale => Err(refusal.fault(OPERATION)),
    }
}

#[cfg(test)]
mod tests {
    use recording::Identity;

    use super::*;
    use crate::exchange::Answered;
    use crate::s3::classify::refusal;

    fn part(number: u32, crc: u64) -> Part {
        Part {
            number,
            etag: format!("\"{number}\""),
            crc64nvme: Crc64Nvme::new(crc),
        }
    }

    #[test]
    fn a_part_is_there_only_with_the_very_same_bytes() {
        let upload = Upload {
            id: "u".to_owned(),
            part_bytes: 5,
            identity: Identity {
                size_bytes: 9,
                mtime_ns: 1,
                inode: 2,
                entity: None,
            },
            parts: vec![part(2, 7), part(1, 6)],
        };
        let open = Open::new(upload);
        assert!(open.upload().parts.is_empty());
        assert_eq!(open.has(1, Crc64Nvme::new(6)), Some(&part(1, 6)));
        assert_eq!(open.has(2, Crc64Nvme::new(6)), None);
        assert_eq!(open.has(3, Crc64Nvme::new(6)), None);
    }

    #[test]
    fn only_a_clear_word_says_that_an_upload_is_gone() {
        let standing = |status: u16, code: Option<&str>| {
            refused(&refusal(Answered {
                status,
                code: code.map(ToOwned::to_owned),
                retry_after: None,
            }))
        };
        assert_eq!(standing(404, Some("NoSuchUpload")), Ok(Standing::Gone));
        assert_eq!(standing(404, None), Ok(Standing::Unknown));
        assert_eq!(standing(403, Some("AccessDenied")), Ok(Standing::Unknown));
        assert_eq!(standing(501, Some("NotImplemented")), Ok(Standing::Unknown));
        assert!(standing(404, Some("NoSuchBucket")).is_err());
        assert!(standing(503, Some("SlowDown")).is_err());
        assert!(standing(500, None).is_err());
    }
}
