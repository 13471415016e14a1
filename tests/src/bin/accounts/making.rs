//! Makes the accounts with their buckets, roles and destinations, and publishes their recordings.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::load::Produce;
use callferry_tests::platform::{Platform, REGION};
use callferry_tests::s3::{Policy, Role};
use catalog::{Catalog, Settings};
use chrono::{DateTime, Utc};
use futures::stream::{StreamExt, TryStreamExt, iter};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use recording::{AccountId, Approval, Clock, DestinationOwner, S3Bucket, S3Options, Store};
use serde_json::json;
use tokio::time::Instant;

/// What a customer's role must allow for storing.
const OBJECTS: [&str; 6] = [
    "s3:PutObject",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
    // Or a daily check leaves its object behind.
    "s3:DeleteObject",
];
/// Requests to the catalog or the broker at the same time.
const AT_ONCE: usize = 8;

/// The catalog's clock here: what it is used for needs no wall clock.
#[derive(Debug)]
struct Watch(Instant);

impl Clock for Watch {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }
    fn boot(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Makes as many accounts and returns their names.
pub(crate) async fn accounts(platform: &Platform, count: usize) -> Result<Vec<String>> {
    let settings = Settings::new(platform.postgres.url("callferry"));
    let catalog = Catalog::connect(settings, Arc::new(Watch(Instant::now())))?;
    let names: Vec<String> = (1..=count).map(|n| format!("account-{n:05}")).collect();
    let made = names.iter().zip(1_u64..);
    let made = made.map(|(name, number)| account(platform, &catalog, name, number));
    let made: Vec<()> = iter(made).buffer_unordered(AT_ONCE).try_collect().await?;
    anyhow::ensure!(made.len() == count, "not all accounts were made");
    catalog.close().await;
    Ok(names)
}

async fn account(platform: &Platform, catalog: &Catalog, name: &str, number: u64) -> Result<()> {
    let account: AccountId = name.parse()?;
    let made = catalog.create_account(&account, None).await?;
    let bucket = Platform::bucket(name);
    let aws_account = format!("{:012}", 111_100_000_000_u64 + number);
    let arn = format!("arn:aws:iam::{aws_account}:role/callferry");
    platform.lab.create_bucket(&bucket, &aws_account)?;
    let role = Role::new(&arn, Policy::bucket(&bucket, "", &OBJECTS))
        .external_id(&made.external_id)
        .trusting("callferry");
    platform.lab.put_role(role);
    let store = Store::S3(S3Bucket {
        bucket,
        region: REGION.to_owned(),
        role_arn: Some(arn),
        endpoint: Some(platform.lab.endpoint()),
        prefix: String::new(),
        kms_key: None,
        storage_class: None,
        expected_owner: Some(aws_account),
        options: S3Options::default(),
    });
    let owner = DestinationOwner::Account(account);
    let set = catalog
        .set_destination(&owner, &store, None, &Approval::Forced(None))
        .await?;
    anyhow::ensure!(set.revision > 0, "no revision");
    Ok(())
}

/// Publishes an event for each recording, in random order over all accounts, past the command
/// line, which knows one account at a time.
pub(crate) async fn publish(platform: &Platform, staged: &Produce, seed: u64) -> Result<()> {
    let mut events = Vec::new();
    for ((account, id), one) in staged {
        let path = format!("{account}/2026/11/23/{id}.wav");
        let event = json!({
            "specversion": "1.0", "id": format!("{account}-{id}"), "source": "urn:accounts",
            "type": "callferry.recording.completed.v1",
            "data": {
                "recording_id": id, "account_id": account, "interaction_id": "call-1",
                "kind": "call", "media_type": "audio/wav",
                "started_at": "2026-11-23T09:58:00Z", "completed_at": "2026-11-23T10:00:00Z",
                "original": {"path": path, "size_bytes": one.size_bytes, "sha256": one.sha256}
            }
        });
        events.push(event.to_string());
    }
    events.shuffle(&mut StdRng::seed_from_u64(seed));
    let published = events
        .iter()
        .map(|event| platform.publish_raw("recording.completed.v1", event));
    let published: Vec<()> = iter(published)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
        .context("publishing")?;
    anyhow::ensure!(published.len() == staged.len(), "not all were published");
    Ok(())
}
