//! Multipart uploads.

use std::collections::BTreeMap;
use std::io;

use s3s::{S3Result, s3_error};
use uuid::Uuid;

use super::blob::BlobWriter;
use super::objects::{Condition, next_version, opaque_etag};
use super::records::{Checksum, Entry, ObjectRecord, PartRecord, UploadRecord};
use super::{NULL_VERSION, State, Store, internal};
use crate::s3::checksum::{
    Algorithm, Claims, composite_sha256, crc64_joined, crc64_text, etag_of_parts,
};
use crate::s3::clock::{locked, now_ms};
use crate::s3::faults::Damage;

/// Every part but the last has at least so many bytes.
const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;

/// A part to be stored.
pub(crate) struct NewPart {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) upload: String,
    pub(crate) number: i32,
    pub(crate) claims: Claims,
    pub(crate) damage: Option<Damage>,
    pub(crate) writer: BlobWriter,
}

/// A part as the client names it when it completes.
#[derive(Clone, Debug)]
pub(crate) struct CompletedPart {
    pub(crate) number: i32,
    pub(crate) etag: String,
    pub(crate) crc64: Option<String>,
    pub(crate) sha256: Option<String>,
}

/// A request to complete.
pub(crate) struct Completion {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) upload: String,
    pub(crate) parts: Vec<CompletedPart>,
    /// CRC64NVME of the whole object as the client computed it, base64.
    pub(crate) crc64: Option<String>,
    /// Size of the whole object as the client counted it, bytes.
    pub(crate) size: Option<u64>,
    pub(crate) condition: Condition,
    pub(crate) damage: Option<Damage>,
}

impl Store {
    /// Opens an upload; the id is made here. Blocks.
    pub(crate) fn create_upload(&self, mut upload: UploadRecord) -> S3Result<String> {
        upload.initiated_ms = now_ms();
        self.create_upload_at(upload)
    }

    /// Opens an upload as if it had been when the record says. Blocks.
    pub(crate) fn create_upload_at(&self, mut upload: UploadRecord) -> S3Result<String> {
        let mut inner = locked(&self.inner);
        inner.state.bucket(&upload.bucket)?;
        upload.id = Uuid::new_v4().simple().to_string();
        upload.parts = BTreeMap::new();
        let id = upload.id.clone();
        let entry = Entry::UploadMade { upload };
        self.commit(&mut inner, entry).map_err(internal)?;
        Ok(id)
    }

    /// The upload, if it is open and belongs to this key.
    pub(crate) fn upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<UploadRecord> {
        let inner = locked(&self.inner);
        inner.state.upload(bucket, key, id).cloned()
    }

    /// The same without its parts, of which a large object has thousands.
    pub(crate) fn upload_head(&self, bucket: &str, key: &str, id: &str) -> S3Result<UploadRecord> {
        let inner = locked(&self.inner);
        inner.state.upload(bucket, key, id).map(UploadRecord::head)
    }

    /// The open uploads of a bucket, by key and id.
    pub(crate) fn uploads(&self, bucket: &str) -> S3Result<Vec<UploadRecord>> {
        let inner = locked(&self.inner);
        inner.state.bucket(bucket)?;
        let uploads = inner.state.uploads.values();
        let mut uploads: Vec<_> = uploads.filter(|it| it.bucket == bucket).cloned().collect();
        uploads.sort_by(|a, b| (&a.key, &a.id).cmp(&(&b.key, &b.id)));
        Ok(uploads)
    }

    /// Stores a part whose bytes have all arrived. Blocks.
    pub(crate) fn put_part(&self, mut part: NewPart) -> S3Result<PartRecord> {
        let (segment, digests) = part.writer.finish().map_err(internal)?;
        part.claims.verify(&digests)?;
        let upload = self.upload_head(&part.bucket, &part.key, &part.upload)?;
        check_algorithm(upload.asked, part.claims.algorithm())?;
        let answer = PartRecord {
            number: part.number,
            segment,
            sent_bytes: digests.size,
            etag: digests.md5.map_or_else(opaque_etag, hex::encode),
            crc64: digests.crc64,
            sha256: digests.value(Algorithm::Sha256),
            modified_ms: now_ms(),
        };
        let mut kept = answer.clone();
        if let Some(damage) = part.damage {
            let (segment, crc64) = self.spoil(segment, damage).map_err(internal)?;
            kept.segment = segment;
            kept.crc64 = crc64;
        }
        let mut inner = locked(&self.inner);
        inner.state.upload(&part.bucket, &part.key, &part.upload)?;
        let locking = inner.state.bucket(&part.bucket)?.locking;
        part.claims.fit_for(locking)?;
        let entry = Entry::PartMade {
            upload: part.upload,
            part: kept,
        };
        self.commit(&mut inner, entry).map_err(internal)?;
        part.writer.keep();
        Ok(answer)
    }

    /// Gives an upload up. Blocks.
    pub(crate) fn abort(&self, bucket: &str, key: &str, id: &str) -> S3Result<()> {
        let mut inner = locked(&self.inner);
        inner.state.bucket(bucket)?;
        let upload = inner.state.upload(bucket, key, id)?.id.clone();
        self.commit(&mut inner, Entry::UploadGone { upload })
            .map_err(internal)
    }

    /// Loses a part as if it had never been stored; false when there is none. Blocks.
    pub(crate) fn lose_part(&self, bucket: &str, id: &str, number: i32) -> io::Result<bool> {
        let mut inner = locked(&self.inner);
        let upload = inner.state.uploads.get(id);
        let upload = upload.filter(|upload| upload.bucket == bucket);
        if !upload.is_some_and(|upload| upload.parts.contains_key(&number)) {
            return Ok(false);
        }
        let upload = id.to_owned();
        self.commit(&mut inner, Entry::PartGone { upload, number })?;
        Ok(true)
    }

    /// Makes the object out of its parts. Blocks.
    pub(crate) fn complete(&self, completion: Completion) -> S3Result<ObjectRecord> {
        let mut inner = locked(&self.inner);
        let state = &inner.state;
        let bucket = state.bucket(&completion.bucket)?;
        let upload = state.upload(&completion.bucket, &completion.key, &completion.upload)?;
        let parts = chosen(upload, &completion.parts)?;
        let mut answer = assembled(upload, &parts);
        if let Some(claimed) = &completion.crc64
            && *claimed != crc64_text(answer.crc64)
        {
            return Err(s3_error!(
                BadDigest,
                "the CRC64NVME you specified did not match"
            ));
        }
        if completion.size.is_some_and(|size| size != answer.size) {
            return Err(s3_error!(
                InvalidRequest,
                "The provided x-amz-mp-object-size does not match the combined size of the parts"
            ));
        }
        completion.condition.check(bucket, &completion.key)?;
        answer.version = next_version(bucket);
        let mut kept = answer.clone();
        if let Some(damage) = completion.damage {
            self.spoil_object(&mut kept, damage).map_err(internal)?;
        }
        let entry = Entry::Completed {
            upload: completion.upload,
            bucket: completion.bucket,
            object: kept,
        };
        self.commit(&mut inner, entry).map_err(internal)?;
        Ok(answer)
    }
}

impl State {
    fn upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<&UploadRecord> {
        self.bucket(bucket)?;
        let upload = self.uploads.get(id);
        upload
            .filter(|upload| upload.bucket == bucket && upload.key == key)
            .ok_or_else(|| {
                s3_error!(
                    NoSuchUpload,
                    "The specified multipart upload does not exist. The upload ID may be \
                     invalid, or the upload may have been aborted or completed."
                )
            })
    }
}

/// Parts bring the checksum the upload was created for.
fn check_algorithm(asked: Option<Algorithm>, claimed: Option<Algorithm>) -> S3Result<()> {
    let Some(asked) = asked else {
        return Ok(());
    };
    let fits = match claimed {
        Some(claimed) => claimed == asked,
        None => asked != Algorithm::Sha256,
    };
    if fits {
        return Ok(());
    }
    Err(s3_error!(
        InvalidRequest,
        "Checksum Type mismatch occurred, expected checksum Type: {}, actual: {}",
        asked.name(),
        claimed.map_or("null", Algorithm::name)
    ))
}

/// The parts the client named, checked as S3 checks them.
fn chosen<'a>(upload: &'a UploadRecord, named: &[CompletedPart]) -> S3Result<Vec<&'a PartRecord>> {
    let mut parts: Vec<&PartRecord> = Vec::new();
    for name in named {
        if parts.last().is_some_and(|last| last.number >= name.number) {
            return Err(s3_error!(
                InvalidPartOrder,
                "The list of parts was not in ascending order."
            ));
        }
        let differs = |claimed: &Option<String>, actual: Option<&str>| {
            claimed.as_deref().is_some_and(|it| Some(it) != actual)
        };
        let part = upload.parts.get(&name.number).filter(|part| {
            part.etag == name.etag
                && !differs(&name.crc64, Some(&crc64_text(part.crc64)))
                && !differs(&name.sha256, part.sha256.as_deref())
        });
        let Some(part) = part else {
            return Err(s3_error!(
                InvalidPart,
                "One or more of the specified parts could not be found, or its entity tag or \
                 checksum did not match: part {}",
                name.number
            ));
        };
        parts.push(part);
    }
    let Some((_, all_but_last)) = parts.split_last() else {
        return Err(s3_error!(
            MalformedXML,
            "You must specify at least one part"
        ));
    };
    if all_but_last
        .iter()
        .any(|part| part.sent_bytes < PART_BYTES_MIN)
    {
        return Err(s3_error!(
            EntityTooSmall,
            "Your proposed upload is smaller than the minimum allowed size"
        ));
    }
    Ok(parts)
}

fn assembled(upload: &UploadRecord, parts: &[&PartRecord]) -> ObjectRecord {
    let (mut size, mut crc64) = (0, 0);
    for (index, part) in parts.iter().enumerate() {
        crc64 = if index == 0 {
            part.crc64
        } else {
            crc64_joined(crc64, part.crc64, part.segment.size)
        };
        size += part.segment.size;
    }
    let checksum = if upload.algorithm() == Algorithm::Sha256 {
        let values = parts.iter().filter_map(|part| part.sha256.as_deref());
        Checksum::Composite(composite_sha256(values))
    } else {
        Checksum::Crc64Nvme
    };
    ObjectRecord {
        key: upload.key.clone(),
        version: NULL_VERSION.to_owned(),
        marker: false,
        segments: parts.iter().map(|part| part.segment).collect(),
        size,
        etag: etag_of_parts(parts.iter().map(|part| part.etag.as_str())),
        modified_ms: now_ms(),
        crc64,
        checksum,
        attributes: upload.attributes.clone(),
    }
}
