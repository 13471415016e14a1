//! What is remembered about objects and uploads, and the lines of the journal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::s3::checksum::Algorithm;

/// Headers kept with an object and echoed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Attributes {
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_language: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) storage_class: Option<String>,
    /// `AES256` when nothing was asked, as S3 does since 2023.
    pub(crate) encryption: String,
    pub(crate) kms_key_id: Option<String>,
    pub(crate) bucket_key: Option<bool>,
    pub(crate) tagging: Option<String>,
    pub(crate) acl: Option<String>,
}

/// A run of bytes in one file.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub(crate) blob: u64,
    pub(crate) size: u64,
}

/// What is reported about an object's bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Checksum {
    /// Of the whole object; the CRC64NVME is in the record.
    Crc64Nvme,
    /// Of the whole object, by the algorithm the sender chose; base64.
    Whole(Algorithm, String),
    /// SHA-256 of the parts' SHA-256s.
    Composite(String),
}

/// One version of an object, or a delete marker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ObjectRecord {
    pub(crate) key: String,
    pub(crate) version: String,
    /// A delete marker has no bytes.
    pub(crate) marker: bool,
    pub(crate) segments: Vec<Segment>,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) modified_ms: u64,
    /// Of the bytes kept, whatever is reported.
    pub(crate) crc64: u64,
    pub(crate) checksum: Checksum,
    pub(crate) attributes: Attributes,
}

/// One part of an open upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    pub(crate) number: i32,
    pub(crate) segment: Segment,
    /// What the client sent; under a fault more than is kept.
    pub(crate) sent_bytes: u64,
    pub(crate) etag: String,
    pub(crate) crc64: u64,
    /// Base64, when the upload asked for SHA-256.
    pub(crate) sha256: Option<String>,
    pub(crate) modified_ms: u64,
}

/// An open upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UploadRecord {
    pub(crate) id: String,
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) attributes: Attributes,
    /// `Crc64Nvme` (whole object) or `Sha256` (composite); none: the parts may bring any, and the
    /// object gets a CRC64NVME.
    pub(crate) asked: Option<Algorithm>,
    pub(crate) initiated_ms: u64,
    pub(crate) parts: BTreeMap<i32, PartRecord>,
}

impl UploadRecord {
    /// Everything but the parts.
    pub(crate) fn head(&self) -> Self {
        Self {
            id: self.id.clone(),
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            attributes: self.attributes.clone(),
            asked: self.asked,
            initiated_ms: self.initiated_ms,
            parts: BTreeMap::new(),
        }
    }

    /// The algorithm of the object to be.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.asked.unwrap_or(Algorithm::Crc64Nvme)
    }
}

/// One line of the journal.
#[derive(Serialize, Deserialize)]
pub(crate) enum Entry {
    BucketMade {
        name: String,
        owner: String,
        versioned: bool,
        /// Whether what is stored there is locked by default.
        #[serde(default)]
        locking: bool,
        made_ms: u64,
    },
    BucketGone {
        name: String,
    },
    /// From now on it keeps versions; what lies in it already has the id `null`.
    VersionsKept {
        name: String,
    },
    Put {
        bucket: String,
        object: ObjectRecord,
    },
    Removed {
        bucket: String,
        key: String,
        version: String,
    },
    UploadMade {
        upload: UploadRecord,
    },
    PartMade {
        upload: String,
        part: PartRecord,
    },
    PartGone {
        upload: String,
        number: i32,
    },
    UploadGone {
        upload: String,
    },
    Completed {
        upload: String,
        bucket: String,
        object: ObjectRecord,
    },
}
