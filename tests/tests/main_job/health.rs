//! A customer's bucket denies: others are told once, its recordings wait almost without a request,
//! and the repair alone delivers what waited and is told once.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::load::{self, Load};
use callferry_tests::patience;
use callferry_tests::platform::Platform;
use callferry_tests::s3::{Operation, Policy};
use serde_json::Value;

use super::news::{listen, news};
use super::setting::{LONG, Setting};

/// Waits until as many recordings of acme are parked.
async fn parked(setting: &Setting, n: usize) -> Result<()> {
    patience::until("acme's recordings are parked", LONG, async || {
        let list = [
            "recording",
            "list",
            "--account",
            "acme",
            "--state",
            "parked",
        ];
        let listed = setting
            .platform
            .json(&[&list[..], &["--limit", "1000"]].concat())
            .await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let rows = listed.as_array().context("no array")?;
        Ok((rows.len() >= n).then_some(()))
    })
    .await
}

async fn probes(setting: &Setting) -> Result<f64> {
    let housekeeping = setting.fleet.last().context("no housekeeping")?;
    let name = "callferry_destination_probes_total";
    housekeeping.metric(name, "").await
}

async fn health(setting: &Setting) -> Result<Value> {
    let shown = setting.platform.json(&["destination", "show", "acme"]);
    shown.await
}

/// Waits for five probes and compares with what the bucket was asked meanwhile.
async fn few_requests(setting: &Setting) -> Result<()> {
    let before = probes(setting).await?;
    setting.platform.lab.clear_history();
    patience::until("five probes were sent", LONG, async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok((probes(setting).await? >= before + 5.0).then_some(()))
    })
    .await?;
    let history = setting.platform.lab.history();
    let sent = probes(setting).await? - before;
    let bucket = Platform::bucket("acme");
    let asked: Vec<_> = history
        .iter()
        .filter(|seen| seen.bucket.as_ref() == Some(&bucket))
        .collect();
    let keys: BTreeSet<_> = asked.iter().filter_map(|seen| seen.key.clone()).collect();
    let writes = asked
        .iter()
        .filter(|seen| seen.operation == Operation::PutObject);
    let (writes, keys, asked) = (writes.count(), keys.len(), asked.len());
    // One more was under way when the count began.
    let most = |each: f64| (sent + 1.0) * each;
    let count = |n: usize| u32::try_from(n).map(f64::from);
    assert!(
        count(writes)? <= most(1.0),
        "{writes} writes, {sent} probes"
    );
    assert!(count(keys)? <= most(1.0), "{keys} keys, {sent} probes");
    assert!(
        count(asked)? <= most(4.0),
        "{asked} requests, {sent} probes"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_denies_is_told_once_and_left_alone_until_it_works_again() -> Result<()> {
    let mut setting = Setting::new("health").await?;
    for (key, value) in [("PROBE_S", "1"), ("PROBE_CAP_S", "2"), ("SETTLE_S", "1")] {
        let key = format!("CALLFERRY_DRIVE_{key}");
        setting.platform.fleet.set(&key, value);
    }
    listen(&setting.platform).await?;
    let shown = health(&setting).await?;
    assert_eq!(shown["health"], "healthy", "{shown}");
    let arn = shown["role_arn"].as_str().context("no role")?.to_owned();
    let bucket = Platform::bucket("acme");
    let narrow = Policy::bucket(&bucket, "", &["s3:GetObject", "s3:GetObjectVersion"]);
    let mut whole = None;
    setting.platform.lab.change_role(&arn, |role| {
        whole = Some(std::mem::replace(&mut role.permissions, narrow));
    });

    setting
        .start(&["transfer", "cleanup", "housekeeping"])
        .await?;
    let of = |account: &str, recordings, seed| Load {
        accounts: vec![account.to_owned()],
        recordings,
        size_bytes: 2000,
        seed,
    };
    let (acme, globex) = (of("acme", 200, 7), of("globex", 20, 8));
    let mut produce = acme.stage(&setting.platform)?;
    produce.extend(globex.stage(&setting.platform)?);
    acme.publish(&setting.platform).await?;
    globex.publish(&setting.platform).await?;
    load::until_released(&setting.platform, 20, LONG).await?;
    parked(&setting, 200).await?;

    let shown = health(&setting).await?;
    assert_eq!(shown["health"], "unhealthy", "{shown}");
    assert_eq!(shown["reason"], "access_denied", "{shown}");
    assert_eq!(shown["held_back"], true, "{shown}");
    let status = setting.platform.json(&["status"]).await?;
    assert_eq!(status["destinations"]["unhealthy"], 1, "{status}");

    few_requests(&setting).await?;
    // What is announced now waits with the others, for the same reason.
    let late = of("acme", 5, 9);
    produce.extend(late.stage(&setting.platform)?);
    late.publish(&setting.platform).await?;
    setting
        .parked("acme", "rec-9-00004", "access_denied")
        .await?;
    few_requests(&setting).await?;
    let told = news(&setting.platform).await?;
    assert_eq!(told.len(), 1, "{told:#?}");
    let event = &told[0];
    assert_eq!(event["type"], "callferry.destination.unhealthy.v1");
    assert_eq!(event["data"]["account_id"], "acme");
    assert_eq!(event["data"]["reason"], "access_denied");
    assert_eq!(event["data"]["location"], format!("s3://{bucket}"));

    setting.platform.lab.change_role(&arn, |role| {
        role.permissions = whole.take().expect("it was replaced once");
    });
    load::until_released(&setting.platform, 225, LONG).await?;
    let healed = patience::until("the repair is told", LONG, async || {
        let told = news(&setting.platform).await?;
        Ok((!told.is_empty()).then_some(told))
    });
    let told = healed.await?;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0]["type"], "callferry.destination.healthy.v1");
    let shown = health(&setting).await?;
    assert_eq!(shown["health"], "healthy", "{shown}");
    setting.stop().await?;
    let differences = load::differences(&setting.platform, &produce, None).await?;
    assert_eq!(differences, Vec::<String>::new());
    Ok(())
}
