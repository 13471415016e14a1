//! The daily check alone, by a housekeeping process and without a single recording: it finds a
//! destination that lost what it needs, tells it once with what is to be done, and heals it when
//! that was done.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::patience;
use callferry_tests::platform::{AzureAccess, Platform, TENANT};
use callferry_tests::s3::{Operation, Policy};
use serde_json::Value;

use super::news::{listen, news};
use super::setting::{LONG, Setting};

/// A setting whose housekeeping looks every second for checks that are due.
async fn watchful(name: &str) -> Result<Setting> {
    let mut setting = Setting::new(name).await?;
    for (key, value) in [("CHECK_POLL_S", "1"), ("SETTLE_S", "1")] {
        let key = format!("CALLFERRY_DRIVE_{key}");
        setting.platform.fleet.set(&key, value);
    }
    listen(&setting.platform).await?;
    Ok(setting)
}

/// A day passes: every check is due.
async fn a_day_passes(platform: &Platform) -> Result<()> {
    let due = "update destination_health set next_check_at = now()";
    platform.postgres.sql("callferry", due).await.map(drop)
}

/// Days pass until the account's destination is as expected.
async fn until(setting: &Setting, account: &str, health: &str) -> Result<Value> {
    let what = format!("the daily check finds {account} {health}");
    patience::until(&what, LONG, async || {
        a_day_passes(&setting.platform).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let show = ["destination", "show", account];
        let shown = setting.platform.json(&show).await?;
        Ok((shown["health"] == health).then_some(shown))
    })
    .await
}

/// The only event that comes, however many checks find the same.
async fn told(setting: &Setting) -> Result<Value> {
    let heard = patience::until("it is told", LONG, async || {
        let heard = news(&setting.platform).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok((!heard.is_empty()).then_some(heard))
    });
    let mut heard = heard.await?;
    let housekeeping = setting.fleet.last().context("no housekeeping")?;
    let name = "callferry_destination_checks_total";
    let before = housekeeping.metric(name, "").await?;
    a_day_passes(&setting.platform).await?;
    patience::until("they are checked once more", LONG, async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok((housekeeping.metric(name, "").await? >= before + 2.0).then_some(()))
    })
    .await?;
    // Longer than a change must last before it is told.
    tokio::time::sleep(Duration::from_secs(3)).await;
    heard.extend(news(&setting.platform).await?);
    assert_eq!(heard.len(), 1, "{heard:#?}");
    Ok(heard.remove(0))
}

/// What `destination show` and the event say is missing, and what is to be done.
fn names(told: &Value, capability: &str, word: &str) {
    let findings = told["findings"].as_array().expect("findings");
    let mut findings = findings.iter();
    let found = findings.find(|one| one["capability"] == capability);
    let remedy = found.and_then(|found| found["remedy"].as_str());
    let says = remedy.is_some_and(|remedy| remedy.contains(word));
    assert!(says, "{capability}: {told:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_was_lost_without_a_recording_is_found_told_and_its_return_too()
-> Result<()> {
    let mut setting = watchful("daily-s3").await?;
    let shown = setting.platform.json(&["destination", "show", "acme"]);
    let arn = shown.await?["role_arn"]
        .as_str()
        .context("no role")?
        .to_owned();
    let bucket = Platform::bucket("acme");
    let narrow = Policy::bucket(&bucket, "", &["s3:GetObject", "s3:GetObjectVersion"]);
    let mut whole = None;
    setting.platform.lab.change_role(&arn, |role| {
        whole = Some(std::mem::replace(&mut role.permissions, narrow));
    });
    setting.start(&["housekeeping"]).await?;
    let shown = until(&setting, "acme", "unhealthy").await?;
    assert_eq!(shown["reason"], "access_denied", "{shown:#}");
    assert_eq!(shown["held_back"], true, "{shown:#}");
    names(&shown, "put", "s3:PutObject");
    let event = told(&setting).await?;
    assert_eq!(event["type"], "callferry.destination.unhealthy.v1");
    assert_eq!(event["data"]["account_id"], "acme");
    assert_eq!(event["data"]["reason"], "access_denied");
    assert_eq!(event["data"]["recordings_waiting"], 0);
    names(&event["data"], "put", "s3:PutObject");
    // The other one was checked as often.
    let shown = setting.platform.json(&["destination", "show", "globex"]);
    assert_eq!(shown.await?["health"], "healthy");

    setting.platform.lab.change_role(&arn, |role| {
        role.permissions = whole.take().expect("it was replaced once");
    });
    let shown = until(&setting, "acme", "healthy").await?;
    assert_eq!(shown.get("findings"), None, "{shown:#}");
    let event = told(&setting).await?;
    assert_eq!(event["type"], "callferry.destination.healthy.v1");
    assert_eq!(event["data"]["account_id"], "acme");
    // Nothing was written there but the checks' own objects, and none of them is left.
    let history = setting.platform.lab.history();
    let mut written = history
        .iter()
        .filter(|seen| seen.operation == Operation::PutObject);
    assert!(written.all(|seen| {
        let key = seen.key.as_deref().unwrap_or_default();
        key.contains("callferry-check/")
    }));
    assert!(setting.platform.auditor().fetch(&bucket).await?.is_empty());
    setting.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_revoked_in_azure_is_found_told_and_its_return_too() -> Result<()> {
    let mut setting = watchful("daily-azure").await?;
    if !setting.platform.start_azure().await? {
        return Ok(());
    }
    let platform = &mut setting.platform;
    let access = AzureAccess::ServicePrincipal;
    platform.azure_account("initech", access).await?;
    let shown = platform.json(&["destination", "show", "initech"]).await?;
    let client = shown["client_id"].as_str().context("no client")?.to_owned();
    let secret = fs::read_to_string(platform.azure_secret("initech"))?;
    let entra = &platform.azure()?.entra;
    entra.register(TENANT, &client, "another-word-that-we-do-not-know");
    setting.start(&["housekeeping"]).await?;
    let shown = until(&setting, "initech", "unhealthy").await?;
    assert_eq!(shown["reason"], "credential_refused", "{shown:#}");
    names(&shown, "session", "secret");
    let event = told(&setting).await?;
    assert_eq!(event["type"], "callferry.destination.unhealthy.v1");
    assert_eq!(event["data"]["account_id"], "initech");
    assert_eq!(event["data"]["reason"], "credential_refused");
    names(&event["data"], "session", "secret");

    let entra = &setting.platform.azure()?.entra;
    entra.register(TENANT, &client, &secret);
    until(&setting, "initech", "healthy").await?;
    let event = told(&setting).await?;
    assert_eq!(event["type"], "callferry.destination.healthy.v1");
    assert_eq!(event["data"]["account_id"], "initech");
    setting.stop().await
}
