//! Ids of blocks.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use recording::Crc64Nvme;
use uuid::Uuid;

/// A new upload's id: what every id of its blocks begins with.
pub(in crate::azure) fn upload_id() -> String {
    Uuid::new_v4().simple().to_string()
}

/// Whether an id is one of ours. It came from the ledger and goes into a request.
pub(super) fn is_upload_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The id of a block: the upload, the number, and the checksum of its bytes, so that one id means
/// the same bytes whoever sends them, also late. All of a blob's have the same length, as Azure
/// demands, and no more than 64 bytes before base64.
pub(in crate::azure) fn block_id(upload_id: &str, number: u32, crc64nvme: Crc64Nvme) -> String {
    BASE64_STANDARD.encode(format!("{upload_id}{number:08x}{crc64nvme}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_one_length_and_differ_with_upload_number_and_bytes() {
        let (one, other) = (upload_id(), upload_id());
        assert!(is_upload_id(&one) && one != other);
        assert!(!is_upload_id("../x") && !is_upload_id(""));
        let crc = Crc64Nvme::new;
        let ids = [
            block_id(&one, 1, crc(1)),
            block_id(&one, 50_000, crc(1)),
            block_id(&one, 1, crc(u64::MAX)),
            block_id(&other, 1, crc(1)),
        ];
        assert!(ids.iter().all(|id| id.len() == ids[0].len()));
        let mut unique = ids.to_vec();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), ids.len());
        assert!(BASE64_STANDARD.decode(&ids[0]).unwrap().len() <= 64);
    }
}
