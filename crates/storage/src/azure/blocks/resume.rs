//! Going on with an upload that an earlier claim left, or not.

use std::collections::{BTreeMap, HashMap};

use recording::{Crc64Nvme, Fault, Operation, Outbound, ParkReason, Part, Upload};

use super::Which;
use super::id::{block_id, is_upload_id, upload_id};
use crate::azure::classify::BLOB_NOT_FOUND;
use crate::azure::container::Container;
use crate::azure::sas::Grant;
use crate::exchange::{Meaning, Refusal, Trouble};
use crate::parts::{Piece, Plan};

/// An upload that blocks are sent for.
#[derive(Debug)]
pub(super) struct Open {
    upload: Upload,
    /// The checksums of the blocks that the service took, as the ledger remembers them.
    known: BTreeMap<u32, Crc64Nvme>,
    /// What the service still has of them: ids and sizes.
    listed: HashMap<String, u64>,
}

impl Open {
    /// A new one.
    pub(super) fn new(outbound: &Outbound<'_>, plan: Plan) -> Self {
        let upload = Upload {
            id: upload_id(),
            part_bytes: plan.part_bytes(),
            identity: outbound.original.identity(),
            parts: Vec::new(),
        };
        Self {
            upload,
            known: BTreeMap::new(),
            listed: HashMap::new(),
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.upload.id
    }

    /// As it is remembered when it begins.
    pub(super) fn upload(&self) -> &Upload {
        &self.upload
    }

    /// The id of the block with these very bytes, if the service took it, is remembered to have
    /// checked it, and still has it.
    pub(super) fn has(&self, piece: Piece, crc64nvme: Crc64Nvme) -> Option<String> {
        let known = self.known.get(&piece.number)?;
        let id = block_id(&self.upload.id, piece.number, crc64nvme);
        let is_there = self.listed.get(&id) == Some(&piece.len);
        (*known == crc64nvme && is_there).then_some(id)
    }
}

impl Container {
    /// The upload to go on with, if there is one. What is not gone on with is left to the service,
    /// which drops it after a week.
    pub(super) async fn earlier(
        &self,
        outbound: &Outbound<'_>,
        plan: Plan,
    ) -> Result<Option<Open>, Fault> {
        let Some(upload) = outbound.earlier else {
            return Ok(None);
        };
        let fits = is_upload_id(&upload.id)
            && upload.identity == outbound.original.identity()
            && upload.part_bytes == plan.part_bytes();
        if !fits || upload.parts.is_empty() {
            return Ok(None);
        }
        let blob = self.blob(outbound.key.as_str(), Grant::Read);
        let listed = match blob.list_blocks(Which::Uncommitted).await {
            Ok(listed) => listed.blocks,
            Err(Trouble::Refused(refusal)) if cannot_tell(&refusal) => return Ok(None),
            Err(trouble) => return Err(trouble.fault(Operation::List)),
        };
        let known = |part: &Part| (part.number, part.crc64nvme);
        let open = Open {
            upload: upload.clone(),
            known: upload.parts.iter().map(known).collect(),
            listed: listed
                .into_iter()
                .map(|block| (block.id, block.size_bytes))
                .collect(),
        };
        let any = open.known.iter().any(|(number, crc64nvme)| {
            let id = block_id(&open.upload.id, *number, *crc64nvme);
            open.listed.contains_key(&id)
        });
        Ok(any.then_some(open))
    }
}

/// Nothing is there, or a signature that may only write does not say. Either way all is sent anew.
fn cannot_tell(refusal: &Refusal) -> bool {
    refusal.code.as_deref() == Some(BLOB_NOT_FOUND)
        || refusal.meaning() == Meaning::Refused(ParkReason::AccessDenied)
}

#[cfg(test)]
mod tests {
    use recording::Identity;

    use super::*;

    #[test]
    fn a_block_is_there_only_with_the_very_same_bytes_and_only_while_it_is_listed() {
        let id = upload_id();
        let crc = Crc64Nvme::new;
        let open = Open {
            upload: Upload {
                id: id.clone(),
                part_bytes: 5,
                identity: Identity {
                    size_bytes: 12,
                    mtime_ns: 1,
                    inode: 2,
                    entity: None,
                },
                parts: Vec::new(),
            },
            known: BTreeMap::from([(1, crc(6)), (2, crc(7))]),
            listed: HashMap::from([(block_id(&id, 1, crc(6)), 5), (block_id(&id, 3, crc(8)), 2)]),
        };
        let piece = |number, len| Piece {
            number,
            offset: 0,
            len,
        };
        assert_eq!(
            open.has(piece(1, 5), crc(6)),
            Some(block_id(&id, 1, crc(6)))
        );
        assert_eq!(open.has(piece(1, 4), crc(6)), None, "another size");
        assert_eq!(open.has(piece(1, 5), crc(9)), None, "other bytes");
        assert_eq!(open.has(piece(2, 5), crc(7)), None, "dropped meanwhile");
        assert_eq!(open.has(piece(3, 2), crc(8)), None, "not remembered");
    }
}
