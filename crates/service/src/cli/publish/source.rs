//! Where the originals lie that are announced: a folder, or a bucket.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use recording::{Originals, StagingFault};
use storage::{BucketOriginals, BucketStaging};

use super::PublishArgs;
use super::plan::{self, Planned};
use super::{event, objects};
use crate::cli::Context;
use crate::failure::Failure;
use crate::wiring::{self, StagingSide};

/// Where originals lie.
#[derive(Debug)]
pub(super) enum Source {
    /// A folder.
    Folder(PathBuf),
    /// A bucket.
    Bucket(BucketStaging),
}

/// What reads originals, where their digests are to be announced.
#[derive(Debug)]
pub(super) enum Reader {
    /// Nothing is read.
    None,
    /// Out of a folder.
    Folder,
    /// Out of a bucket.
    Bucket(BucketOriginals),
}

impl Source {
    /// Staging, as it is configured.
    pub(super) fn open(context: &Context) -> Result<Self> {
        let stores = || {
            let buckets = wiring::buckets(&context.config, &wiring::clock(), &wiring::no_meter())?;
            Ok(buckets.stores)
        };
        Ok(match wiring::staging(&context.config, stores)? {
            StagingSide::Folder(root) => Self::Folder(root),
            StagingSide::Bucket(bucket) => Self::Bucket(bucket),
        })
    }

    /// The originals to announce, and what was found beside them and is none.
    pub(super) async fn plan(&self, args: &PublishArgs) -> Result<(Vec<Planned>, Vec<PathBuf>)> {
        match self {
            Self::Folder(root) => plan::plan(args, root),
            Self::Bucket(bucket) => objects::plan(args, bucket).await,
        }
    }

    /// What reads them, if `args` ask for digests.
    pub(super) async fn reader(&self, args: &PublishArgs) -> Result<Reader> {
        if !args.sha256 {
            return Ok(Reader::None);
        }
        match self {
            Self::Folder(_) => Ok(Reader::Folder),
            Self::Bucket(bucket) => {
                // Whose staging it is does not matter here: its own marker says that it is one.
                let marker = bucket.read_marker().await;
                let marker = marker.map_err(|fault| cannot(bucket, &fault))?;
                let staging_id = marker.ok_or_else(|| {
                    Failure::failed(format!("{bucket}: there is no staging marker"))
                        .hint("mark the bucket first: callferry migrate")
                })?;
                let originals = BucketOriginals::open(bucket, staging_id).await;
                Ok(Reader::Bucket(
                    originals.map_err(|fault| cannot(bucket, &fault))?,
                ))
            }
        }
    }
}

impl Reader {
    /// SHA-256 in hexadecimal digits and the bytes that were read; `None` if nothing is to be read.
    pub(super) async fn sha256(&self, planned: &Planned) -> Result<Option<(String, u64)>> {
        match self {
            Self::None => Ok(None),
            Self::Folder => {
                let file = planned.file.clone();
                let hashed = tokio::task::spawn_blocking(move || event::sha256(&file)).await;
                hashed.context("computing a digest")?.map(Some)
            }
            Self::Bucket(originals) => {
                let digests = async { originals.open(&planned.path).await?.digests().await };
                let digests = digests.await;
                let digests = digests.with_context(|| format!("reading {}", planned.path))?;
                Ok(Some((digests.sha256.to_string(), digests.size_bytes)))
            }
        }
    }
}

fn cannot(bucket: &BucketStaging, fault: &StagingFault) -> Failure {
    Failure::failed(format!("{bucket}: {fault}"))
        .hint("our identity must be allowed to read and list there: see deploy/README.md")
}
