//! Large originals of whatever cloud: read and hashed in order, sent a few parts at a time, and
//! not sent where the store has them already.

mod plan;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use recording::{Crc64Nvme, Digests, Outbound, SendFault};
use tokio::time::Instant;

pub(crate) use self::plan::{Limits, Piece, Plan};
use crate::budget::{Budget, Share};
use crate::digest::Hashing;
use crate::whole::cut_short;

/// Parts of one original on their way at the same time.
pub(crate) const IN_FLIGHT: u64 = 4;

/// A part that was read and hashed.
#[derive(Debug)]
pub(crate) struct Ready {
    /// Which one.
    pub(crate) piece: Piece,
    /// Its bytes.
    pub(crate) bytes: Bytes,
    /// Their checksum.
    pub(crate) crc64nvme: Crc64Nvme,
    /// Its share of the byte budget, for as long as the bytes are kept.
    pub(crate) share: Share,
}

/// Where parts go.
pub(crate) trait Receiver: Sync {
    /// A part that is there.
    type Landed: Send;
    /// Why no more are sent.
    type Stopped: From<SendFault> + Send;

    /// The part, if the store took it before with these very bytes.
    fn has(&self, piece: Piece, crc64nvme: Crc64Nvme) -> Option<Self::Landed>;

    /// Sends a part.
    fn send(
        &self,
        ready: Ready,
    ) -> impl Future<Output = Result<Self::Landed, Self::Stopped>> + Send;
}

/// Brings every part to the store: what it has in the end, in no order, and the digests of the
/// whole.
pub(crate) async fn send_all<R: Receiver>(
    outbound: &Outbound<'_>,
    budget: &Budget,
    plan: Plan,
    receiver: &R,
) -> Result<(Vec<R::Landed>, Digests), R::Stopped> {
    let mut hashing = Hashing::new();
    let mut landed = Vec::new();
    let mut flying = FuturesUnordered::new();
    let mut paused = false;
    let most = usize::try_from(IN_FLIGHT).unwrap_or(1);
    for piece in plan.pieces() {
        if outbound.progress.is_paused() {
            paused = true;
            break;
        }
        if flying.len() >= most
            && let Some(done) = flying.next().await
        {
            landed.push(done?);
        }
        // SUBTLE: waiting for the budget must not stop the parts that hold shares of it, or two
        // originals could wait for each other; so they are driven meanwhile.
        let reading = read(outbound, budget, piece, hashing);
        tokio::pin!(reading);
        let (ready, so_far) = loop {
            tokio::select! {
                read = &mut reading => break read?,
                Some(done) = flying.next() => landed.push(done?),
            }
        };
        hashing = so_far;
        if let Some(part) = receiver.has(piece, ready.crc64nvme) {
            outbound.progress.resumed(piece.len);
            landed.push(part);
        } else if outbound.progress.is_paused() {
            paused = true;
            break;
        } else {
            flying.push(receiver.send(ready));
        }
    }
    while let Some(done) = flying.next().await {
        landed.push(done?);
    }
    if paused {
        return Err(SendFault::Paused.into());
    }
    Ok((landed, hashing.finish()))
}

/// Reads a part and hashes it in its turn.
async fn read(
    outbound: &Outbound<'_>,
    budget: &Budget,
    piece: Piece,
    mut hashing: Hashing,
) -> Result<(Ready, Hashing), SendFault> {
    let share = budget.take_telling(piece.len, outbound.progress).await;
    let began = Instant::now();
    let len = usize::try_from(piece.len).unwrap_or(usize::MAX);
    let bytes = outbound.original.read(piece.offset, len).await?;
    let hashed = bytes.clone();
    let hash = move || {
        let crc64nvme = hashing.part(&hashed);
        (crc64nvme, hashing)
    };
    let (crc64nvme, hashing) = tokio::task::spawn_blocking(hash)
        .await
        .map_err(|error| cut_short(&error))?;
    outbound.progress.read(began.elapsed());
    let ready = Ready {
        piece,
        bytes,
        crc64nvme,
        share,
    };
    Ok((ready, hashing))
}
