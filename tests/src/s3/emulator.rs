//! S3's operations over the store: the `S3` trait of the `s3s` library.
//!
//! Who may do it was decided before (`access`), except where it depends on what is there: missing
//! objects and lists of objects to delete.

mod attributes;
mod keys;
mod listing;
mod multipart;
mod reading;
mod writing;

use std::sync::Arc;

use http::{Extensions, HeaderMap};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, ETagCondition,
    GetBucketLocationInput, GetBucketLocationOutput, GetObjectInput, GetObjectOutput,
    HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput,
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectVersionsInput,
    ListObjectVersionsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput,
    ListPartsOutput, PutObjectInput, PutObjectOutput, StreamingBlob, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result, TrailingHeaders};

use super::faults::Damage;
use super::lab::Lab;
use super::policy::Asked;
use super::store::{Condition, Store};

/// The operations.
pub(crate) struct Emulator {
    pub(crate) lab: Arc<Lab>,
    pub(crate) store: Arc<Store>,
}

/// Put into a request's extensions when the bytes it brings are to be spoiled.
#[derive(Clone, Copy)]
pub(crate) struct Spoil(pub(crate) Damage);

/// A body on its way in, with what is known about it besides.
struct Incoming {
    body: Option<StreamingBlob>,
    headers: HeaderMap,
    trailers: Option<TrailingHeaders>,
    damage: Option<Damage>,
}

impl Emulator {
    /// The region every bucket is in.
    const REGION: &'static str = "us-east-1";

    /// Whether the caller may do it to the bucket or key, the key standing for `s3:prefix`.
    fn may(&self, key_id: Option<&str>, action: &str, resource: &str, key: &str) -> bool {
        let context = |name: &str| (name == "s3:prefix").then(|| key.to_owned());
        let asked = Asked {
            action,
            resource,
            context: &context,
        };
        key_id.is_some_and(|key_id| self.lab.directory.allows(key_id, &asked))
    }

    /// The condition a write carries; a bucket may be told to overlook it.
    fn condition(
        &self,
        bucket: &str,
        if_match: Option<&ETagCondition>,
        if_none_match: Option<&ETagCondition>,
    ) -> Condition {
        if self.lab.quirks(bucket).ignores_conditions {
            return Condition::None;
        }
        match (if_match, if_none_match) {
            (_, Some(_)) => Condition::Absent,
            (Some(ETagCondition::Any), None) => Condition::Matches(None),
            (Some(ETagCondition::ETag(etag)), None) => {
                Condition::Matches(Some(etag.value().to_owned()))
            }
            (None, None) => Condition::None,
        }
    }
}

/// The access key that signed the request.
fn key_id<T>(request: &S3Request<T>) -> Option<String> {
    let credentials = request.credentials.as_ref();
    credentials.map(|credentials| credentials.access_key.clone())
}

fn damage(extensions: &Extensions) -> Option<Damage> {
    extensions.get::<Spoil>().map(|spoil| spoil.0)
}

#[async_trait::async_trait]
impl S3 for Emulator {
    async fn put_object(
        &self,
        req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        self.store_object(req).await
    }

    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        self.read_object(req).await
    }

    async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        self.look_at_object(&req)
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.remove_object(req).await
    }

    async fn delete_objects(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.remove_objects(req).await
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.objects_page(req.input)
    }

    async fn list_object_versions(
        &self,
        req: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        self.versions_page(req.input)
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.open_upload(req).await
    }

    async fn upload_part(
        &self,
        req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        self.store_part(req).await
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.complete_upload(req).await
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.abort_upload(req.input).await
    }

    async fn list_parts(
        &self,
        req: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        self.parts_page(req.input)
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        self.uploads_page(req.input)
    }

    async fn head_bucket(
        &self,
        req: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.store.with_bucket(&req.input.bucket, |_| ())?;
        Ok(S3Response::new(HeadBucketOutput {
            bucket_region: Some(Self::REGION.to_owned()),
            ..HeadBucketOutput::default()
        }))
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.store.with_bucket(&req.input.bucket, |_| ())?;
        // Null is how S3 spells us-east-1.
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }
}
