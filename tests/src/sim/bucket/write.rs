//! Sending originals, as the storage crate does it: one pass, one PUT up to the part size, in
//! parts above it; the fence is asked right before a PUT or complete is signed.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use recording::{
    AccountId, Destination, Digests, Fault, ObjectKey, Outbound, ParkReason, SendFault,
    SendOutcome, Writers,
};

use super::look::unreachable;
use super::{Answer, Write, bucket_of, digests, put};
use crate::sim::call::{Call, Lost};
use crate::sim::oracle;
use crate::sim::side::Side;
use crate::sim::truth::Place;

/// One process's writes.
pub(crate) struct WritePort(pub(crate) Side);

#[async_trait]
impl Writers for WritePort {
    async fn send(
        &self,
        destination: &Destination,
        outbound: Outbound<'_>,
    ) -> Result<SendOutcome, SendFault> {
        let place = (bucket_of(destination), outbound.key.to_string());
        let size = usize::try_from(outbound.size_bytes).unwrap_or(usize::MAX);
        let part = self.0.sim.world().mix.part_size;
        if size <= part {
            if let Some(earlier) = outbound.earlier {
                self.abort(&place, &earlier.id).await;
            }
            self.whole(place, &outbound, size).await
        } else {
            self.in_parts(place, &outbound, part).await
        }
    }

    async fn give_up(
        &self,
        destination: &Destination,
        _account: &AccountId,
        key: &ObjectKey,
        upload_id: &str,
    ) -> Result<(), Fault> {
        let place = (bucket_of(destination), key.to_string());
        self.abort(&place, upload_id).await;
        Ok(())
    }
}

impl WritePort {
    pub(super) fn is_wrong(outbound: &Outbound<'_>, digests: &Digests) -> bool {
        outbound.sha256.is_some_and(|said| said != digests.sha256)
    }

    /// The last thing before a request is signed: ground truth must agree with the fence.
    /// Says when.
    pub(super) fn sign(&self, outbound: &Outbound<'_>) -> Result<Duration, SendFault> {
        outbound.fence.check()?;
        let process = self.0.process;
        let mut world = self.0.sim.world();
        oracle::signs(&mut world, process, outbound.account, outbound.key);
        Ok(world.now())
    }

    async fn whole(
        &self,
        place: Place,
        outbound: &Outbound<'_>,
        size: usize,
    ) -> Result<SendOutcome, SendFault> {
        let content = outbound.original.read(0, size).await?;
        let found = digests(&content);
        if Self::is_wrong(outbound, &found) {
            return Err(SendFault::DigestMismatch);
        }
        outbound.original.still_same().await?;
        let signed_at = self.sign(outbound)?;
        let write = Self::write(place, &content, outbound, signed_at);
        let about = write.place.1.clone();
        let answer = self
            .0
            .step(Call::Put, &about, move |world| put(world, write))
            .await;
        outbound.progress.moved(found.size_bytes);
        self.outcome(answer, found)
    }

    pub(super) fn write(
        place: Place,
        content: &Bytes,
        outbound: &Outbound<'_>,
        signed_at: Duration,
    ) -> Write {
        let inode = outbound.original.identity().inode;
        Write {
            place,
            content: content.to_vec(),
            metadata: outbound.metadata.clone(),
            source: u64::try_from(inode).unwrap_or_default(),
            blocks: None,
            signed_at,
        }
    }

    /// What the answer to the deciding request means.
    pub(super) fn outcome(
        &self,
        answer: Result<Answer, Lost>,
        found: Digests,
    ) -> Result<SendOutcome, SendFault> {
        match answer {
            Ok(Answer::Yes(checked)) => Ok(SendOutcome::Sent(found, checked)),
            Ok(Answer::Exists) => Ok(SendOutcome::Unclear(found, "412".to_owned())),
            Ok(Answer::NoUpload) => Ok(SendOutcome::Unclear(found, "404".to_owned())),
            Ok(Answer::Damaged) => Err(SendFault::Store(Fault::new(
                ParkReason::OutcomeUnknown,
                "the store says that other bytes arrived",
            ))),
            Ok(Answer::Denied(why)) => Err(SendFault::Store(Fault::new(why, "403"))),
            Err(lost) => {
                let mut world = self.0.sim.world();
                // A store that says it did nothing is believed only if it did nothing.
                if lost == Lost::Before && world.dice.coin() {
                    Err(SendFault::Store(unreachable(&mut world, lost)))
                } else {
                    Ok(SendOutcome::Unclear(found, "no answer".to_owned()))
                }
            }
        }
    }
}
