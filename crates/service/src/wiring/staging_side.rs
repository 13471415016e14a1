//! Staging, of whichever kind, as the powers that roles and commands use.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use recording::{Erasers, Originals, StagingFault, Trash};
use storage::{
    BucketOriginals, BucketStaging, BucketTrash, LocalStaging, LocalTrash, MarkerFault, Stores,
};
use uuid::Uuid;

use crate::config::{Config, Staging};
use crate::failure::Failure;

/// Where staging is, and how it is reached.
#[derive(Debug, Clone)]
pub(crate) enum StagingSide {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket.
    Bucket(BucketStaging),
}

/// Staging as three powers.
#[derive(Clone)]
pub(crate) struct Files {
    /// For reading.
    pub(crate) originals: Arc<dyn Originals>,
    /// For deleting what was copied.
    pub(crate) trash: Arc<dyn Trash>,
    /// For deleting what an erasure was asked for.
    pub(crate) erasers: Arc<dyn Erasers>,
}

/// Finds out where staging is. Nothing is opened or connected to yet; `stores` are made only for a
/// bucket.
pub(crate) fn staging(
    config: &Config,
    stores: impl FnOnce() -> Result<Stores>,
) -> Result<StagingSide> {
    match config.staging()? {
        Staging::Folder(root) => Ok(StagingSide::Folder(root)),
        Staging::Bucket(place) => match stores()?.staging(&place) {
            Ok(bucket) => Ok(StagingSide::Bucket(bucket)),
            Err(fault) => Err(Failure::usage(format!("`staging_url`: {}", fault.detail))
                .hint("see CALLFERRY_STAGING_URL, _REGION and _ENDPOINT: `callferry config`")
                .into()),
        },
    }
}

impl StagingSide {
    /// The id in its marker, if there is one.
    pub(crate) async fn read_marker(&self) -> Result<Option<Uuid>, StagingFault> {
        match self {
            Self::Folder(root) => {
                let root = root.clone();
                blocking(move || storage::read_marker(&root)).await?
            }
            Self::Bucket(bucket) => bucket.read_marker().await,
        }
    }

    /// Writes the marker; repeating it is harmless.
    pub(crate) async fn write_marker(&self, staging_id: Uuid) -> Result<(), MarkerFault> {
        match self {
            Self::Folder(root) => {
                let root = root.clone();
                blocking(move || storage::write_marker(&root, staging_id)).await?
            }
            Self::Bucket(bucket) => bucket.write_marker(staging_id).await,
        }
    }

    /// Opens staging whose marker must hold `staging_id`.
    pub(crate) async fn open(&self, staging_id: Uuid) -> Result<Files, StagingFault> {
        match self {
            Self::Folder(root) => {
                let root = root.clone();
                let open = move || -> Result<Files, StagingFault> {
                    let trash = Arc::new(LocalTrash::open(&root, staging_id)?);
                    Ok(Files {
                        originals: Arc::new(LocalStaging::open(&root, staging_id)?),
                        erasers: Arc::<LocalTrash>::clone(&trash),
                        trash,
                    })
                };
                blocking(open).await?
            }
            Self::Bucket(bucket) => {
                let trash = Arc::new(BucketTrash::open(bucket, staging_id).await?);
                Ok(Files {
                    originals: Arc::new(BucketOriginals::open(bucket, staging_id).await?),
                    erasers: Arc::<BucketTrash>::clone(&trash),
                    trash,
                })
            }
        }
    }
}

impl fmt::Display for StagingSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(root) => root.display().fmt(f),
            Self::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

/// Runs file system calls where they may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StagingFault> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StagingFault::Unavailable(error.to_string()))
}
