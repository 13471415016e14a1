//! A bucket of staging, of whichever cloud.

use bytes::Bytes;
use recording::{Fault, Fence};

use super::object::{Deleted, Entity, Page, Put, Seen};
use crate::azure::Container;
use crate::exchange::Answer;
use crate::s3::Bucket;

/// The bucket, as we reach it with an identity of our own.
#[derive(Debug)]
pub(crate) enum Reach {
    S3(Bucket),
    Azure(Container),
}

impl Reach {
    /// What is at the key now. `None`: the bucket says "not found", which is to be believed only
    /// if the marker is seen after it.
    pub(super) async fn look(&self, key: &str) -> Result<Option<Seen>, Fault> {
        match self {
            Self::S3(bucket) => bucket.staged(key, None).await,
            Self::Azure(container) => container.staged(key).await,
        }
    }

    /// The same of exactly this object, where it has a version; else of what is there now.
    pub(super) async fn look_at(&self, key: &str, entity: &Entity) -> Result<Option<Seen>, Fault> {
        match self {
            Self::S3(bucket) => bucket.staged(key, entity.version.as_deref()).await,
            Self::Azure(container) => container.staged(key).await,
        }
    }

    /// Bytes of exactly this object, first and last included; all of them without a range.
    /// `None`: it is not this object any more.
    pub(super) async fn read(
        &self,
        key: &str,
        entity: &Entity,
        range: Option<(u64, u64)>,
    ) -> Result<Option<Answer>, Fault> {
        match self {
            Self::S3(bucket) => bucket.read_staged(key, entity, range).await,
            Self::Azure(container) => container.read_staged(key, entity, range).await,
        }
    }

    /// A small object as it is now.
    pub(super) async fn read_small(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        match self {
            Self::S3(bucket) => bucket.read_small(key).await,
            Self::Azure(container) => container.read_small(key).await,
        }
    }

    /// Puts a small object of ours; with `create_only` not over another.
    pub(super) async fn put(
        &self,
        key: &str,
        body: Bytes,
        create_only: bool,
    ) -> Result<Put, Fault> {
        match self {
            Self::S3(bucket) => bucket.put_staged(key, body, create_only).await,
            // It never overwrites.
            Self::Azure(container) => container.put_staged(key, body).await,
        }
    }

    /// Deletes exactly this object, and asks the fence before each attempt.
    pub(super) async fn delete(
        &self,
        key: &str,
        entity: &Entity,
        fence: Option<&Fence>,
    ) -> Result<Deleted, Fault> {
        match self {
            Self::S3(bucket) => bucket.delete_staged(key, entity, fence).await,
            Self::Azure(container) => container.delete_staged(key, entity, fence).await,
        }
    }

    /// A page of the objects below a prefix.
    pub(super) async fn list(&self, prefix: &str, from: Option<&str>) -> Result<Page, Fault> {
        match self {
            Self::S3(bucket) => bucket.list_staged(prefix, from).await,
            Self::Azure(container) => container.list_staged(prefix, from).await,
        }
    }
}
