//! The power to delete copies whose time has come, in both clouds.

use std::sync::Arc;

use async_trait::async_trait;
use recording::{CopyOf, Fault, Purpose, Remains, Removable, Removal, Removers};

use super::{Reached, Shared};

/// Deletes copies, and looks that they are gone.
#[derive(Debug, Clone)]
pub struct BucketRemovers {
    shared: Arc<Shared>,
}

impl BucketRemovers {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn reached(&self, copy: &CopyOf) -> Result<Reached, Fault> {
        let (destination, account) = (&copy.destination, &copy.key.account_id);
        self.shared
            .bucket(destination, account, &copy.object_key, Purpose::Expire)
    }
}

#[async_trait]
impl Removers for BucketRemovers {
    async fn remove(&self, removable: &Removable) -> Result<Removal, Fault> {
        match self.reached(removable.copy())? {
            Reached::S3(bucket) => bucket.remove(removable).await,
            Reached::Azure(container) => container.remove(removable).await,
        }
    }

    async fn remains(&self, copy: &CopyOf) -> Result<Remains, Fault> {
        match self.reached(copy)? {
            Reached::S3(bucket) => bucket.remains(copy).await,
            Reached::Azure(container) => container.remains(copy).await,
        }
    }
}
