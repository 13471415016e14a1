//! Uploads in parts, of both clouds: gone on with where an earlier claim left off, begun anew
//! where that is not possible.

use bytes::Bytes;
use recording::{Block, Fault, Outbound, ParkReason, Part, SendFault, SendOutcome, Upload};

use super::look::{denied, unreachable};
use super::write::WritePort;
use super::{Answer, OpenParts, Write, digests, put};
use crate::sim::call::Call;
use crate::sim::truth::Place;

/// How a part ended, when its store answered.
enum Landed {
    Part(Part),
    /// Somebody aborted the upload: a successor that has the recording now, or nobody.
    NoUpload,
}

impl WritePort {
    pub(super) async fn abort(&self, place: &Place, upload: &str) {
        let (bucket, id) = (place.0.clone(), upload.to_owned());
        // Unknown there is fine, and so is no answer: the sweep finds it.
        let (Ok(_) | Err(_)) = self
            .0
            .step(Call::AbortUpload, &place.1, move |world| {
                let store = world.buckets.get_mut(&bucket);
                store.and_then(|store| store.uploads.remove(&id)).is_some()
            })
            .await;
    }

    fn has_blocks(&self, place: &Place) -> bool {
        let world = self.0.sim.world();
        world
            .buckets
            .get(&place.0)
            .is_some_and(|store| store.has_blocks)
    }

    pub(super) async fn in_parts(
        &self,
        place: Place,
        outbound: &Outbound<'_>,
        part: usize,
    ) -> Result<SendOutcome, SendFault> {
        let part_bytes = u64::try_from(part).unwrap_or(u64::MAX);
        let identity = outbound.original.identity();
        let fits =
            |earlier: &&Upload| earlier.identity == identity && earlier.part_bytes == part_bytes;
        let mut upload = match outbound.earlier.filter(fits) {
            Some(earlier) => earlier.clone(),
            None => {
                if let Some(earlier) = outbound.earlier {
                    self.abort(&place, &earlier.id).await;
                }
                self.begin(&place, outbound, part_bytes).await?
            }
        };
        let mut begun_anew = false;
        let content = loop {
            match self.send_missing(&place, outbound, &mut upload).await? {
                Some(content) => break content,
                None if begun_anew => {
                    let detail = "no such upload";
                    return Err(Fault::new(ParkReason::OutcomeUnknown, detail).into());
                }
                None => {
                    begun_anew = true;
                    upload = self.begin(&place, outbound, part_bytes).await?;
                }
            }
        };
        self.complete(place, outbound, upload, content).await
    }

    /// Sends what the store does not have. `None`: it has no such upload.
    async fn send_missing(
        &self,
        place: &Place,
        outbound: &Outbound<'_>,
        upload: &mut Upload,
    ) -> Result<Option<Bytes>, SendFault> {
        let size = usize::try_from(outbound.size_bytes).unwrap_or(usize::MAX);
        let step = usize::try_from(upload.part_bytes).unwrap_or(usize::MAX);
        let mut content = Vec::new();
        for (index, offset) in (0..size).step_by(step).enumerate() {
            let number = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1);
            let len = step.min(size.saturating_sub(offset));
            let at = u64::try_from(offset).unwrap_or(u64::MAX);
            let bytes = outbound.original.read(at, len).await?;
            content.extend_from_slice(&bytes);
            let crc64nvme = digests(&bytes).crc64nvme;
            let len = u64::try_from(len).unwrap_or_default();
            let known = upload.parts.iter().find(|part| part.number == number);
            if known.is_some_and(|part| part.crc64nvme == crc64nvme) {
                outbound.progress.resumed(len);
                continue;
            }
            let landed = self.part(place, &upload.id, number, bytes).await?;
            outbound.progress.moved(len);
            match landed {
                Landed::Part(part) => {
                    upload.parts.retain(|known| known.number != number);
                    upload.parts.push(part.clone());
                    upload.parts.sort_by_key(|part| part.number);
                    outbound.uploads.landed(part).await?;
                }
                Landed::NoUpload => return Ok(None),
            }
        }
        Ok(Some(Bytes::from(content)))
    }

    async fn complete(
        &self,
        place: Place,
        outbound: &Outbound<'_>,
        upload: Upload,
        content: Bytes,
    ) -> Result<SendOutcome, SendFault> {
        let found = digests(&content);
        if Self::is_wrong(outbound, &found) {
            self.abort(&place, &upload.id).await;
            return Err(SendFault::DigestMismatch);
        }
        outbound.original.still_same().await?;
        let signed_at = self.sign(outbound)?;
        let blocks = self.has_blocks(&place);
        let write = Self::write(place, &content, outbound, signed_at);
        let about = write.place.1.clone();
        let answer = self
            .0
            .step(Call::Complete, &about, move |world| {
                let Some(store) = world.buckets.get_mut(&write.place.0) else {
                    return Answer::NoUpload;
                };
                let assembled = if blocks {
                    assemble_blocks(store, &write.place.1, &upload.parts)
                } else {
                    assemble_parts(store, &upload)
                };
                let Some((content, blocks)) = assembled else {
                    return Answer::NoUpload;
                };
                let answer = put(
                    world,
                    Write {
                        content,
                        blocks,
                        ..write
                    },
                );
                let store = world.buckets.values_mut();
                if matches!(answer, Answer::Yes(_)) {
                    store.for_each(|store| drop(store.uploads.remove(&upload.id)));
                }
                answer
            })
            .await;
        self.outcome(answer, found)
    }

    async fn begin(
        &self,
        place: &Place,
        outbound: &Outbound<'_>,
        part_bytes: u64,
    ) -> Result<Upload, SendFault> {
        let id = if self.has_blocks(place) {
            format!("b{}", self.0.sim.world().seq)
        } else {
            self.create(place).await?
        };
        let upload = Upload {
            id,
            part_bytes,
            identity: outbound.original.identity(),
            parts: Vec::new(),
        };
        match outbound.uploads.begun(&upload).await {
            Ok(()) => Ok(upload),
            Err(fault) => {
                self.abort(place, &upload.id).await;
                Err(fault)
            }
        }
    }

    async fn create(&self, place: &Place) -> Result<String, SendFault> {
        let (bucket, key) = place.clone();
        let begun = self
            .0
            .step(Call::BeginUpload, &place.1, move |world| {
                let (id, now) = (format!("u{}", world.seq), world.now());
                let store = world.buckets.get_mut(&bucket)?;
                if store.denied_until > now {
                    return None;
                }
                let open = OpenParts {
                    key,
                    begun_at: now,
                    ..OpenParts::default()
                };
                store.uploads.insert(id.clone(), open);
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
        number: u32,
        bytes: Bytes,
    ) -> Result<Landed, SendFault> {
        let (bucket, key) = place.clone();
        let id = id.to_owned();
        let crc64nvme = digests(&bytes).crc64nvme;
        let sent = self
            .0
            .step(Call::PutPart, &place.1, move |world| {
                let seq = world.seq;
                let store = world.buckets.get_mut(&bucket)?;
                if store.has_blocks {
                    let block = format!("{id}-{number}");
                    let blocks = store.blocks.entry(key).or_default();
                    blocks.insert(block.clone(), bytes.to_vec());
                    return Some(block);
                }
                let upload = store.uploads.get_mut(&id)?;
                let etag = format!("p{seq}");
                upload.parts.insert(number, (etag.clone(), bytes.to_vec()));
                Some(etag)
            })
            .await;
        match sent {
            Ok(Some(etag)) => Ok(Landed::Part(Part {
                number,
                etag,
                crc64nvme,
            })),
            Ok(None) => Ok(Landed::NoUpload),
            Err(lost) => Err(SendFault::Store(unreachable(&mut self.0.sim.world(), lost))),
        }
    }
}

type Assembled = (Vec<u8>, Option<Vec<Block>>);

/// Every part that is named, as it is under that entity tag.
fn assemble_parts(store: &super::Bucket, upload: &Upload) -> Option<Assembled> {
    let open = store.uploads.get(&upload.id)?;
    let mut content = Vec::new();
    for part in &upload.parts {
        let (etag, bytes) = open.parts.get(&part.number)?;
        if *etag != part.etag {
            return None;
        }
        content.extend_from_slice(bytes);
    }
    Some((content, None))
}

/// Every block that is named, as it is under the key's name.
fn assemble_blocks(store: &super::Bucket, key: &str, parts: &[Part]) -> Option<Assembled> {
    let uncommitted = store.blocks.get(key)?;
    let (mut content, mut blocks) = (Vec::new(), Vec::new());
    for part in parts {
        let bytes = uncommitted.get(&part.etag)?;
        content.extend_from_slice(bytes);
        blocks.push(Block {
            id: part.etag.clone(),
            size_bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        });
    }
    Some((content, Some(blocks)))
}
