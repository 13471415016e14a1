//! Digests of a recording's bytes. SHA-256 names the content; CRC64NVME is what a bucket reports
//! of a whole object, also of one that was sent in parts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a digest: expected {expected} hexadecimal digits")]
pub struct MalformedDigest {
    /// How many digits there must be.
    pub expected: usize,
}

/// SHA-256 of the content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// Wraps the 32 bytes that a hasher produced.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sha256 {
    type Err = MalformedDigest;
    /// Either case of hexadecimal digits is read; lower case is written.
    fn from_str(text: &str) -> Result<Self, MalformedDigest> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| MalformedDigest { expected: 64 })?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Sha256 {
    type Error = MalformedDigest;
    fn try_from(text: String) -> Result<Self, MalformedDigest> {
        text.parse()
    }
}

impl From<Sha256> for String {
    fn from(digest: Sha256) -> Self {
        digest.to_string()
    }
}

/// CRC-64/NVME of the whole content. Written as 16 hexadecimal digits, most significant first;
/// S3 carries the same eight bytes in base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Crc64Nvme(u64);

impl Crc64Nvme {
    /// Wraps the value that a checksum routine produced.
    #[must_use]
    pub fn new(value: u64) -> Self {
        Self(value)
    }

    /// The value.
    #[must_use]
    pub fn value(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Crc64Nvme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Crc64Nvme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Crc64Nvme {
    type Err = MalformedDigest;
    fn from_str(text: &str) -> Result<Self, MalformedDigest> {
        let mut bytes = [0; 8];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| MalformedDigest { expected: 16 })?;
        Ok(Self(u64::from_be_bytes(bytes)))
    }
}

impl TryFrom<String> for Crc64Nvme {
    type Error = MalformedDigest;
    fn try_from(text: String) -> Result<Self, MalformedDigest> {
        text.parse()
    }
}

impl From<Crc64Nvme> for String {
    fn from(digest: Crc64Nvme) -> Self {
        digest.to_string()
    }
}

/// What one complete pass over the original's bytes found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// Bytes read.
    pub size_bytes: u64,
    /// SHA-256 of all of them.
    pub sha256: Sha256,
    /// CRC-64/NVME of all of them.
    pub crc64nvme: Crc64Nvme,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_read_back_what_they_write_and_refuse_other_lengths() {
        let sha = Sha256::new([0xab; 32]);
        assert_eq!(sha.to_string().parse::<Sha256>(), Ok(sha));
        assert_eq!(sha.to_string().to_uppercase().parse::<Sha256>(), Ok(sha));
        assert!("ab".parse::<Sha256>().is_err());
        let crc = Crc64Nvme::new(0x0102_0304_0506_0708);
        assert_eq!(crc.to_string(), "0102030405060708");
        assert_eq!(crc.to_string().parse::<Crc64Nvme>(), Ok(crc));
        assert!("zz02030405060708".parse::<Crc64Nvme>().is_err());
    }
}
