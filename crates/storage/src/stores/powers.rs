//! The three powers over customers' buckets, each with purposes of its own.

use std::sync::Arc;

use async_trait::async_trait;
use recording::{
    AccountId, Destination, Fault, Leftovers, Look, Lookers, ObjectKey, Observed, OpenUpload,
    Outbound, Purpose, SendFault, SendOutcome, Writers,
};

use super::settings::PART_BYTES_MIN;
use super::{Reached, Shared, checked};

/// Creates copies.
#[derive(Debug, Clone)]
pub struct BucketWriters {
    shared: Arc<Shared>,
}

/// Looks at copies.
#[derive(Debug, Clone)]
pub struct BucketLookers {
    shared: Arc<Shared>,
}

/// Finds and aborts uploads that nobody goes on with.
#[derive(Debug, Clone)]
pub struct BucketLeftovers {
    shared: Arc<Shared>,
}

impl BucketWriters {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl BucketLookers {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl BucketLeftovers {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[async_trait]
impl Writers for BucketWriters {
    async fn send(
        &self,
        destination: &Destination,
        outbound: Outbound<'_>,
    ) -> Result<SendOutcome, SendFault> {
        let Outbound { account, key, .. } = outbound;
        let shared = &self.shared;
        let reached = shared.bucket(destination, account, key, Purpose::Write)?;
        checked::size(&outbound)?;
        let part = shared.settings.part_size_bytes.max(PART_BYTES_MIN);
        let is_small = outbound.size_bytes <= part;
        // Boxed: the many states of an upload in parts would weigh on every small original.
        match reached {
            Reached::S3(bucket) if is_small => {
                if let Some(upload) = outbound.earlier {
                    bucket.abort(key.as_str(), &upload.id).await?;
                }
                bucket.send_whole(&outbound, &shared.budget).await
            }
            Reached::S3(bucket) => {
                Box::pin(bucket.send_parts(&outbound, &shared.budget, part)).await
            }
            Reached::Azure(container) if is_small => {
                container.send_whole(&outbound, &shared.budget).await
            }
            Reached::Azure(container) => {
                Box::pin(container.send_blocks(&outbound, &shared.budget, part)).await
            }
        }
    }

    async fn give_up(
        &self,
        destination: &Destination,
        account: &AccountId,
        key: &ObjectKey,
        upload_id: &str,
    ) -> Result<(), Fault> {
        match self
            .shared
            .bucket(destination, account, key, Purpose::Write)?
        {
            Reached::S3(bucket) => bucket.abort(key.as_str(), upload_id).await,
            // Blocks that nobody commits are gone after a week; nothing else drops them.
            Reached::Azure(_) => Ok(()),
        }
    }
}

#[async_trait]
impl Lookers for BucketLookers {
    async fn look(
        &self,
        destination: &Destination,
        account: &AccountId,
        key: &ObjectKey,
    ) -> Result<Look, Fault> {
        match self
            .shared
            .bucket(destination, account, key, Purpose::Look)?
        {
            Reached::S3(bucket) => bucket.look(key.as_str()).await,
            Reached::Azure(container) => container.look(key.as_str()).await,
        }
    }

    async fn read_back(
        &self,
        destination: &Destination,
        account: &AccountId,
        key: &ObjectKey,
        observed: Observed,
    ) -> Result<Observed, Fault> {
        let reached = self
            .shared
            .bucket(destination, account, key, Purpose::Look)?;
        let digests = match reached {
            Reached::S3(bucket) => bucket.read_back(key.as_str(), &observed).await?,
            Reached::Azure(container) => container.read_back(key.as_str(), &observed).await?,
        };
        Ok(Observed {
            read_back: Some(digests),
            ..observed
        })
    }
}

#[async_trait]
impl Leftovers for BucketLeftovers {
    async fn open_uploads(
        &self,
        destination: &Destination,
        account: &AccountId,
    ) -> Result<Vec<OpenUpload>, Fault> {
        match self.shared.reached(destination, account, Purpose::Sweep)? {
            Reached::S3(bucket) => {
                let prefix = checked::prefix(destination, account)?;
                bucket.open_uploads(&prefix).await
            }
            // Azure drops blocks that nobody commits after a week, by itself.
            Reached::Azure(_) => Ok(Vec::new()),
        }
    }

    async fn abort(
        &self,
        destination: &Destination,
        account: &AccountId,
        upload: &OpenUpload,
    ) -> Result<(), Fault> {
        let OpenUpload { key, upload_id, .. } = upload;
        match self
            .shared
            .bucket(destination, account, key, Purpose::Sweep)?
        {
            Reached::S3(bucket) => bucket.abort(key.as_str(), upload_id).await,
            Reached::Azure(_) => Ok(()),
        }
    }
}
