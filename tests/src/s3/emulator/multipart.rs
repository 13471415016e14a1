//! Multipart uploads.

use std::collections::BTreeMap;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart as NamedPart,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, ServerSideEncryption,
    UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::writing::{Reported, encryption, version};
use super::{Emulator, Incoming, attributes, damage, key_id};
use crate::s3::checksum::{Algorithm, Claims, crc64_text};
use crate::s3::store::{CompletedPart, Completion, Condition, NewPart, UploadRecord};

/// S3's limit.
const PART_NUMBER_MAX: i32 = 10_000;

impl Emulator {
    pub(super) async fn open_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let caller = key_id(&req);
        let input = req.input;
        let asked = match &input.checksum_algorithm {
            None => None,
            Some(name) => Some(
                Algorithm::named(name.as_str())
                    .filter(|it| matches!(it, Algorithm::Crc64Nvme | Algorithm::Sha256))
                    .ok_or_else(|| s3_error!(NotImplemented, "multipart with this checksum"))?,
            ),
        };
        let algorithm = asked.unwrap_or(Algorithm::Crc64Nvme);
        let kind = kind(algorithm);
        if input.checksum_type.as_ref().is_some_and(|it| *it != kind) {
            return Err(s3_error!(
                InvalidRequest,
                "The {} checksum type cannot be used with this algorithm",
                algorithm.name()
            ));
        }
        let attributes = attributes::of_upload(&input)?;
        let action = "kms:GenerateDataKey";
        self.may_use_key(caller.as_deref(), action, &input.bucket, &attributes)?;
        let upload = UploadRecord {
            id: String::new(),
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            attributes: attributes.clone(),
            asked,
            initiated_ms: 0,
            parts: BTreeMap::new(),
        };
        let id = self
            .store
            .blocking(move |store| store.create_upload(upload))
            .await?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            checksum_algorithm: asked.map(|it| ChecksumAlgorithm::from_static(it.name())),
            checksum_type: asked.map(|_| kind),
            server_side_encryption: Some(ServerSideEncryption::from(attributes.encryption)),
            ssekms_key_id: attributes.kms_key_id,
            bucket_key_enabled: attributes.bucket_key,
            ..CreateMultipartUploadOutput::default()
        }))
    }

    pub(super) async fn store_part(
        &self,
        req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let caller = key_id(&req);
        let mut input = req.input;
        if !(1..=PART_NUMBER_MAX).contains(&input.part_number) {
            let message = "Part number must be an integer between 1 and 10000";
            return Err(s3_error!(InvalidArgument, "{message}"));
        }
        let upload = self
            .store
            .upload_head(&input.bucket, &input.key, &input.upload_id)?;
        let kept = &upload.attributes;
        self.may_use_key(caller.as_deref(), "kms:Decrypt", &input.bucket, kept)?;
        let incoming = Incoming {
            body: input.body.take(),
            headers: req.headers,
            trailers: req.trailing_headers,
            damage: damage(&req.extensions),
        };
        let spoil = incoming.damage;
        let hidden = attributes::hides_md5(&upload.attributes);
        let (writer, claims) = self.receive(incoming, hidden).await?;
        let part = NewPart {
            bucket: input.bucket,
            key: input.key,
            upload: input.upload_id,
            number: input.part_number,
            claims,
            damage: spoil,
            writer,
        };
        let part = self
            .store
            .blocking(move |store| store.put_part(part))
            .await?;
        let sha256 = part.sha256;
        let crc64 = sha256.is_none().then(|| crc64_text(part.crc64));
        Ok(S3Response::new(UploadPartOutput {
            e_tag: Some(ETag::Strong(part.etag)),
            checksum_crc64nvme: crc64,
            checksum_sha256: sha256,
            server_side_encryption: Some(ServerSideEncryption::from(upload.attributes.encryption)),
            ..UploadPartOutput::default()
        }))
    }

    pub(super) async fn complete_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let caller = key_id(&req);
        let input = req.input;
        let upload = self
            .store
            .upload_head(&input.bucket, &input.key, &input.upload_id)?;
        let kept = &upload.attributes;
        self.may_use_key(caller.as_deref(), "kms:Decrypt", &input.bucket, kept)?;
        let wrong = |it: &ChecksumType| *it != kind(upload.algorithm());
        if input.checksum_type.as_ref().is_some_and(wrong) {
            let message = "The upload was created with another checksum type";
            return Err(s3_error!(InvalidRequest, "{message}"));
        }
        let claims = Claims::read(&req.headers)?;
        let crc64 = match claims.checksum {
            Some((Algorithm::Crc64Nvme, value)) if upload.algorithm() == Algorithm::Crc64Nvme => {
                Some(value)
            }
            Some(_) => {
                let message = "only a CRC64NVME of the whole object is verified";
                return Err(s3_error!(NotImplemented, "{message}"));
            }
            None => None,
        };
        let named = input.multipart_upload.and_then(|upload| upload.parts);
        let if_none_match = input.if_none_match.as_ref();
        let heeds = !self
            .lab
            .quirks(&input.bucket)
            .ignores_conditions_on_complete;
        let condition = self.condition(&input.bucket, input.if_match.as_ref(), if_none_match);
        let completion = Completion {
            condition: if heeds { condition } else { Condition::None },
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            upload: input.upload_id,
            parts: named
                .unwrap_or_default()
                .into_iter()
                .map(read_part)
                .collect(),
            crc64,
            size: input
                .mpu_object_size
                .and_then(|size| u64::try_from(size).ok()),
            damage: damage(&req.extensions),
        };
        let object = self
            .store
            .blocking(move |store| store.complete(completion))
            .await?;
        let reported = Reported::of(&object);
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(ETag::Strong(object.etag.clone())),
            checksum_crc64nvme: reported.crc64,
            checksum_sha256: reported.sha256,
            checksum_type: Some(reported.kind),
            server_side_encryption: encryption(&object),
            ssekms_key_id: object.attributes.kms_key_id.clone(),
            bucket_key_enabled: object.attributes.bucket_key,
            version_id: version(&object),
            ..CompleteMultipartUploadOutput::default()
        }))
    }

    pub(super) async fn abort_upload(
        &self,
        input: AbortMultipartUploadInput,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.store
            .blocking(move |store| store.abort(&input.bucket, &input.key, &input.upload_id))
            .await?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}

/// The checksum type that goes with an algorithm here.
pub(super) fn kind(algorithm: Algorithm) -> ChecksumType {
    ChecksumType::from_static(match algorithm {
        Algorithm::Sha256 => ChecksumType::COMPOSITE,
        Algorithm::Crc64Nvme | Algorithm::Crc32 | Algorithm::Crc32c => ChecksumType::FULL_OBJECT,
    })
}

fn read_part(part: NamedPart) -> CompletedPart {
    CompletedPart {
        // A part without a number is no part of any upload.
        number: part.part_number.unwrap_or_default(),
        etag: part.e_tag.map(ETag::into_value).unwrap_or_default(),
        crc64: part.checksum_crc64nvme,
        sha256: part.checksum_sha256,
    }
}
