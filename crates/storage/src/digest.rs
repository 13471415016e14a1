//! Digests of an original's bytes, computed once, on the way from the disk to the bucket.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crc_fast::CrcAlgorithm;
use recording::{Crc64Nvme, Digests, Sha256};
use sha2::Digest;

/// A running digest of a whole original (or of a copy that is read back).
pub(crate) struct Hashing {
    sha256: sha2::Sha256,
    crc64nvme: crc_fast::Digest,
    bytes: u64,
}

impl Hashing {
    /// Nothing read yet.
    pub(crate) fn new() -> Self {
        Self {
            sha256: sha2::Sha256::new(),
            crc64nvme: crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme),
            bytes: 0,
        }
    }

    /// Takes the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.crc64nvme.update(bytes);
        self.count(bytes);
    }

    /// Takes the next part and returns its own checksum: the part's is computed, the whole's
    /// derived from it, so that no byte is looked at twice.
    pub(crate) fn part(&mut self, bytes: &[u8]) -> Crc64Nvme {
        self.sha256.update(bytes);
        let mut own = crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme);
        own.update(bytes);
        self.crc64nvme.combine(&own);
        self.count(bytes);
        Crc64Nvme::new(own.finalize())
    }

    /// The digests of everything taken.
    pub(crate) fn finish(self) -> Digests {
        Digests {
            size_bytes: self.bytes,
            sha256: Sha256::new(self.sha256.finalize().into()),
            crc64nvme: Crc64Nvme::new(self.crc64nvme.finalize()),
        }
    }

    fn count(&mut self, bytes: &[u8]) {
        let more = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(more);
    }
}

/// As S3 writes it in headers and XML.
pub(crate) fn to_base64(checksum: Crc64Nvme) -> String {
    BASE64_STANDARD.encode(checksum.value().to_be_bytes())
}

/// Reads what S3 writes. `None` for anything but eight bytes in base64, such as the checksum of
/// part checksums, which says nothing about the whole.
pub(crate) fn from_base64(text: &str) -> Option<Crc64Nvme> {
    let bytes = BASE64_STANDARD.decode(text).ok()?;
    let bytes: [u8; 8] = bytes.try_into().ok()?;
    Some(Crc64Nvme::new(u64::from_be_bytes(bytes)))
}

/// As Azure writes it in headers: the same value, least significant byte first.
pub(crate) fn to_base64_le(checksum: Crc64Nvme) -> String {
    BASE64_STANDARD.encode(checksum.value().to_le_bytes())
}

/// Reads what Azure writes.
pub(crate) fn from_base64_le(text: &str) -> Option<Crc64Nvme> {
    let bytes = BASE64_STANDARD.decode(text).ok()?;
    let bytes: [u8; 8] = bytes.try_into().ok()?;
    Some(Crc64Nvme::new(u64::from_le_bytes(bytes)))
}

/// The checksum of a few bytes.
pub(crate) fn crc64nvme(bytes: &[u8]) -> Crc64Nvme {
    let mut digest = crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme);
    digest.update(bytes);
    Crc64Nvme::new(digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Digests {
        let mut hashing = Hashing::new();
        hashing.update(bytes);
        hashing.finish()
    }

    #[test]
    fn parts_and_pieces_add_up_to_the_whole() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let expected = whole(&bytes);
        let mut parts = Hashing::new();
        for part in bytes.chunks(7_001) {
            assert_eq!(parts.part(part), whole(part).crc64nvme);
        }
        assert_eq!(parts.finish(), expected);
        let mut pieces = Hashing::new();
        for piece in bytes.chunks(311) {
            pieces.update(piece);
        }
        assert_eq!(pieces.finish(), expected);
    }

    #[test]
    fn the_published_check_values_hold() {
        let digests = whole(b"123456789");
        assert_eq!(digests.crc64nvme.value(), 0xae8b_1486_0a79_9888);
        assert_eq!(to_base64(digests.crc64nvme), "rosUhgp5mIg=");
        assert_eq!(from_base64("rosUhgp5mIg="), Some(digests.crc64nvme));
        assert_eq!(from_base64("rosUhgp5mIg=-3"), None);
        assert_eq!(to_base64_le(digests.crc64nvme), "iJh5CoYUi64=");
        assert_eq!(from_base64_le("iJh5CoYUi64="), Some(digests.crc64nvme));
        assert_eq!(crc64nvme(b"123456789"), digests.crc64nvme);
        assert_eq!(whole(b"").crc64nvme.value(), 0);
        assert_eq!(whole(b"").size_bytes, 0);
    }
}
