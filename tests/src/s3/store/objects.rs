//! Storing, finding and deleting objects.

use std::sync::Arc;

use s3s::{S3Result, s3_error};
use uuid::Uuid;

use super::blob::{BlobReader, BlobWriter};
use super::records::{Attributes, Checksum, Entry, ObjectRecord};
use super::state::Bucket;
use super::{NULL_VERSION, Store, internal};
use crate::s3::checksum::{Algorithm, Claims};
use crate::s3::clock::{locked, now_ms};
use crate::s3::faults::Damage;

/// What must hold of the present object for a write to happen.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    /// Anything.
    None,
    /// There is no object.
    Absent,
    /// There is one with this `ETag`; none: with any.
    Matches(Option<String>),
}

/// An object to be stored.
pub(crate) struct Put {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) attributes: Attributes,
    pub(crate) claims: Claims,
    pub(crate) condition: Condition,
    pub(crate) damage: Option<Damage>,
    pub(crate) writer: BlobWriter,
}

impl Condition {
    /// Refuses when it does not hold.
    pub(crate) fn check(&self, bucket: &Bucket, key: &str) -> S3Result<()> {
        let current = bucket.current(key);
        match (self, current) {
            (Self::None, _) | (Self::Absent, None) | (Self::Matches(None), Some(_)) => Ok(()),
            (Self::Matches(Some(etag)), Some(current)) if *etag == current.etag => Ok(()),
            (Self::Matches(_), None) => {
                Err(s3_error!(NoSuchKey, "The specified key does not exist."))
            }
            (Self::Absent | Self::Matches(Some(_)), Some(_)) => Err(s3_error!(
                PreconditionFailed,
                "At least one of the pre-conditions you specified did not hold"
            )),
        }
    }
}

impl Store {
    /// Stores an object whose bytes have all arrived. Blocks. Answers what was sent, which under a
    /// fault is not what is kept.
    pub(crate) fn put(&self, mut put: Put) -> S3Result<ObjectRecord> {
        let (segment, digests) = put.writer.finish().map_err(internal)?;
        put.claims.verify(&digests)?;
        let checksum = match put.claims.algorithm() {
            Some(Algorithm::Crc64Nvme) | None => Checksum::Crc64Nvme,
            Some(other) => match digests.value(other) {
                Some(value) => Checksum::Whole(other, value),
                None => Checksum::Crc64Nvme,
            },
        };
        let answer = ObjectRecord {
            key: put.key,
            version: NULL_VERSION.to_owned(),
            marker: false,
            segments: vec![segment],
            size: digests.size,
            etag: digests.md5.map_or_else(opaque_etag, hex::encode),
            modified_ms: now_ms(),
            crc64: digests.crc64,
            checksum,
            attributes: put.attributes,
        };
        let mut kept = answer.clone();
        if let Some(damage) = put.damage {
            self.spoil_object(&mut kept, damage).map_err(internal)?;
        }
        let mut inner = locked(&self.inner);
        let bucket = inner.state.bucket(&put.bucket)?;
        put.condition.check(bucket, &kept.key)?;
        kept.version = next_version(bucket);
        let version = kept.version.clone();
        let entry = Entry::Put {
            bucket: put.bucket,
            object: kept,
        };
        self.commit(&mut inner, entry).map_err(internal)?;
        put.writer.keep();
        Ok(ObjectRecord { version, ..answer })
    }

    /// The record of an object or version, delete markers included; none when there is none.
    pub(crate) fn find(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> S3Result<Option<Arc<ObjectRecord>>> {
        self.with_bucket(bucket, |bucket| match version {
            Some(version) => bucket.version(key, version).map(Arc::clone),
            None => bucket.current(key).map(Arc::clone),
        })
    }

    /// The record and the bytes as they are at one moment. Blocks.
    pub(crate) fn open_object(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> S3Result<Option<(Arc<ObjectRecord>, BlobReader)>> {
        let inner = locked(&self.inner);
        let bucket = inner.state.bucket(bucket)?;
        let found = match version {
            Some(version) => bucket.version(key, version),
            None => bucket.current(key),
        };
        let Some(object) = found else {
            return Ok(None);
        };
        let reader = self.reader(&object.segments).map_err(internal)?;
        Ok(Some((Arc::clone(object), reader)))
    }

    /// Deletes: a version for good; without a version the object, or in a versioned bucket behind a
    /// delete marker. Returns the record removed or the marker made. Blocks.
    pub(crate) fn delete(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        condition: &Condition,
    ) -> S3Result<Option<Arc<ObjectRecord>>> {
        let mut inner = locked(&self.inner);
        let found = inner.state.bucket(bucket)?;
        condition.check(found, key)?;
        let marks = version.is_none() && found.versioned;
        let version = version.unwrap_or(NULL_VERSION);
        let removed = found.version(key, version).map(Arc::clone);
        if !marks && removed.is_none() {
            return Ok(None);
        }
        let (entry, result) = if marks {
            let marker = marker(key, next_version(found));
            let entry = Entry::Put {
                bucket: bucket.to_owned(),
                object: marker.clone(),
            };
            (entry, Some(Arc::new(marker)))
        } else {
            let entry = Entry::Removed {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
                version: version.to_owned(),
            };
            (entry, removed)
        };
        self.commit(&mut inner, entry).map_err(internal)?;
        Ok(result)
    }
}

/// The version id of the next write.
pub(crate) fn next_version(bucket: &Bucket) -> String {
    if bucket.versioned {
        Uuid::new_v4().simple().to_string()
    } else {
        NULL_VERSION.to_owned()
    }
}

/// An `ETag` that is no MD5, as S3 makes them under KMS.
pub(crate) fn opaque_etag() -> String {
    Uuid::new_v4().simple().to_string()
}

fn marker(key: &str, version: String) -> ObjectRecord {
    ObjectRecord {
        key: key.to_owned(),
        version,
        marker: true,
        segments: Vec::new(),
        size: 0,
        etag: String::new(),
        modified_ms: now_ms(),
        crc64: 0,
        checksum: Checksum::Crc64Nvme,
        attributes: Attributes::default(),
    }
}
