//! Staging that is a bucket, for a platform: made and marked as an operator does, and filled with
//! what a load staged in the folder.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result};

use super::{OURS, Platform, REGION, STORAGE_ACCOUNT};
use crate::s3::{Identity, Policy};

/// The bucket or container.
pub const STAGING_BUCKET: &str = "incoming";
/// What leads every key in it.
const PREFIX: &str = "calls";
/// What cleanup is allowed there, as the documentation says; everybody else uses less of it.
const ALLOWED: [&str; 5] = [
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
];

/// Where originals are now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketKind {
    /// In the laboratory's S3.
    S3,
    /// In Azurite, reached with the storage account's key.
    Azure,
}

impl Platform {
    /// Makes a bucket the staging of all members and commands from now on, and marks it. Azure must
    /// have been started.
    ///
    /// # Errors
    /// When a server or the command line refuses.
    pub async fn stage_in(&mut self, kind: BucketKind) -> Result<()> {
        match kind {
            BucketKind::S3 => {
                self.lab.create_bucket(STAGING_BUCKET, "000000000000")?;
                let policy = Policy::bucket(STAGING_BUCKET, "", &ALLOWED);
                let ours = Identity::new(OURS.0, OURS.1).named("callferry");
                self.lab.put_identity(ours.allowed(policy));
                let url = format!("s3://{STAGING_BUCKET}/{PREFIX}");
                self.fleet.set("CALLFERRY_STAGING_URL", url);
                self.fleet.set("CALLFERRY_STAGING_REGION", REGION);
                self.fleet
                    .set("CALLFERRY_STAGING_ENDPOINT", self.lab.endpoint());
            }
            BucketKind::Azure => {
                let azurite = &self.azure()?.azurite;
                azurite
                    .create_container(STORAGE_ACCOUNT, STAGING_BUCKET)
                    .await?;
                let endpoint = azurite.endpoint(STORAGE_ACCOUNT);
                let key = self.dir.join("azure").join("staging-key");
                fs::write(&key, azurite.key(STORAGE_ACCOUNT))?;
                fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
                let url = format!("az://{STORAGE_ACCOUNT}/{STAGING_BUCKET}/{PREFIX}");
                self.fleet.set("CALLFERRY_STAGING_URL", url);
                self.fleet.set("CALLFERRY_STAGING_ENDPOINT", endpoint);
                let name = "CALLFERRY_STAGING_AZURE_ACCESS_KEY_FILE";
                self.fleet.set(name, key.display().to_string());
            }
        }
        self.fleet.run(&["migrate"]).await?.success()?;
        Ok(())
    }

    /// Moves everything that a load staged in the folder into the bucket, as a recorder that writes
    /// there would have put it.
    ///
    /// # Errors
    /// When it cannot be read or put.
    pub async fn move_staged(&self, kind: BucketKind) -> Result<()> {
        for file in self.staged_files()? {
            let path = self.staging.join(&file);
            self.put_original(kind, &file, &fs::read(&path)?).await?;
            fs::remove_file(&path)?;
        }
        Ok(())
    }

    /// Puts one object into staging, over whatever is there.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn put_original(&self, kind: BucketKind, path: &str, bytes: &[u8]) -> Result<()> {
        let key = format!("{PREFIX}/{path}");
        match kind {
            BucketKind::S3 => self.lab.overwrite_object(STAGING_BUCKET, &key, bytes)?,
            // An empty body is not sent as one: the blob is made of no blocks.
            BucketKind::Azure if bytes.is_empty() => {
                let azurite = &self.azure()?.azurite;
                azurite
                    .commit_nothing(STORAGE_ACCOUNT, STAGING_BUCKET, &key)
                    .await?;
            }
            BucketKind::Azure => {
                let azurite = &self.azure()?.azurite;
                azurite
                    .overwrite(STORAGE_ACCOUNT, STAGING_BUCKET, &key, bytes)
                    .await?;
            }
        }
        Ok(())
    }

    /// Every object that is in staging now, by its path, the marker aside.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn staged_objects(&self, kind: BucketKind) -> Result<BTreeMap<String, Vec<u8>>> {
        let keys = match kind {
            BucketKind::S3 => {
                let objects = self.lab.objects(STAGING_BUCKET).into_iter();
                objects.map(|object| object.key).collect()
            }
            BucketKind::Azure => {
                let azurite = &self.azure()?.azurite;
                azurite.list(STORAGE_ACCOUNT, STAGING_BUCKET).await?
            }
        };
        let mut found = BTreeMap::new();
        for key in keys {
            let path = key.strip_prefix(PREFIX).and_then(|it| it.strip_prefix('/'));
            let path = path.context("an object outside of staging's prefix")?;
            if path == ".callferry/staging" {
                continue;
            }
            let bytes = match kind {
                BucketKind::S3 => {
                    let read = self.lab.read_object(STAGING_BUCKET, &key)?;
                    read.map(|stored| stored.bytes)
                }
                BucketKind::Azure => {
                    let azurite = &self.azure()?.azurite;
                    azurite.read(STORAGE_ACCOUNT, STAGING_BUCKET, &key).await?
                }
            };
            found.insert(path.to_owned(), bytes.unwrap_or_default());
        }
        Ok(found)
    }
}
