//! Listings, page by page.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    ChecksumAlgorithm, CommonPrefix, DeleteMarkerEntry, ETag, EncodingType,
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectVersionsInput,
    ListObjectVersionsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput,
    ListPartsOutput, MultipartUpload, Object, ObjectStorageClass, ObjectVersion,
    ObjectVersionStorageClass, Part,
};
use s3s::{S3Response, S3Result, s3_error};

use super::Emulator;
use super::multipart::kind;
use crate::s3::checksum::{Algorithm, crc64_text};
use crate::s3::clock::timestamp;
use crate::s3::store::{ObjectRecord, PartRecord, UploadRecord};

const PAGE_MAX: i32 = 1000;
/// What S3 leaves as it is under `encoding-type=url`.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'/')
    .remove(b'*');

impl Emulator {
    pub(super) fn objects_page(
        &self,
        input: ListObjectsV2Input,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = match &input.continuation_token {
            Some(token) => Some(read_token(token)?),
            None => input.start_after.clone(),
        };
        let limit = page(input.max_keys);
        let wanted = Page {
            prefix: &prefix,
            delimiter: input.delimiter.as_deref().filter(|it| !it.is_empty()),
            after: after.as_deref(),
            limit,
        };
        let encoded = input.encoding_type.as_ref().is_some_and(is_url);
        let found = self
            .store
            .with_bucket(&input.bucket, |bucket| wanted.fill(bucket.below(&prefix)))?;
        let count = found.objects.len() + found.prefixes.len();
        let prefixes = found.prefixes.iter().map(|it| CommonPrefix {
            prefix: Some(written(it, encoded)),
        });
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(written(&prefix, encoded)),
            delimiter: input.delimiter.map(|it| written(&it, encoded)),
            start_after: input.start_after.map(|it| written(&it, encoded)),
            encoding_type: input.encoding_type,
            continuation_token: input.continuation_token,
            max_keys: i32::try_from(limit).ok(),
            key_count: i32::try_from(count).ok(),
            is_truncated: Some(found.next.is_some()),
            next_continuation_token: found.next.map(|last| STANDARD.encode(last)),
            contents: Some(found.objects.iter().map(|it| entry(it, encoded)).collect()),
            common_prefixes: Some(prefixes.collect()),
            ..ListObjectsV2Output::default()
        }))
    }

    /// All versions in one page: nobody keeps more than a thousand of them in a laboratory.
    pub(super) fn versions_page(
        &self,
        input: ListObjectVersionsInput,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        if input.key_marker.is_some() || input.delimiter.is_some() {
            return Err(s3_error!(NotImplemented, "version listings have one page"));
        }
        let prefix = input.prefix.clone().unwrap_or_default();
        let all: Vec<(bool, Arc<ObjectRecord>)> =
            self.store.with_bucket(&input.bucket, |bucket| {
                let keys = bucket.versions_below(&prefix);
                let newest_first = |versions: &Vec<Arc<ObjectRecord>>| {
                    let versions = versions.iter().rev().enumerate();
                    let flagged = versions.map(|(index, it)| (index == 0, Arc::clone(it)));
                    flagged.collect::<Vec<_>>()
                };
                keys.flat_map(newest_first).collect()
            })?;
        let (markers, versions): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, it)| it.marker);
        Ok(S3Response::new(ListObjectVersionsOutput {
            name: Some(input.bucket),
            prefix: Some(prefix),
            max_keys: Some(PAGE_MAX),
            is_truncated: Some(false),
            versions: Some(
                versions
                    .iter()
                    .map(|(latest, it)| of_version(it, *latest))
                    .collect(),
            ),
            delete_markers: Some(
                markers
                    .iter()
                    .map(|(latest, it)| of_marker(it, *latest))
                    .collect(),
            ),
            ..ListObjectVersionsOutput::default()
        }))
    }

    pub(super) fn parts_page(
        &self,
        input: ListPartsInput,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let upload = self
            .store
            .upload(&input.bucket, &input.key, &input.upload_id)?;
        let after = input.part_number_marker.unwrap_or_default();
        let limit = page(input.max_parts);
        let mut parts = upload.parts.values().filter(|it| it.number > after);
        let listed: Vec<&PartRecord> = parts.by_ref().take(limit).collect();
        let more = parts.next().is_some();
        let last = listed.last().map(|it| it.number);
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            max_parts: i32::try_from(limit).ok(),
            part_number_marker: Some(after),
            is_truncated: Some(more),
            next_part_number_marker: last,
            checksum_algorithm: Some(ChecksumAlgorithm::from_static(upload.algorithm().name())),
            checksum_type: Some(kind(upload.algorithm())),
            parts: Some(listed.into_iter().map(|it| of_part(it, &upload)).collect()),
            ..ListPartsOutput::default()
        }))
    }

    pub(super) fn uploads_page(
        &self,
        input: ListMultipartUploadsInput,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        if input.delimiter.is_some() {
            return Err(s3_error!(NotImplemented, "a delimiter in upload listings"));
        }
        let prefix = input.prefix.clone().unwrap_or_default();
        let key_marker = input.key_marker.clone().unwrap_or_default();
        let id_marker = input.upload_id_marker.clone().unwrap_or_default();
        let limit = page(input.max_uploads);
        let encoded = input.encoding_type.as_ref().is_some_and(is_url);
        // A key marker alone skips the whole key.
        let after = |it: &UploadRecord| {
            it.key > key_marker
                || (it.key == key_marker && !id_marker.is_empty() && it.id > id_marker)
        };
        let uploads = self.store.uploads(&input.bucket)?.into_iter();
        let mut uploads = uploads.filter(|it| it.key.starts_with(&prefix) && after(it));
        let listed: Vec<UploadRecord> = uploads.by_ref().take(limit).collect();
        let more = uploads.next().is_some();
        let last = listed.last().filter(|_| more);
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: input.prefix.map(|it| written(&it, encoded)),
            key_marker: input.key_marker.map(|it| written(&it, encoded)),
            upload_id_marker: input.upload_id_marker,
            encoding_type: input.encoding_type,
            max_uploads: i32::try_from(limit).ok(),
            is_truncated: Some(more),
            next_key_marker: last.map(|it| written(&it.key, encoded)),
            next_upload_id_marker: last.map(|it| it.id.clone()),
            uploads: Some(listed.iter().map(|it| of_upload(it, encoded)).collect()),
            ..ListMultipartUploadsOutput::default()
        }))
    }
}

/// What a page of objects is asked to hold.
struct Page<'a> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
    after: Option<&'a str>,
    limit: usize,
}

/// A page of objects.
#[derive(Default)]
struct Found {
    objects: Vec<Arc<ObjectRecord>>,
    prefixes: BTreeSet<String>,
    /// The last key or common prefix listed, when there is more.
    next: Option<String>,
}

impl Page<'_> {
    fn fill<'a>(&self, objects: impl Iterator<Item = &'a Arc<ObjectRecord>>) -> Found {
        let mut found = Found::default();
        let mut last: Option<String> = None;
        for object in objects {
            let name = self.name(&object.key);
            let past = self.after.is_none_or(|after| name > after);
            if !past || last.as_deref() == Some(name) {
                continue;
            }
            if found.objects.len() + found.prefixes.len() >= self.limit {
                found.next = last;
                break;
            }
            if name.len() < object.key.len() {
                found.prefixes.insert(name.to_owned());
            } else {
                found.objects.push(Arc::clone(object));
            }
            last = Some(name.to_owned());
        }
        found
    }

    /// The key, or the common prefix it is rolled up into.
    fn name<'k>(&self, key: &'k str) -> &'k str {
        let Some(delimiter) = self.delimiter else {
            return key;
        };
        let rest = key.strip_prefix(self.prefix).unwrap_or(key);
        match rest.split_once(delimiter) {
            Some((_, tail)) => key.strip_suffix(tail).unwrap_or(key),
            None => key,
        }
    }
}

fn page(asked: Option<i32>) -> usize {
    let limit = asked.unwrap_or(PAGE_MAX).clamp(0, PAGE_MAX);
    usize::try_from(limit).unwrap_or_default()
}

fn read_token(token: &str) -> S3Result<String> {
    let bytes = STANDARD.decode(token).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token is incorrect"))
}

fn is_url(encoding: &EncodingType) -> bool {
    encoding.as_str() == EncodingType::URL
}

fn written(text: &str, encoded: bool) -> String {
    if encoded {
        utf8_percent_encode(text, PLAIN).to_string()
    } else {
        text.to_owned()
    }
}

fn entry(object: &ObjectRecord, encoded: bool) -> Object {
    let class = object.attributes.storage_class.clone();
    Object {
        key: Some(written(&object.key, encoded)),
        size: i64::try_from(object.size).ok(),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        last_modified: Some(timestamp(object.modified_ms)),
        storage_class: Some(ObjectStorageClass::from(
            class.unwrap_or("STANDARD".to_owned()),
        )),
        ..Object::default()
    }
}

fn of_version(object: &ObjectRecord, latest: bool) -> ObjectVersion {
    let class = object.attributes.storage_class.clone();
    let class = class.unwrap_or("STANDARD".to_owned());
    ObjectVersion {
        key: Some(object.key.clone()),
        version_id: Some(object.version.clone()),
        is_latest: Some(latest),
        size: i64::try_from(object.size).ok(),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        last_modified: Some(timestamp(object.modified_ms)),
        storage_class: Some(ObjectVersionStorageClass::from(class)),
        ..ObjectVersion::default()
    }
}

fn of_marker(marker: &ObjectRecord, latest: bool) -> DeleteMarkerEntry {
    DeleteMarkerEntry {
        key: Some(marker.key.clone()),
        version_id: Some(marker.version.clone()),
        is_latest: Some(latest),
        last_modified: Some(timestamp(marker.modified_ms)),
        ..DeleteMarkerEntry::default()
    }
}

fn of_part(part: &PartRecord, upload: &UploadRecord) -> Part {
    let crc64 = (upload.algorithm() == Algorithm::Crc64Nvme).then(|| crc64_text(part.crc64));
    Part {
        part_number: Some(part.number),
        size: i64::try_from(part.segment.size).ok(),
        e_tag: Some(ETag::Strong(part.etag.clone())),
        last_modified: Some(timestamp(part.modified_ms)),
        checksum_crc64nvme: crc64,
        checksum_sha256: part.sha256.clone(),
        ..Part::default()
    }
}

fn of_upload(upload: &UploadRecord, encoded: bool) -> MultipartUpload {
    MultipartUpload {
        key: Some(written(&upload.key, encoded)),
        upload_id: Some(upload.id.clone()),
        initiated: Some(timestamp(upload.initiated_ms)),
        checksum_algorithm: Some(ChecksumAlgorithm::from_static(upload.algorithm().name())),
        checksum_type: Some(kind(upload.algorithm())),
        ..MultipartUpload::default()
    }
}
