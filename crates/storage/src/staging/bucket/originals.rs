//! Reading originals out of a bucket. What was looked at once is read by its entity tag and
//! version, so every byte is of that very object.

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use recording::{
    Digests, Fault, Identity, Operation, Original, Originals, ParkReason, StagingFault, StagingPath,
};
use tokio::time::timeout;
use uuid::Uuid;

use super::BucketStaging;
use super::marked::Marked;
use super::object::Seen;
use crate::deadline;
use crate::exchange::digest_body;

/// How often a read is begun whose answer breaks off half-way.
const READS_MAX: u32 = 3;

/// Originals in a bucket. It can only read.
#[derive(Debug, Clone)]
pub struct BucketOriginals {
    marked: Marked,
}

impl BucketOriginals {
    /// Originals of a staging whose marker must hold `staging_id`.
    ///
    /// # Errors
    /// [`StagingFault::Unavailable`] if the marker is not there or is another's.
    pub async fn open(staging: &BucketStaging, staging_id: Uuid) -> Result<Self, StagingFault> {
        let marked = Marked::open(staging, staging_id).await?;
        Ok(Self { marked })
    }
}

#[async_trait]
impl Originals for BucketOriginals {
    async fn open(&self, path: &StagingPath) -> Result<Box<dyn Original>, StagingFault> {
        let key = self.marked.staging.key(path);
        let seen = match self.marked.staging.shared.reach.look(&key).await {
            Ok(Some(seen)) => seen,
            Ok(None) => return Err(self.marked.absent().await),
            Err(fault) => return Err(self.marked.blame(fault).await),
        };
        if let Some(odd) = seen.odd {
            return Err(StagingFault::NotAPlainFile(odd.to_owned()));
        }
        Ok(Box::new(BucketOriginal {
            marked: self.marked.clone(),
            key,
            seen,
        }))
    }

    async fn probe(&self) -> Result<(), StagingFault> {
        self.marked.probe().await
    }
}

/// One object.
#[derive(Debug)]
struct BucketOriginal {
    marked: Marked,
    key: String,
    seen: Seen,
}

impl BucketOriginal {
    /// Reads once. `None`: it is not this object any more.
    async fn attempt(&self, from: u64, len: usize) -> Result<Option<Bytes>, Fault> {
        let shared = &self.marked.staging.shared;
        let size = u64::try_from(len).unwrap_or(u64::MAX);
        let to = from.saturating_add(size).saturating_sub(1);
        let range = Some((from, to));
        let answer = shared.reach.read(&self.key, &self.seen.entity, range).await;
        let Some(answer) = answer? else {
            return Ok(None);
        };
        let mut filling = shared.buffers.begin(len).map_err(|errno| {
            let detail = format!("read: no memory for the answer: {errno}");
            Fault::new(ParkReason::Interrupted, detail)
        })?;
        let reading = async {
            if let Some(body) = answer.stream {
                let mut chunks = body.bytes_stream();
                while let Some(chunk) = chunks.next().await {
                    let chunk = chunk.map_err(|_| broke_off())?;
                    if !filling.push(&chunk) {
                        // A store that does not know ranges answers with everything.
                        return Err(cannot("more bytes came than were asked for"));
                    }
                }
            }
            filling.whole().ok_or_else(broke_off)
        };
        match timeout(deadline::moving(size, 1), reading).await {
            Ok(read) => read.map(Some),
            Err(_) => Err(cannot("the answer did not end in time")),
        }
    }
}

#[async_trait]
impl Original for BucketOriginal {
    fn identity(&self) -> Identity {
        self.seen.identity()
    }

    async fn read(&self, offset: u64, len: usize) -> Result<Bytes, StagingFault> {
        if len == 0 {
            return Ok(Bytes::new());
        }
        let wanted = u64::try_from(len).unwrap_or(u64::MAX);
        if offset.saturating_add(wanted) > self.seen.size_bytes {
            return Err(StagingFault::Changed);
        }
        let mut tried = 0_u32;
        loop {
            tried = tried.saturating_add(1);
            match self.attempt(offset, len).await {
                Ok(Some(bytes)) => return Ok(bytes),
                Ok(None) => return Err(StagingFault::Changed),
                Err(fault)
                    if fault.reason == ParkReason::DestinationUnreachable && tried < READS_MAX =>
                {
                    tracing::debug!(detail = fault.detail, "an original is read again");
                }
                Err(fault) => return Err(self.marked.blame(fault).await),
            }
        }
    }

    async fn digests(&self) -> Result<Digests, StagingFault> {
        let reach = &self.marked.staging.shared.reach;
        let digests = match reach.read(&self.key, &self.seen.entity, None).await {
            Ok(Some(answer)) => digest_body(answer, self.seen.size_bytes).await,
            Ok(None) => return Err(StagingFault::Changed),
            Err(fault) => Err(fault),
        };
        match digests {
            Ok(digests) => {
                self.still_same().await?;
                Ok(digests)
            }
            Err(fault) => Err(self.marked.blame(fault).await),
        }
    }

    async fn still_same(&self) -> Result<(), StagingFault> {
        match self.marked.staging.shared.reach.look(&self.key).await {
            Ok(Some(seen)) if seen.identity() == self.seen.identity() => Ok(()),
            Ok(Some(_)) => Err(StagingFault::Changed),
            Ok(None) => match self.marked.probe().await {
                Ok(()) => Err(StagingFault::Changed),
                Err(outage) => Err(outage),
            },
            Err(fault) => Err(self.marked.blame(fault).await),
        }
    }
}

fn broke_off() -> Fault {
    cannot("the answer broke off")
}

fn cannot(what: &str) -> Fault {
    let detail = format!("{}: {what}", Operation::Read.as_str());
    Fault::new(ParkReason::DestinationUnreachable, detail)
}
