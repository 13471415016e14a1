//! Sending originals, as the storage crate does it: one pass, one PUT up to the part size, in
//! parts above it; the fence is asked right before a PUT or complete is signed.

use async_trait::async_trait;
use bytes::Bytes;
use recording::{Destination, Digests, Outbound, SendFault, SendOutcome, Writers};

use super::look::{denied, unreachable};
use super::{Answer, Upload, Write, digests, put};
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
        let place = (destination.s3.bucket.clone(), outbound.key.to_string());
        if let Some(upload) = outbound.abandoned_upload {
            self.abort(&place, upload).await;
        }
        let size = usize::try_from(outbound.size_bytes).unwrap_or(usize::MAX);
        let part = self.0.sim.world().mix.part_size;
        if size <= part {
            self.whole(place, &outbound, size).await
        } else {
            self.in_parts(place, &outbound, size, part).await
        }
    }
}

impl WritePort {
    fn is_wrong(outbound: &Outbound<'_>, digests: &Digests) -> bool {
        outbound.sha256.is_some_and(|said| said != digests.sha256)
    }

    /// The last thing before a request is signed: ground truth must agree with the fence.
    fn sign(&self, outbound: &Outbound<'_>) -> Result<(), SendFault> {
        outbound.fence.check()?;
        let process = self.0.process;
        let mut world = self.0.sim.world();
        oracle::signs(&mut world, process, outbound.account, outbound.key);
        Ok(())
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
        self.sign(outbound)?;
        let write = self.write(place, &content, outbound);
        let about = write.place.1.clone();
        let answer = self
            .0
            .step(Call::Put, &about, move |world| put(world, write))
            .await;
        outbound.progress.moved(found.size_bytes);
        self.outcome(answer, found)
    }

    fn write(&self, place: Place, content: &Bytes, outbound: &Outbound<'_>) -> Write {
        let inode = outbound.original.identity().inode;
        Write {
            place,
            content: content.to_vec(),
            metadata: outbound.metadata.clone(),
            source: u64::try_from(inode).unwrap_or_default(),
        }
    }

    /// What the answer to the deciding request means.
    fn outcome(
        &self,
        answer: Result<Answer, Lost>,
        found: Digests,
    ) -> Result<SendOutcome, SendFault> {
        match answer {
            Ok(Answer::Yes) => Ok(SendOutcome::Sent(found)),
            Ok(Answer::Exists) => Ok(SendOutcome::Unclear(found, "412".to_owned())),
            Ok(Answer::NoUpload) => Ok(SendOutcome::Unclear(found, "404".to_owned())),
            Ok(Answer::Denied) => Err(SendFault::Store(denied())),
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

    async fn abort(&self, place: &Place, upload: &str) {
        let (bucket, id) = (place.0.clone(), upload.to_owned());
        // Unknown there is fine, and so is no answer: the next claim aborts it again.
        let (Ok(_) | Err(_)) = self
            .0
            .step(Call::AbortUpload, &place.1, move |world| {
                let store = world.buckets.get_mut(&bucket);
                store.and_then(|store| store.uploads.remove(&id)).is_some()
            })
            .await;
    }

    async fn in_parts(
        &self,
        place: Place,
        outbound: &Outbound<'_>,
        size: usize,
        part: usize,
    ) -> Result<SendOutcome, SendFault> {
        let id = self.begin(&place).await?;
        if let Err(fault) = outbound.uploads.begun(&id).await {
            self.abort(&place, &id).await;
            return Err(fault);
        }
        let mut content = Vec::new();
        for (number, offset) in (0..size).step_by(part).enumerate() {
            let len = part.min(size.saturating_sub(offset));
            let at = u64::try_from(offset).unwrap_or(u64::MAX);
            let bytes = outbound.original.read(at, len).await?;
            content.extend_from_slice(&bytes);
            self.part(&place, &id, number, bytes).await?;
            outbound
                .progress
                .moved(u64::try_from(len).unwrap_or_default());
        }
        let content = Bytes::from(content);
        let found = digests(&content);
        if Self::is_wrong(outbound, &found) {
            self.abort(&place, &id).await;
            return Err(SendFault::DigestMismatch);
        }
        outbound.original.still_same().await?;
        self.sign(outbound)?;
        let write = self.write(place, &content, outbound);
        let about = write.place.1.clone();
        let answer = self
            .0
            .step(Call::Complete, &about, move |world| {
                let store = world.buckets.get_mut(&write.place.0);
                let upload = store.and_then(|store| store.uploads.remove(&id));
                let Some(upload) = upload else {
                    return Answer::NoUpload;
                };
                let content = upload.parts.into_values().flatten().collect();
                put(world, Write { content, ..write })
            })
            .await;
        self.outcome(answer, found)
    }

    async fn begin(&self, place: &Place) -> Result<String, SendFault> {
        let bucket = place.0.clone();
        let begun = self
            .0
            .step(Call::BeginUpload, &place.1, move |world| {
                let (id, now) = (format!("u{}", world.seq), world.now());
                let store = world.buckets.get_mut(&bucket)?;
                if store.denied_until > now {
                    return None;
                }
                store.uploads.insert(id.clone(), Upload::default());
                Some(id)
            })
            .await;
        match begun {
            Ok(Some(id)) => Ok(id),
            Ok(None) => Err(SendFault::Store(denied())),
            Err(lost) => Err(SendFault::Store(unreachable(&mut self.0.sim.world(), lost))),
        }
    }

    async fn part(
        &self,
        place: &Place,
        id: &str,
        number: usize,
        bytes: Bytes,
    ) -> Result<(), SendFault> {
        let (bucket, id) = (place.0.clone(), id.to_owned());
        let sent = self
            .0
            .step(Call::PutPart, &place.1, move |world| {
                let store = world.buckets.get_mut(&bucket)?;
                let upload = store.uploads.get_mut(&id)?;
                upload.parts.insert(number, bytes.to_vec());
                Some(())
            })
            .await;
        match sent {
            Ok(Some(())) => Ok(()),
            // Somebody aborted the upload: a successor that has the recording now, or nobody.
            Ok(None) => Err(SendFault::Store(recording::Fault::new(
                recording::ParkReason::OutcomeUnknown,
                "no such upload",
            ))),
            Err(lost) => Err(SendFault::Store(unreachable(&mut self.0.sim.world(), lost))),
        }
    }
}
