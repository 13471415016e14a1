//! The independent check: what is in a bucket, by `curl`, which signs its requests itself and
//! shares no code with callferry.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::environment;
use crate::platform::REGION;

/// How many objects one `curl` fetches before they are hashed and thrown away.
const BATCH: usize = 200;

/// SHA-256 of nothing: what a request without a body says of it, which S3 demands and `curl` adds
/// by itself only in later versions.
const NO_BODY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A reader of buckets that is not ours.
pub struct Auditor {
    endpoint: String,
    user: String,
    dir: PathBuf,
}

/// An object as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Size.
    pub size_bytes: u64,
    /// SHA-256 of what was fetched, in lower-case hexadecimal.
    pub sha256: String,
}

#[derive(Deserialize)]
struct Listing {
    #[serde(rename = "Contents", default)]
    contents: Vec<Entry>,
    #[serde(rename = "NextContinuationToken")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "Key")]
    key: String,
}

impl Auditor {
    pub(crate) fn new(endpoint: &str, (key, secret): (&str, &str), dir: &Path) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            user: format!("{key}:{secret}"),
            dir: dir.to_owned(),
        }
    }

    /// Runs `curl` with a configuration file, so that no credential is on a command line.
    async fn curl(&self, transfers: &str) -> Result<Vec<u8>> {
        fs::create_dir_all(&self.dir)?;
        let config = self
            .dir
            .join(format!("{}.curl", uuid::Uuid::new_v4().simple()));
        let each = format!(
            "user = \"{}\"\naws-sigv4 = \"aws:amz:{REGION}:s3\"\nfail\nsilent\nshow-error\n\
             header = \"x-amz-content-sha256: {NO_BODY}\"\n",
            self.user
        );
        // Options belong to the transfer that they stand with.
        let text = transfers.replace("url = ", &format!("next\n{each}url = "));
        fs::write(&config, text.trim_start_matches("next\n"))?;
        let output = Command::new("curl")
            .env_clear()
            .env("PATH", environment::path())
            .arg("--config")
            .arg(&config)
            .kill_on_drop(true)
            .output()
            .await
            .context("curl, the independent client, cannot be run")?;
        fs::remove_file(&config)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "curl: {}", errors.trim());
        Ok(output.stdout)
    }

    /// The keys in a bucket.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub async fn keys(&self, bucket: &str) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut token = String::new();
        loop {
            let endpoint = &self.endpoint;
            // In the order of their names, as curl signs the query as it stands.
            let query = match token.as_str() {
                "" => "list-type=2".to_owned(),
                token => format!("continuation-token={token}&list-type=2"),
            };
            let page = self
                .curl(&format!("url = \"{endpoint}/{bucket}?{query}\"\n"))
                .await?;
            let page: Listing = quick_xml::de::from_str(&String::from_utf8(page)?)?;
            keys.extend(page.contents.into_iter().map(|entry| entry.key));
            match page.next {
                Some(next) => token = next,
                None => return Ok(keys),
            }
        }
    }

    /// The bytes of one object.
    ///
    /// # Errors
    /// When it cannot be fetched.
    pub async fn bytes(&self, bucket: &str, key: &str) -> Result<Vec<u8>> {
        let endpoint = &self.endpoint;
        let transfer = format!("url = \"{endpoint}/{bucket}/{key}\"\n");
        self.curl(&transfer).await
    }

    /// Fetches every object of a bucket and hashes what came.
    ///
    /// # Errors
    /// When one cannot be fetched.
    pub async fn fetch(&self, bucket: &str) -> Result<BTreeMap<String, Found>> {
        let keys = self.keys(bucket).await?;
        let mut found = BTreeMap::new();
        for batch in keys.chunks(BATCH) {
            let mut transfers = String::new();
            for (number, key) in batch.iter().enumerate() {
                let file = self.dir.join(format!("object-{number}"));
                let (endpoint, file) = (&self.endpoint, file.display());
                writeln!(
                    transfers,
                    "url = \"{endpoint}/{bucket}/{key}\"\noutput = \"{file}\""
                )?;
            }
            self.curl(&transfers).await?;
            for (number, key) in batch.iter().enumerate() {
                let file = self.dir.join(format!("object-{number}"));
                // An empty object leaves no file behind.
                let bytes = if file.exists() {
                    fs::read(&file)?
                } else {
                    Vec::new()
                };
                let sha256 = hex::encode(Sha256::digest(&bytes));
                let size_bytes = u64::try_from(bytes.len())?;
                found.insert(key.clone(), Found { size_bytes, sha256 });
                if file.exists() {
                    fs::remove_file(&file)?;
                }
            }
        }
        Ok(found)
    }
}
