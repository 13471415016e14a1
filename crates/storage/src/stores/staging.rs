//! Staging that is a bucket of our own: reached by the operator's client, which may go to private
//! addresses, with an identity of our own.

use std::sync::Arc;

use recording::{AzureContainer, AzureIdentity, Cloud, Fault, S3Bucket};

use super::Stores;
use crate::azure::{self, Container};
use crate::exchange::Line;
use crate::s3::{self, Bucket};
use crate::staging::BucketStaging;
use crate::staging::bucket::Reach;

/// Where staging is, if it is a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagingPlace {
    /// The bucket.
    pub store: StagingStore,
    /// What all keys begin with, without the slash that follows; may be empty.
    pub prefix: String,
}

/// The bucket that staging is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StagingStore {
    /// Reached with our own AWS identity.
    S3 {
        /// Its name.
        bucket: String,
        /// Its region, for the signature.
        region: String,
        /// Origin of the store; `None` means AWS's own for the region.
        endpoint: Option<String>,
    },
    /// Reached with an identity of the operator's.
    Azure {
        /// The storage account.
        storage_account: String,
        /// The container.
        container: String,
        /// URL of the blob service; `None` means Azure's own.
        endpoint: Option<String>,
        /// Who we are there.
        identity: AzureIdentity,
    },
}

impl Stores {
    /// Staging in a bucket of our own. Nothing is connected to yet.
    ///
    /// # Errors
    /// The place is none: a name or the endpoint is malformed.
    pub fn staging(&self, place: &StagingPlace) -> Result<BucketStaging, Fault> {
        let shared = &self.shared;
        let line = Line {
            client: shared.clients.operator.clone(),
            retries: shared.settings.max_retries,
            cloud: Cloud::Staging,
            meter: Arc::clone(&shared.meter),
        };
        let allow_http = shared.settings.allow_http;
        let prefix = place.prefix.trim_matches('/');
        let (reach, name) = match &place.store {
            StagingStore::S3 {
                bucket,
                region,
                endpoint,
            } => {
                let s3 = S3Bucket {
                    bucket: bucket.clone(),
                    region: region.clone(),
                    role_arn: None,
                    endpoint: endpoint.clone(),
                    prefix: String::new(),
                    kms_key: None,
                    storage_class: None,
                    expected_owner: None,
                };
                let name = format!("s3://{bucket}");
                let place = s3::Place::new(&s3, allow_http)?;
                let bucket = Bucket::new(place, shared.sts.base(), line);
                (Reach::S3(bucket), name)
            }
            StagingStore::Azure {
                storage_account,
                container,
                endpoint,
                identity,
            } => {
                let azure = AzureContainer {
                    storage_account: storage_account.clone(),
                    container: container.clone(),
                    endpoint: endpoint.clone(),
                    prefix: String::new(),
                    identity: identity.clone(),
                };
                let name = format!("az://{storage_account}/{container}");
                let place = azure::Place::new(&azure, allow_http)?;
                let identity = shared.identity(&azure);
                let clock = Arc::clone(&shared.clock);
                let container = Container::new(place, identity, line, clock);
                (Reach::Azure(container), name)
            }
        };
        let shown = match prefix {
            "" => name,
            words => format!("{name}/{words}"),
        };
        Ok(BucketStaging::new(reach, prefix, shown))
    }
}
