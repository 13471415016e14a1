//! Making buckets, as a customer's administrator does. Settings are taken and not heeded: what the
//! laboratory's buckets do, tests say to its handle.

use s3s::dto::{CreateBucketInput, CreateBucketOutput};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::{Emulator, key_id};

impl Emulator {
    /// A bucket of the caller's account.
    pub(super) fn make_bucket(
        &self,
        req: &S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let caller = key_id(req).and_then(|key| self.lab.directory.who(&key));
        let (account, _) = caller.ok_or_else(|| s3_error!(AccessDenied))?;
        let bucket = &req.input.bucket;
        match self.store.create_bucket(bucket, &account, (false, false)) {
            Ok(true) => Ok(S3Response::new(CreateBucketOutput::default())),
            Ok(false) => Err(s3_error!(BucketAlreadyOwnedByYou)),
            Err(error) => Err(s3_error!(error, InternalError)),
        }
    }

    /// A setting of a bucket that is there.
    pub(super) fn set_up<T: Default>(&self, bucket: &str) -> S3Result<S3Response<T>> {
        self.store.with_bucket(bucket, |_| ())?;
        Ok(S3Response::new(T::default()))
    }
}
