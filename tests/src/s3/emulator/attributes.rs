//! Headers that are kept with an object, out of the requests that bring them.

use s3s::dto::{CreateMultipartUploadInput, PutObjectInput};
use s3s::{S3Error, S3Result, s3_error};

use crate::s3::store::Attributes;

const ENCRYPTION: &str = "AES256";

/// Whether the encryption asked for hides the MD5, so that the `ETag` is none.
pub(super) fn hides_md5(attributes: &Attributes) -> bool {
    attributes.encryption != ENCRYPTION
}

/// The two requests bring the same headers in two types.
macro_rules! kept {
    ($input:expr) => {{
        let encryption = $input.server_side_encryption.as_ref();
        let class = $input.storage_class.as_ref();
        Attributes {
            content_type: $input.content_type.clone(),
            content_encoding: $input.content_encoding.clone(),
            content_language: $input.content_language.clone(),
            content_disposition: $input.content_disposition.clone(),
            cache_control: $input.cache_control.clone(),
            metadata: $input
                .metadata
                .clone()
                .unwrap_or_default()
                .into_iter()
                .collect(),
            storage_class: class.map(|it| it.as_str().to_owned()),
            encryption: encryption.map_or(ENCRYPTION, |it| it.as_str()).to_owned(),
            kms_key_id: $input.ssekms_key_id.clone(),
            bucket_key: $input.bucket_key_enabled,
            tagging: $input.tagging.clone(),
            acl: $input.acl.as_ref().map(|it| it.as_str().to_owned()),
        }
    }};
}

pub(super) fn of_put(input: &PutObjectInput) -> S3Result<Attributes> {
    if input.sse_customer_key.is_some()
        || input.object_lock_mode.is_some()
        || input.object_lock_legal_hold_status.is_some()
        || input.write_offset_bytes.is_some()
    {
        return Err(unsupported());
    }
    Ok(kept!(input))
}

pub(super) fn of_upload(input: &CreateMultipartUploadInput) -> S3Result<Attributes> {
    if input.sse_customer_key.is_some()
        || input.object_lock_mode.is_some()
        || input.object_lock_legal_hold_status.is_some()
    {
        return Err(unsupported());
    }
    Ok(kept!(input))
}

fn unsupported() -> S3Error {
    s3_error!(
        NotImplemented,
        "SSE-C, object lock and appending are not emulated"
    )
}
