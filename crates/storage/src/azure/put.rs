//! Small originals: read once, hashed, sent in one Put Blob that creates or does nothing and whose
//! bytes the service holds against their CRC64.

use std::sync::atomic::Ordering;

use http::{HeaderValue, Method, header};
use recording::{
    CheckedWrite, Crc64Nvme, Fault, Operation, Outbound, ParkReason, SendFault, SendOutcome,
};

use super::classify::is_damage;
use super::container::{Container, describe};
use super::sas::Grant;
use crate::budget::Budget;
use crate::deadline;
use crate::digest::{from_base64_le, to_base64_le};
use crate::exchange::{Answer, Ask, Meaning, Repeat, Trouble, put_header, unless_refused};
use crate::whole::Whole;

/// The header that carries a checksum there and back.
pub(super) const CRC64: &str = "x-ms-content-crc64";

/// What is known of a store's checking: nothing yet, that it does, that it cannot be seen.
const UNKNOWN: u8 = 0;
const CHECKS: u8 = 1;
const NOT_SEEN: u8 = 2;

impl Container {
    /// Sends the whole original in one Put Blob.
    pub(crate) async fn send_whole(
        &self,
        outbound: &Outbound<'_>,
        budget: &Budget,
    ) -> Result<SendOutcome, SendFault> {
        let Whole {
            bytes,
            digests,
            share: _share,
        } = Whole::read(outbound, budget).await?;
        let key = outbound.key.as_str();
        let blob = self.blob(key, Grant::Create);
        let mut ask = blob.ask(Operation::Put, Method::PUT, "")?;
        describe(&mut ask.headers, outbound, digests.sha256)?;
        put_header(&mut ask.headers, "x-ms-blob-type", "BlockBlob")?;
        put_header(&mut ask.headers, CRC64, &to_base64_le(digests.crc64nvme))?;
        ask.headers
            .insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        ask.body = bytes;
        ask.progress = Some(outbound.progress);
        ask.fence = Some(outbound.fence);
        ask.patience = deadline::moving(outbound.size_bytes, 1);
        ask.repeat = Repeat::Answered;
        match blob.exchange(&ask).await {
            Ok(answer) => {
                ask.progress = None;
                self.prove_creates_only(key, &ask).await?;
                let echo = echoed(&answer, digests.crc64nvme);
                let checked = match echo {
                    Some(equal) => equal,
                    None => self.checks(key, &mut ask, digests.crc64nvme).await?,
                };
                let written = checked.then(|| written(&answer)).flatten();
                Ok(SendOutcome::Sent(digests, written))
            }
            Err(trouble) => unless_refused(Operation::Put, trouble, digests),
        }
    }

    /// As for S3 (`s3/put.rs`): a store that is not Azure itself is shown the first blob once more,
    /// and must refuse it for its condition; so with a signature that would allow to overwrite.
    async fn prove_creates_only(&self, key: &str, first: &Ask<'_>) -> Result<(), SendFault> {
        let Some(_turn) = self.creates_only.turn().await else {
            return Ok(());
        };
        match self.blob(key, Grant::Blocks).exchange(first).await {
            Ok(_) => {
                let detail = "put: the store ignores If-None-Match, so copies could be overwritten";
                Err(Fault::new(ParkReason::DestinationRefused, detail).into())
            }
            Err(Trouble::Refused(refusal)) if refusal.meaning() == Meaning::Taken => {
                self.creates_only.shown();
                Ok(())
            }
            // Not known yet: the next blob is put twice again.
            Err(Trouble::Refused(_) | Trouble::Never(_) | Trouble::Lost(_)) => Ok(()),
            Err(Trouble::Fenced(lost)) => Err(lost.into()),
        }
    }

    /// Whether the store held the bytes against their checksum, of an answer that does not say.
    ///
    /// SUBTLE: a store or a proxy that does not know the header would take anything. Azure itself
    /// is documented to refuse what does not fit. Any other is told a lie once: the blob that it
    /// has just taken, with a checksum that cannot be right. If it refuses that as a mismatch, it
    /// checks; and if it took it, it would have taken the very same bytes. Where it cannot be seen
    /// nothing is claimed, and the proof reads the blob back.
    async fn checks(
        &self,
        key: &str,
        ask: &mut Ask<'_>,
        crc64nvme: Crc64Nvme,
    ) -> Result<bool, SendFault> {
        if self.place.is_azure {
            return Ok(true);
        }
        match self.checks.load(Ordering::Relaxed) {
            UNKNOWN => {}
            known => return Ok(known == CHECKS),
        }
        let lie = Crc64Nvme::new(!crc64nvme.value());
        put_header(&mut ask.headers, CRC64, &to_base64_le(lie))?;
        let known = match self.blob(key, Grant::Blocks).exchange(ask).await {
            Ok(_) => NOT_SEEN,
            Err(Trouble::Refused(refusal)) if is_damage(refusal.code.as_deref()) => CHECKS,
            Err(Trouble::Refused(refusal)) if refusal.is_passing() => UNKNOWN,
            Err(Trouble::Refused(_)) => NOT_SEEN,
            Err(Trouble::Never(_) | Trouble::Lost(_)) => UNKNOWN,
            Err(Trouble::Fenced(lost)) => return Err(lost.into()),
        };
        self.checks.store(known, Ordering::Relaxed);
        Ok(known == CHECKS)
    }
}

/// Whether the checksum that the service computed is ours; `None` if it named none.
pub(super) fn echoed(answer: &Answer, crc64nvme: Crc64Nvme) -> Option<bool> {
    let text = answer.text(CRC64)?;
    Some(from_base64_le(text) == Some(crc64nvme))
}

/// What ties a later look to this write.
fn written(answer: &Answer) -> Option<CheckedWrite> {
    Some(CheckedWrite {
        etag: answer.text(header::ETAG.as_str())?.to_owned(),
        content_md5: answer.text("content-md5").map(ToOwned::to_owned),
        blocks: None,
    })
}
