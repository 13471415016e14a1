//! The parts of one upload: sent under their numbers, and remembered once the store took them.

use http::{Method, header};
use recording::{Crc64Nvme, Fault, Operation, Outbound, ParkReason, Part};

use super::Stopped;
use super::resume::Open;
use crate::deadline;
use crate::digest::to_base64;
use crate::parts::{IN_FLIGHT, Piece, Ready, Receiver};
use crate::s3::bucket::Bucket;
use crate::s3::exchange::Trouble;
use crate::s3::place::{encode, put as put_header};

/// An upload as what parts are sent to.
pub(super) struct Filling<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) outbound: &'a Outbound<'a>,
    pub(super) open: &'a Open,
}

impl Receiver for Filling<'_> {
    type Landed = Part;
    type Stopped = Stopped;

    fn has(&self, piece: Piece, crc64nvme: Crc64Nvme) -> Option<Part> {
        self.open.has(piece.number, crc64nvme).cloned()
    }

    async fn send(&self, ready: Ready) -> Result<Part, Stopped> {
        const OPERATION: Operation = Operation::PutPart;
        let number = ready.piece.number;
        let query = format!("partNumber={number}&uploadId={}", encode(self.open.id()));
        let key = Some(self.outbound.key.as_str());
        let mut ask = self.bucket.ask(OPERATION, Method::PUT, key, &query)?;
        let checksum = to_base64(ready.crc64nvme);
        put_header(&mut ask.headers, "x-amz-checksum-crc64nvme", &checksum)?;
        ask.body = ready.bytes;
        ask.progress = Some(self.outbound.progress);
        ask.patience = deadline::moving(ready.piece.len, IN_FLIGHT);
        let answer = self.bucket.exchange(&ask).await;
        // The bytes go before their share of the budget does.
        drop(ask);
        drop(ready.share);
        let answer = answer.map_err(|trouble| match &trouble {
            Trouble::Refused(refusal) if refusal.code.as_deref() == Some("NoSuchUpload") => {
                Stopped::Gone(trouble.fault(OPERATION))
            }
            Trouble::Refused(_) | Trouble::Never(_) | Trouble::Lost(_) | Trouble::Fenced(_) => {
                Stopped::from(trouble.fault(OPERATION))
            }
        })?;
        let etag = answer.headers.get(header::ETAG);
        let Some(etag) = etag.and_then(|etag| etag.to_str().ok()) else {
            let detail = format!("{}: the answer names no entity tag", OPERATION.as_str());
            return Err(Fault::new(ParkReason::OutcomeUnknown, detail).into());
        };
        let part = Part {
            number,
            etag: etag.to_owned(),
            crc64nvme: ready.crc64nvme,
        };
        self.outbound.uploads.landed(part.clone()).await?;
        Ok(part)
    }
}
