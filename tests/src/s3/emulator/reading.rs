//! `GetObject` and `HeadObject`.

use std::ops::Range as Bytes;
use std::sync::Arc;

use futures::stream;
use s3s::dto::{
    ChecksumMode, ETag, ETagCondition, GetObjectInput, GetObjectOutput, HeadObjectInput,
    HeadObjectOutput, Metadata, Range, StorageClass, StreamingBlob,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::writing::{Reported, encryption, version};
use super::{Emulator, key_id};
use crate::s3::access::{arn, denied};
use crate::s3::clock::{now_ms, timestamp};
use crate::s3::store::{BlobReader, ObjectRecord, Store};

const CONTENT_TYPE: &str = "binary/octet-stream";

impl Emulator {
    pub(super) async fn read_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let caller = key_id(&req);
        let input = req.input;
        if input.part_number.is_some() {
            return Err(s3_error!(NotImplemented, "reading by part"));
        }
        let (bucket, key) = (input.bucket.clone(), input.key.clone());
        let wanted = input.version_id.clone();
        let opened = self
            .store
            .blocking(move |store| store.open_object(&bucket, &key, wanted.as_deref()))
            .await?;
        let found = opened.as_ref().map(|(object, _)| Arc::clone(object));
        let versioned = input.version_id.is_some();
        let missing = Missing(&input.bucket, &input.key, versioned);
        self.present(found, caller.as_deref(), &missing)?;
        let Some((object, mut reader)) = opened else {
            return Err(s3_error!(NoSuchKey));
        };
        let kept = &object.attributes;
        self.may_use_key(caller.as_deref(), "kms:Decrypt", &input.bucket, kept)?;
        check(
            &object,
            input.if_match.as_ref(),
            input.if_none_match.as_ref(),
        )?;
        let range = extent(input.range, object.size)?;
        reader.limit(range.start, range.end);
        let whole = range.start == 0 && range.end == object.size;
        let shows = whole && self.shows_checksum(&input.bucket, input.checksum_mode.as_ref());
        let mut head = head(&object, shows);
        if let Some(range) = input.range.map(|_| &range) {
            head.content_range = Some(content_range(range, object.size));
        }
        head.content_length = i64::try_from(range.end - range.start).ok();
        // What a signed URL wants the answer to say of itself.
        head.content_type = input.response_content_type.or(head.content_type);
        head.cache_control = input.response_cache_control.or(head.cache_control);
        let disposition = input.response_content_disposition;
        head.content_disposition = disposition.or(head.content_disposition);
        let mut output = with_body(head);
        output.body = Some(streamed(&self.store, reader));
        Ok(S3Response::new(output))
    }

    pub(super) fn look_at_object(
        &self,
        req: &S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = &req.input;
        if input.part_number.is_some() {
            return Err(s3_error!(NotImplemented, "reading by part"));
        }
        let version = input.version_id.as_deref();
        let found = self.store.find(&input.bucket, &input.key, version)?;
        let missing = Missing(&input.bucket, &input.key, version.is_some());
        let caller = key_id(req);
        let object = self.present(found, caller.as_deref(), &missing)?;
        if input.checksum_mode.is_some() {
            let kept = &object.attributes;
            self.may_use_key(caller.as_deref(), "kms:Decrypt", &input.bucket, kept)?;
        }
        check(
            &object,
            input.if_match.as_ref(),
            input.if_none_match.as_ref(),
        )?;
        let range = extent(input.range, object.size)?;
        let shows = self.shows_checksum(&input.bucket, input.checksum_mode.as_ref());
        let mut output = head(&object, shows && input.range.is_none());
        if self.lab.arranged(&input.bucket).locks_versions {
            output.object_lock_mode = Some("GOVERNANCE".to_owned().into());
            output.object_lock_retain_until_date = Some(timestamp(now_ms() + 86_400_000));
        }
        if input.range.is_some() {
            output.content_range = Some(content_range(&range, object.size));
            output.content_length = i64::try_from(range.end - range.start).ok();
        }
        Ok(S3Response::new(output))
    }

    /// Only those who may list learn that a key is not there.
    fn present(
        &self,
        found: Option<Arc<ObjectRecord>>,
        caller: Option<&str>,
        missing: &Missing<'_>,
    ) -> S3Result<Arc<ObjectRecord>> {
        let Missing(bucket, key, versioned) = *missing;
        match found {
            Some(object) if !object.marker => Ok(object),
            Some(_) => Err(s3_error!(MethodNotAllowed, "this is a delete marker")),
            None if !self.may(caller, "s3:ListBucket", &arn(bucket, None), key) => Err(denied()),
            None if versioned => Err(s3_error!(NoSuchVersion)),
            None => Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
        }
    }

    fn shows_checksum(&self, bucket: &str, mode: Option<&ChecksumMode>) -> bool {
        let asked = mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
        asked && !self.lab.quirks(bucket).reports_no_checksum
    }
}

/// Bucket, key and whether a version was named.
struct Missing<'a>(&'a str, &'a str, bool);

fn check(
    object: &ObjectRecord,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    if let Some(ETagCondition::ETag(etag)) = if_match
        && etag.value() != object.etag
    {
        return Err(s3_error!(PreconditionFailed));
    }
    match if_none_match {
        Some(ETagCondition::Any) => Err(s3_error!(NotModified)),
        Some(ETagCondition::ETag(etag)) if etag.value() == object.etag => {
            Err(s3_error!(NotModified))
        }
        Some(ETagCondition::ETag(_)) | None => Ok(()),
    }
}

fn extent(range: Option<Range>, size: u64) -> S3Result<Bytes<u64>> {
    match range {
        Some(range) => Ok(range.check(size)?),
        None => Ok(0..size),
    }
}

fn content_range(range: &Bytes<u64>, size: u64) -> String {
    let last = range.end.saturating_sub(1);
    format!("bytes {}-{last}/{size}", range.start)
}

/// Everything there is to say about an object.
fn head(object: &ObjectRecord, with_checksum: bool) -> HeadObjectOutput {
    let kept = &object.attributes;
    let metadata: Metadata = kept.metadata.clone().into_iter().collect();
    let mut output = HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        bucket_key_enabled: kept.bucket_key,
        cache_control: kept.cache_control.clone(),
        content_disposition: kept.content_disposition.clone(),
        content_encoding: kept.content_encoding.clone(),
        content_language: kept.content_language.clone(),
        content_length: i64::try_from(object.size).ok(),
        content_type: Some(kept.content_type.clone().unwrap_or(CONTENT_TYPE.to_owned())),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        last_modified: Some(timestamp(object.modified_ms)),
        metadata: Some(metadata),
        server_side_encryption: encryption(object),
        ssekms_key_id: kept.kms_key_id.clone(),
        storage_class: kept.storage_class.clone().map(StorageClass::from),
        version_id: version(object),
        ..HeadObjectOutput::default()
    };
    if with_checksum {
        let reported = Reported::of(object);
        output.checksum_crc64nvme = reported.crc64;
        output.checksum_crc32 = reported.crc32;
        output.checksum_crc32c = reported.crc32c;
        output.checksum_sha256 = reported.sha256;
        output.checksum_type = Some(reported.kind);
    }
    output
}

fn with_body(head: HeadObjectOutput) -> GetObjectOutput {
    GetObjectOutput {
        accept_ranges: head.accept_ranges,
        bucket_key_enabled: head.bucket_key_enabled,
        cache_control: head.cache_control,
        checksum_crc32: head.checksum_crc32,
        checksum_crc32c: head.checksum_crc32c,
        checksum_crc64nvme: head.checksum_crc64nvme,
        checksum_sha256: head.checksum_sha256,
        checksum_type: head.checksum_type,
        content_disposition: head.content_disposition,
        content_encoding: head.content_encoding,
        content_language: head.content_language,
        content_length: head.content_length,
        content_range: head.content_range,
        content_type: head.content_type,
        e_tag: head.e_tag,
        last_modified: head.last_modified,
        metadata: head.metadata,
        server_side_encryption: head.server_side_encryption,
        ssekms_key_id: head.ssekms_key_id,
        storage_class: head.storage_class,
        version_id: head.version_id,
        ..GetObjectOutput::default()
    }
}

/// The bytes, chunk by chunk, each read by a thread that may block.
fn streamed(store: &Arc<Store>, reader: BlobReader) -> StreamingBlob {
    let state = (Arc::clone(store), reader);
    StreamingBlob::wrap(stream::try_unfold(
        state,
        |(store, mut reader)| async move {
            let read = store.blocking(move |_| {
                let bytes = reader.next().map_err(crate::s3::store::internal)?;
                Ok((bytes, reader))
            });
            let (bytes, reader) = read.await?;
            Ok::<_, s3s::S3Error>(bytes.map(|bytes| (bytes, (store, reader))))
        },
    ))
}
