//! Large originals: read once, part by part, each part hashed and sent; completed only if the
//! whole is what was announced, the original did not change, and nothing is at the key.
//!
//! **Crashes.** The upload's id is in the ledger before its first part, so whoever comes next
//! aborts it. **Errors** before complete abort it here, as well as that goes. The key itself is
//! never deleted: what is there may be somebody's good copy.

mod complete;
mod plan;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::{Method, header};
use recording::{Digests, Fault, Outbound, ParkReason, SendFault, SendOutcome};

use self::complete::Completed;
use self::plan::{Piece, Plan};
use super::bucket::Bucket;
use super::exchange::Trouble;
use super::place::{encode, put as put_header};
use super::put::{check_announced, cut_short};
use super::xml::{self, UploadCreated};
use crate::budget::{Budget, Share};
use crate::deadline;
use crate::digest::{Hashing, to_base64};

/// Parts of one original on their way at the same time.
const IN_FLIGHT: u64 = 4;

/// A part that was read and hashed.
struct Ready {
    piece: Piece,
    bytes: Bytes,
    /// Its CRC64NVME, base64.
    checksum: String,
    share: Share,
}

/// A part that the store has.
#[derive(Debug)]
struct Landed {
    number: u32,
    etag: String,
    checksum: String,
}

impl Bucket {
    /// Gives an upload up. One that is not there any more is given up already.
    pub(crate) async fn abort(&self, key: &str, upload_id: &str) -> Result<(), Fault> {
        let query = format!("uploadId={}", encode(upload_id));
        let ask = self.ask("abort upload", Method::DELETE, Some(key), &query)?;
        match self.exchange(&ask).await {
            Ok(_) => Ok(()),
            Err(Trouble::Refused(refusal))
                if refusal.status == 404 && refusal.code.as_deref() != Some("NoSuchBucket") =>
            {
                Ok(())
            }
            Err(trouble) => Err(trouble.fault("abort upload")),
        }
    }

    /// Sends the original in parts.
    pub(crate) async fn send_parts(
        &self,
        outbound: &Outbound<'_>,
        budget: &Budget,
        part_size: u64,
    ) -> Result<SendOutcome, SendFault> {
        let plan = Plan::new(outbound.size_bytes, part_size)?;
        let upload_id = self.create_upload(outbound).await?;
        let ended = self.fill(outbound, budget, &plan, &upload_id).await;
        let (outcome, leftover) = match ended {
            Ok(Completed::Done(digests)) => (Ok(SendOutcome::Sent(digests)), false),
            // It may be completing right now: not for us to disturb.
            Ok(Completed::Unclear(digests, why)) => (Ok(SendOutcome::Unclear(digests, why)), false),
            Ok(Completed::Taken(digests, why)) => (Ok(SendOutcome::Unclear(digests, why)), true),
            Err(fault) => (Err(fault), true),
        };
        if leftover && let Err(fault) = self.abort(outbound.key.as_str(), &upload_id).await {
            // Not an outcome: the id is in the ledger, and the next claim aborts it first.
            tracing::debug!(reason = %fault.reason, detail = fault.detail, "upload stays open");
        }
        outcome
    }

    async fn create_upload(&self, outbound: &Outbound<'_>) -> Result<String, Fault> {
        let key = Some(outbound.key.as_str());
        let mut ask = self.ask("create upload", Method::POST, key, "uploads=")?;
        self.describe_object(&mut ask.headers, outbound)?;
        if let Some(sha256) = outbound.sha256 {
            let sha256 = sha256.to_string();
            put_header(&mut ask.headers, "x-amz-meta-callferry-sha256", &sha256)?;
        }
        put_header(&mut ask.headers, "x-amz-checksum-algorithm", "CRC64NVME")?;
        put_header(&mut ask.headers, "x-amz-checksum-type", "FULL_OBJECT")?;
        let answer = self.exchange(&ask).await;
        let answer = answer.map_err(|trouble| trouble.fault("create upload"))?;
        let created: Option<UploadCreated> = xml::parse(&answer.body);
        match created {
            // The id goes into the ledger: what no store sends must not get as far as there.
            Some(created) if is_plain(&created.upload_id) => Ok(created.upload_id),
            Some(_) | None => Err(Fault::new(
                ParkReason::OutcomeUnknown,
                "create upload: the answer cannot be understood",
            )),
        }
    }

    async fn fill(
        &self,
        outbound: &Outbound<'_>,
        budget: &Budget,
        plan: &Plan,
        upload_id: &str,
    ) -> Result<Completed, SendFault> {
        outbound.uploads.begun(upload_id).await?;
        let (landed, digests) = self.send_all(outbound, budget, plan, upload_id).await?;
        outbound.original.still_same().await?;
        check_announced(outbound, &digests)?;
        self.complete(outbound, upload_id, &landed, digests).await
    }

    async fn send_all(
        &self,
        outbound: &Outbound<'_>,
        budget: &Budget,
        plan: &Plan,
        upload_id: &str,
    ) -> Result<(Vec<Landed>, Digests), SendFault> {
        let mut hashing = Hashing::new();
        let mut landed = Vec::new();
        let mut flying = FuturesUnordered::new();
        let most = usize::try_from(IN_FLIGHT).unwrap_or(1);
        for piece in plan.pieces() {
            if flying.len() >= most
                && let Some(done) = flying.next().await
            {
                landed.push(done?);
            }
            // SUBTLE: waiting for the budget must not stop the parts that hold shares of it, or
            // two originals could wait for each other; so they are driven meanwhile.
            let reading = read(outbound, budget, piece, hashing);
            tokio::pin!(reading);
            let (ready, so_far) = loop {
                tokio::select! {
                    read = &mut reading => break read?,
                    Some(done) = flying.next() => landed.push(done?),
                }
            };
            hashing = so_far;
            flying.push(self.send_part(outbound, upload_id, ready));
        }
        while let Some(done) = flying.next().await {
            landed.push(done?);
        }
        landed.sort_unstable_by_key(|part| part.number);
        Ok((landed, hashing.finish()))
    }

    async fn send_part(
        &self,
        outbound: &Outbound<'_>,
        upload_id: &str,
        ready: Ready,
    ) -> Result<Landed, SendFault> {
        let number = ready.piece.number;
        let query = format!("partNumber={number}&uploadId={}", encode(upload_id));
        let key = Some(outbound.key.as_str());
        let mut ask = self.ask("send part", Method::PUT, key, &query)?;
        put_header(
            &mut ask.headers,
            "x-amz-checksum-crc64nvme",
            &ready.checksum,
        )?;
        ask.body = ready.bytes;
        ask.progress = Some(outbound.progress);
        ask.patience = deadline::moving(ready.piece.len, IN_FLIGHT);
        let answer = self.exchange(&ask).await;
        drop(ready.share);
        let answer = answer.map_err(|trouble| trouble.fault("send part"))?;
        let etag = answer.headers.get(header::ETAG);
        match etag.and_then(|etag| etag.to_str().ok()) {
            Some(etag) => Ok(Landed {
                number,
                etag: etag.to_owned(),
                checksum: ready.checksum,
            }),
            None => Err(Fault::new(
                ParkReason::OutcomeUnknown,
                "send part: the answer names no entity tag",
            )
            .into()),
        }
    }
}

fn is_plain(upload_id: &str) -> bool {
    (1..=1024).contains(&upload_id.len()) && upload_id.bytes().all(|b| b.is_ascii_graphic())
}

/// Reads a part and hashes it in its turn.
async fn read(
    outbound: &Outbound<'_>,
    budget: &Budget,
    piece: Piece,
    mut hashing: Hashing,
) -> Result<(Ready, Hashing), SendFault> {
    let share = budget.take_telling(piece.len, outbound.progress).await;
    let len = usize::try_from(piece.len).unwrap_or(usize::MAX);
    let bytes = outbound.original.read(piece.offset, len).await?;
    let hashed = bytes.clone();
    let hash = move || {
        let checksum = hashing.part(&hashed);
        (checksum, hashing)
    };
    let (checksum, hashing) = tokio::task::spawn_blocking(hash)
        .await
        .map_err(|error| cut_short(&error))?;
    let ready = Ready {
        piece,
        bytes,
        checksum: to_base64(checksum),
        share,
    };
    Ok((ready, hashing))
}
