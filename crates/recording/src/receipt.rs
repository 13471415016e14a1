//! Receipts: the evidence remembered about a copy. Plain data; a receipt proves nothing anew.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Destination, ObjectKey, Sha256};

/// Where a copy is, as a URL that carries no credential: `s3://bucket/key`,
/// `az://account/container/key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Location(String);

impl Location {
    /// The place of `key` in `destination`.
    #[must_use]
    pub fn new(destination: &Destination, key: &ObjectKey) -> Self {
        Self(format!("{}/{key}", destination.store.location()))
    }

    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How the first look proved the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Size and full-object CRC64NVME, both reported by the destination in a new request.
    ReportedChecksum,
    /// The store checked the CRC64NVME that came with the whole content, and a new request found
    /// the object that this write made.
    SentChecksum,
    /// The store checked the CRC64NVME of each block, and a new request found these very blocks
    /// committed in their order.
    BlockList,
    /// The whole copy was read back, hashed and compared.
    ReadBack,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 4] = [
        Self::ReportedChecksum,
        Self::SentChecksum,
        Self::BlockList,
        Self::ReadBack,
    ];

    /// The word used in receipts and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReportedChecksum => "reported_checksum",
            Self::SentChecksum => "sent_checksum",
            Self::BlockList => "block_list",
            Self::ReadBack => "read_back",
        }
    }
}

/// The evidence remembered about a copy, in the ledger and in the acknowledgment alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Size of the copy.
    pub size_bytes: u64,
    /// SHA-256 of the bytes that were read from the original.
    pub sha256: Sha256,
    /// The destination's entity tag, opaque.
    pub etag: String,
    /// The copy's version, in a bucket that keeps versions.
    pub version_id: Option<String>,
    /// `crc64nvme:` and 16 hexadecimal digits, computed while reading the original.
    pub checksum: String,
    /// The server's own digest of the copy, where it keeps one (Azure's Content-MD5), opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_md5: Option<String>,
    /// How it was proved.
    pub method: Method,
    /// When it was proved, to the microsecond (what the ledger keeps).
    pub stored_at: DateTime<Utc>,
}
