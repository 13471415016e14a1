//! Large originals: sent in blocks, each of which the service holds against its CRC64, and put
//! together by one commit that creates or does nothing.
//!
//! **Crashes.** The upload is in the ledger before its first block, and each block after the
//! service took it. Whoever comes next reads and hashes from the first byte on, and sends what is
//! not both remembered with these bytes and still listed by the service. **Leftovers**: blocks that
//! nobody commits are gone after a week; there is nothing to abort.

mod id;
mod list;
mod resume;

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use recording::{
    Block, CheckedWrite, Crc64Nvme, Digests, Fault, Operation, Outbound, ParkReason, Part,
    SendFault, SendOutcome,
};

pub(super) use self::id::{block_id, upload_id};
pub(super) use self::list::Which;
use self::resume::Open;
use super::container::{Blob, Container, describe};
use super::put::{CRC64, echoed};
use super::sas::Grant;
use crate::budget::{Budget, telling};
use crate::deadline;
use crate::digest::{crc64nvme, to_base64_le};
use crate::exchange::{Repeat, encode, put_header, unless_refused};
use crate::parts::{IN_FLIGHT, Limits, Piece, Plan, Ready, Receiver, send_all};
use crate::whole::check_announced;

const MIB: u64 = 1 << 20;

/// What Azure takes: some 190 TiB.
const LIMITS: Limits = Limits {
    parts_max: 50_000,
    part_bytes_max: 4000 * MIB,
    object_bytes_max: 50_000 * 4000 * MIB,
};

/// A block that the service has.
struct Landed {
    number: u32,
    block: Block,
    /// Whether the service is known to have checked its bytes.
    checked: bool,
}

/// One original on its way in blocks.
struct Sending<'a> {
    blob: Blob<'a>,
    outbound: &'a Outbound<'a>,
    open: &'a Open,
}

impl Container {
    /// Sends the original in blocks, going on with an earlier upload if that is of this very
    /// original and cut.
    pub(crate) async fn send_blocks(
        &self,
        outbound: &Outbound<'_>,
        budget: &Budget,
        part_size: u64,
    ) -> Result<SendOutcome, SendFault> {
        let plan = Plan::new(outbound.size_bytes, part_size, LIMITS)?;
        let blob = self.blob(outbound.key.as_str(), Grant::Blocks);
        let open = match self.earlier(outbound, plan).await? {
            Some(open) => open,
            None => {
                let open = Open::new(outbound, plan);
                outbound.uploads.begun(open.upload()).await?;
                open
            }
        };
        let sending = Sending {
            blob,
            outbound,
            open: &open,
        };
        let (mut landed, digests) = send_all(outbound, budget, plan, &sending).await?;
        landed.sort_unstable_by_key(|block| block.number);
        outbound.original.still_same().await?;
        check_announced(outbound, &digests)?;
        blob.commit(outbound, landed, digests).await
    }
}

impl Receiver for Sending<'_> {
    type Landed = Landed;
    type Stopped = SendFault;

    fn has(&self, piece: Piece, crc64nvme: Crc64Nvme) -> Option<Landed> {
        let id = self.open.has(piece, crc64nvme)?;
        Some(Landed {
            number: piece.number,
            block: Block {
                id,
                size_bytes: piece.len,
            },
            // Only such are remembered.
            checked: true,
        })
    }

    async fn send(&self, ready: Ready) -> Result<Landed, SendFault> {
        let Ready {
            piece,
            bytes,
            crc64nvme,
            share,
        } = ready;
        let blob = &self.blob;
        let id = block_id(self.open.id(), piece.number, crc64nvme);
        let query = format!("comp=block&blockid={}", encode(&id));
        let mut ask = blob.ask(Operation::PutPart, Method::PUT, &query)?;
        put_header(&mut ask.headers, CRC64, &to_base64_le(crc64nvme))?;
        ask.body = bytes;
        ask.progress = Some(self.outbound.progress);
        ask.patience = deadline::moving(piece.len, IN_FLIGHT);
        let answer = blob.exchange(&ask).await;
        // The bytes go before their share of the budget does.
        drop(ask);
        drop(share);
        let answer = answer.map_err(|trouble| trouble.fault(Operation::PutPart))?;
        let echo = echoed(&answer, crc64nvme);
        if echo == Some(false) {
            let detail = "put_part: the store took other bytes than were sent";
            return Err(Fault::new(ParkReason::OutcomeUnknown, detail).into());
        }
        let checked = echo.unwrap_or(blob.container.place.is_azure);
        if checked {
            let part = Part {
                number: piece.number,
                etag: id.clone(),
                crc64nvme,
            };
            self.outbound.uploads.landed(part).await?;
        }
        Ok(Landed {
            number: piece.number,
            block: Block {
                id,
                size_bytes: piece.len,
            },
            checked,
        })
    }
}

impl Blob<'_> {
    /// Puts the blocks together, unless something is at the key.
    async fn commit(
        &self,
        outbound: &Outbound<'_>,
        landed: Vec<Landed>,
        digests: Digests,
    ) -> Result<SendOutcome, SendFault> {
        let checked = landed.iter().all(|block| block.checked);
        let blocks: Vec<Block> = landed.into_iter().map(|block| block.block).collect();
        let mut ask = self.ask(Operation::Complete, Method::PUT, "comp=blocklist")?;
        describe(&mut ask.headers, outbound, digests.sha256)?;
        ask.headers
            .insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        put_header(&mut ask.headers, "content-type", "application/xml")?;
        ask.body = Bytes::from(list::document(&blocks));
        // Of the list; the blocks have theirs.
        put_header(&mut ask.headers, CRC64, &to_base64_le(crc64nvme(&ask.body)))?;
        ask.fence = Some(outbound.fence);
        ask.patience = deadline::COMPLETE;
        ask.repeat = Repeat::Answered;
        match telling(outbound.progress, self.exchange(&ask)).await {
            Ok(answer) => {
                let etag = answer.text(header::ETAG.as_str()).filter(|_| checked);
                let written = etag.map(|etag| CheckedWrite {
                    etag: etag.to_owned(),
                    // The answer's is of the list, not of the blob.
                    content_md5: None,
                    blocks: Some(blocks),
                });
                Ok(SendOutcome::Sent(digests, written))
            }
            Err(trouble) => unless_refused(Operation::Complete, trouble, digests),
        }
    }
}
