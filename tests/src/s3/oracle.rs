//! What a test's oracle sees and does behind HTTP's back: what is really stored, and the customer's
//! own hand in the bucket.
//!
//! These calls read and write small files on the calling thread.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use s3s::S3Error;
use sha2::{Digest, Sha256};

use super::checksum::{Claims, crc64_text};
use super::clock::{moment, now_ms};
use super::lab::S3Lab;
use super::store::{Attributes, Condition, ObjectRecord, Put, UploadRecord};

/// An object as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// Its key.
    pub key: String,
    /// Bytes really kept.
    pub size_bytes: u64,
    /// The `ETag`, without quotes.
    pub etag: String,
    /// CRC64NVME of the bytes kept, base64.
    pub crc64nvme: String,
    /// The version id, `null` without versioning.
    pub version_id: String,
    /// When it was stored.
    pub modified: DateTime<Utc>,
    /// The media type the sender gave.
    pub content_type: Option<String>,
    /// User metadata, names without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// The storage class the sender gave.
    pub storage_class: Option<String>,
    /// `AES256` or what the sender asked for.
    pub encryption: String,
    /// The tags as they were sent, `k=v&…`.
    pub tagging: Option<String>,
    /// The canned ACL as it was sent.
    pub acl: Option<String>,
}

/// An object's bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredBytes {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Their SHA-256, 64 hexadecimal digits.
    pub sha256: String,
}

/// A multipart upload that is neither completed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenUpload {
    /// Its id.
    pub id: String,
    /// The key it is for.
    pub key: String,
    /// The parts there are: number and size in bytes.
    pub parts: BTreeMap<i32, u64>,
}

impl S3Lab {
    /// The current objects of a bucket by key; none at all for a bucket that does not exist.
    #[must_use]
    pub fn objects(&self, bucket: &str) -> Vec<StoredObject> {
        let store = self.store();
        let listed = store.with_bucket(bucket, |bucket| {
            bucket.below("").map(|object| described(object)).collect()
        });
        listed.unwrap_or_default()
    }

    /// One current object.
    #[must_use]
    pub fn object(&self, bucket: &str, key: &str) -> Option<StoredObject> {
        let found = self.store().find(bucket, key, None).ok()?;
        found.map(|object| described(&object))
    }

    /// The bytes really kept of the current object; none when there is no object.
    ///
    /// # Errors
    /// When its files cannot be read.
    pub fn read_object(&self, bucket: &str, key: &str) -> io::Result<Option<StoredBytes>> {
        let store = self.store();
        if store.owner(bucket).is_none() {
            return Ok(None);
        }
        let opened = store.open_object(bucket, key, None);
        let Some((_, mut reader)) = opened.map_err(outward)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = reader.next()? {
            bytes.extend_from_slice(&chunk);
        }
        let sha256 = hex::encode(Sha256::digest(&bytes));
        Ok(Some(StoredBytes { bytes, sha256 }))
    }

    /// The customer writes an object of their own, without metadata, over whatever is there.
    ///
    /// # Errors
    /// When there is no such bucket, or the disk refuses.
    pub fn overwrite_object(&self, bucket: &str, key: &str, bytes: &[u8]) -> io::Result<()> {
        let store = self.store();
        let mut writer = store.writer(true, None);
        writer.push(Bytes::copy_from_slice(bytes));
        let put = Put {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            attributes: Attributes {
                encryption: "AES256".to_owned(),
                ..Attributes::default()
            },
            claims: Claims::default(),
            condition: Condition::None,
            damage: None,
            writer,
        };
        store.put(put).map(|_| ()).map_err(outward)
    }

    /// The customer deletes an object; false when there is none.
    ///
    /// # Errors
    /// When there is no such bucket, or the disk refuses.
    pub fn delete_object(&self, bucket: &str, key: &str) -> io::Result<bool> {
        let deleted = self.store().delete(bucket, key, None, &Condition::None);
        deleted.map(|it| it.is_some()).map_err(outward)
    }

    /// SHA-256 of the bytes really kept of the current object, 64 hexadecimal digits, without
    /// having them all in memory; none when there is no object.
    ///
    /// # Errors
    /// When there is no such bucket, or its files cannot be read.
    pub fn sha256_of(&self, bucket: &str, key: &str) -> io::Result<Option<String>> {
        let opened = self.store().open_object(bucket, key, None);
        let Some((_, mut reader)) = opened.map_err(outward)? else {
            return Ok(None);
        };
        let mut sha256 = Sha256::new();
        while let Some(chunk) = reader.next()? {
            sha256.update(&chunk);
        }
        Ok(Some(hex::encode(sha256.finalize())))
    }

    /// Opens an upload that somebody began so long ago; its id.
    ///
    /// # Errors
    /// When there is no such bucket, or the disk refuses.
    pub fn begin_upload(&self, bucket: &str, key: &str, ago: Duration) -> io::Result<String> {
        let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        let upload = UploadRecord {
            id: String::new(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            attributes: Attributes {
                encryption: "AES256".to_owned(),
                ..Attributes::default()
            },
            asked: None,
            initiated_ms: now_ms().saturating_sub(ago),
            parts: BTreeMap::new(),
        };
        self.store().create_upload_at(upload).map_err(outward)
    }

    /// An upload is gone, aborted by the bucket's own rules or by somebody; false when there is
    /// none.
    ///
    /// # Errors
    /// When there is no such bucket, or the disk refuses.
    pub fn lose_upload(&self, bucket: &str, id: &str) -> io::Result<bool> {
        let store = self.store();
        let uploads = store.uploads(bucket).map_err(outward)?;
        let Some(upload) = uploads.into_iter().find(|upload| upload.id == id) else {
            return Ok(false);
        };
        let aborted = store.abort(bucket, &upload.key, id);
        aborted.map(|()| true).map_err(outward)
    }

    /// A part of an open upload is gone, which no good store does; false when there is none.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn lose_part(&self, bucket: &str, id: &str, number: i32) -> io::Result<bool> {
        self.store().lose_part(bucket, id, number)
    }

    /// The open uploads of a bucket, by key.
    #[must_use]
    pub fn open_uploads(&self, bucket: &str) -> Vec<OpenUpload> {
        let uploads = self.store().uploads(bucket).unwrap_or_default();
        let described = uploads.into_iter().map(|upload| OpenUpload {
            id: upload.id,
            key: upload.key,
            parts: upload
                .parts
                .values()
                .map(|part| (part.number, part.segment.size))
                .collect(),
        });
        described.collect()
    }
}

impl std::fmt::Debug for StoredBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredBytes")
            .field("size_bytes", &self.bytes.len())
            .field("sha256", &self.sha256)
            .finish()
    }
}

fn described(object: &ObjectRecord) -> StoredObject {
    let kept = &object.attributes;
    StoredObject {
        key: object.key.clone(),
        size_bytes: object.size,
        etag: object.etag.clone(),
        crc64nvme: crc64_text(object.crc64),
        version_id: object.version.clone(),
        modified: moment(object.modified_ms),
        content_type: kept.content_type.clone(),
        metadata: kept.metadata.clone(),
        storage_class: kept.storage_class.clone(),
        encryption: kept.encryption.clone(),
        tagging: kept.tagging.clone(),
        acl: kept.acl.clone(),
    }
}

fn outward(error: S3Error) -> io::Error {
    io::Error::other(error)
}
