//! Small originals: read at once and hashed, for one request. And what is checked of any
//! original's bytes before the request that makes an object of them.

use bytes::Bytes;
use recording::{Digests, Fault, Outbound, ParkReason, SendFault};
use tokio::time::Instant;

use crate::budget::{Budget, Share};
use crate::digest::Hashing;

/// Up to here hashing is shorter than handing it to another thread and waiting, in bytes.
const HASH_HERE_MAX: usize = 1024 * 1024;

/// A whole original in memory, which is the announced one.
#[derive(Debug)]
pub(crate) struct Whole {
    /// Its bytes.
    pub(crate) bytes: Bytes,
    /// Their digests.
    pub(crate) digests: Digests,
    /// Its share of the byte budget, for as long as the bytes are kept.
    pub(crate) share: Share,
}

impl Whole {
    /// Reads and hashes it.
    pub(crate) async fn read(outbound: &Outbound<'_>, budget: &Budget) -> Result<Self, SendFault> {
        let share = budget
            .take_telling(outbound.size_bytes, outbound.progress)
            .await;
        let began = Instant::now();
        let len = usize::try_from(outbound.size_bytes).unwrap_or(usize::MAX);
        let bytes = outbound.original.read(0, len).await?;
        outbound.original.still_same().await?;
        let digests = hash(&bytes).await?;
        outbound.progress.read(began.elapsed());
        check_announced(outbound, &digests)?;
        Ok(Self {
            bytes,
            digests,
            share,
        })
    }
}

/// Bytes that are not the announced ones are not sent to their end.
pub(crate) fn check_announced(outbound: &Outbound<'_>, digests: &Digests) -> Result<(), SendFault> {
    match outbound.sha256 {
        Some(announced) if announced != digests.sha256 => Err(SendFault::DigestMismatch),
        Some(_) | None => Ok(()),
    }
}

async fn hash(bytes: &Bytes) -> Result<Digests, SendFault> {
    let whole = |bytes: &[u8]| {
        let mut hashing = Hashing::new();
        hashing.part(bytes);
        hashing.finish()
    };
    if bytes.len() <= HASH_HERE_MAX {
        return Ok(whole(bytes));
    }
    let bytes = bytes.clone();
    tokio::task::spawn_blocking(move || whole(&bytes))
        .await
        .map_err(|error| cut_short(&error))
}

/// The process is shutting down, or the hash routine panicked.
pub(crate) fn cut_short(error: &tokio::task::JoinError) -> SendFault {
    let detail = format!("hashing was cut short: {error}");
    Fault::new(ParkReason::Interrupted, detail).into()
}
