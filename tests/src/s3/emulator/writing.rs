//! `PutObject`, `DeleteObject`, `DeleteObjects`.

use std::sync::Arc;

use futures::StreamExt;
use http::StatusCode;
use s3s::dto::{
    ChecksumType, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput,
    DeletedObject, ETag, Error as KeyError, PutObjectInput, PutObjectOutput, ServerSideEncryption,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::{Emulator, Incoming, attributes, damage, key_id};
use crate::s3::access::{arn, denied};
use crate::s3::checksum::{Algorithm, Claims, crc64_text};
use crate::s3::store::{
    BlobWriter, Checksum, Condition, NULL_VERSION, ObjectRecord, Put, Store, internal,
};

/// S3's limit for one request.
const DELETE_KEYS_MAX: usize = 1000;

impl Emulator {
    pub(super) async fn store_object(
        &self,
        req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let mut input = req.input;
        let attributes = attributes::of_put(&input)?;
        let incoming = Incoming {
            body: input.body.take(),
            headers: req.headers,
            trailers: req.trailing_headers,
            damage: damage(&req.extensions),
        };
        let spoil = incoming.damage;
        let hidden = attributes::hides_md5(&attributes);
        let (writer, claims) = self.receive(incoming, hidden).await?;
        let if_none_match = input.if_none_match.as_ref();
        let put = Put {
            condition: self.condition(&input.bucket, input.if_match.as_ref(), if_none_match),
            bucket: input.bucket,
            key: input.key,
            attributes,
            claims,
            damage: spoil,
            writer,
        };
        let object = self.store.blocking(move |store| store.put(put)).await?;
        let reported = Reported::of(&object);
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(ETag::Strong(object.etag.clone())),
            checksum_crc64nvme: reported.crc64,
            checksum_crc32: reported.crc32,
            checksum_crc32c: reported.crc32c,
            checksum_sha256: reported.sha256,
            checksum_type: Some(reported.kind),
            server_side_encryption: encryption(&object),
            ssekms_key_id: object.attributes.kms_key_id.clone(),
            bucket_key_enabled: object.attributes.bucket_key,
            version_id: version(&object),
            ..PutObjectOutput::default()
        }))
    }

    /// Takes a body to the disk; its last bytes are still in memory when this returns, so that a
    /// small object costs one hop to a blocking thread.
    pub(super) async fn receive(
        &self,
        incoming: Incoming,
        hide_md5: bool,
    ) -> S3Result<(BlobWriter, Claims)> {
        let mut claims = Claims::read(&incoming.headers)?;
        let wants_md5 = !hide_md5 && !self.lab.opaque_etags() || claims.md5.is_some();
        let mut writer = self.store.writer(wants_md5, claims.algorithm());
        if let Some(mut body) = incoming.body {
            while let Some(bytes) = body.next().await {
                writer.push(bytes.map_err(|error| broken(&error.to_string()))?);
                if writer.is_full() {
                    let flush = move || {
                        writer.flush().map_err(internal)?;
                        Ok(writer)
                    };
                    writer = self.store.blocking(move |_| flush()).await?;
                }
            }
        }
        if let Some(trailers) = incoming.trailers.and_then(|trailers| trailers.take()) {
            claims.read_trailers(&trailers);
        }
        Ok((writer, claims))
    }

    pub(super) async fn remove_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = req.input;
        // As on S3, the condition is held against the current version, whichever is deleted.
        let quirks = self.lab.quirks(&input.bucket);
        let condition = match quirks.deletes_unconditionally {
            true => Condition::None,
            false => self.condition(&input.bucket, input.if_match.as_ref(), None),
        };
        let deleted = self
            .store
            .blocking(move |store| {
                let version = input.version_id.as_deref();
                store.delete(&input.bucket, &input.key, version, &condition)
            })
            .await?;
        let named = |object: &Arc<ObjectRecord>| version(object);
        Ok(S3Response::new(DeleteObjectOutput {
            delete_marker: deleted.as_ref().filter(|it| it.marker).map(|_| true),
            version_id: deleted.as_ref().and_then(named),
            ..DeleteObjectOutput::default()
        }))
    }

    pub(super) async fn remove_objects(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let caller = key_id(&req);
        let input = req.input;
        self.store.with_bucket(&input.bucket, |_| ())?;
        if input.delete.objects.len() > DELETE_KEYS_MAX {
            return Err(s3_error!(MalformedXML));
        }
        let quiet = input.delete.quiet.unwrap_or_default();
        let (mut gone, mut errors) = (Vec::new(), Vec::new());
        for object in input.delete.objects {
            let action = match object.version_id {
                Some(_) => "s3:DeleteObjectVersion",
                None => "s3:DeleteObject",
            };
            let resource = arn(&input.bucket, Some(&object.key));
            let result = if self.may(caller.as_deref(), action, &resource, &object.key) {
                let (bucket, key) = (input.bucket.clone(), object.key.clone());
                let version = object.version_id.clone();
                let delete = move |store: &Store| {
                    store.delete(&bucket, &key, version.as_deref(), &Condition::None)
                };
                self.store.blocking(delete).await
            } else {
                Err(denied())
            };
            match result {
                Ok(_) if quiet => {}
                Ok(deleted) => gone.push(DeletedObject {
                    delete_marker: deleted.as_ref().filter(|it| it.marker).map(|_| true),
                    key: Some(object.key),
                    version_id: object.version_id,
                    ..DeletedObject::default()
                }),
                Err(error) => errors.push(KeyError {
                    code: Some(error.code().as_str().to_owned()),
                    key: Some(object.key),
                    message: error.message().map(ToOwned::to_owned),
                    version_id: object.version_id,
                }),
            }
        }
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: Some(gone),
            errors: Some(errors),
            ..DeleteObjectsOutput::default()
        }))
    }
}

/// The checksum headers of an answer.
pub(super) struct Reported {
    pub(super) crc64: Option<String>,
    pub(super) crc32: Option<String>,
    pub(super) crc32c: Option<String>,
    pub(super) sha256: Option<String>,
    pub(super) kind: ChecksumType,
}

impl Reported {
    pub(super) fn of(object: &ObjectRecord) -> Self {
        let mut reported = Self {
            crc64: None,
            crc32: None,
            crc32c: None,
            sha256: None,
            kind: ChecksumType::from_static(ChecksumType::FULL_OBJECT),
        };
        match &object.checksum {
            Checksum::Crc64Nvme | Checksum::Whole(Algorithm::Crc64Nvme, _) => {
                reported.crc64 = Some(crc64_text(object.crc64));
            }
            Checksum::Whole(Algorithm::Crc32, value) => reported.crc32 = Some(value.clone()),
            Checksum::Whole(Algorithm::Crc32c, value) => reported.crc32c = Some(value.clone()),
            Checksum::Whole(Algorithm::Sha256, value) => reported.sha256 = Some(value.clone()),
            Checksum::Composite(value) => {
                reported.sha256 = Some(value.clone());
                reported.kind = ChecksumType::from_static(ChecksumType::COMPOSITE);
            }
        }
        reported
    }
}

/// The version id, where there are versions.
pub(super) fn version(object: &ObjectRecord) -> Option<String> {
    (object.version != NULL_VERSION).then(|| object.version.clone())
}

/// The encryption as it is echoed.
pub(super) fn encryption(object: &ObjectRecord) -> Option<ServerSideEncryption> {
    let encryption = object.attributes.encryption.clone();
    Some(ServerSideEncryption::from(encryption))
}

/// Why a body could not be read to its end, in S3's words.
fn broken(reason: &str) -> S3Error {
    if reason.contains("Sha256Mismatch") {
        let code = S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into());
        let mut error = S3Error::with_message(code, "the body is not what was signed");
        error.set_status_code(StatusCode::BAD_REQUEST);
        return error;
    }
    if reason.contains("Signature") {
        return s3_error!(SignatureDoesNotMatch, "{reason}");
    }
    s3_error!(IncompleteBody, "{reason}")
}
