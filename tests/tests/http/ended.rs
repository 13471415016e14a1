//! Recordings of one account in two clouds, after a switch: heard from both, until their time ends
//! in both.

use anyhow::{Context, Result};
use callferry_tests::load::{self, Produce, Witness};
use callferry_tests::patience;
use callferry_tests::platform::{AzureAccess, Platform};
use callferry_tests::scratch::Scratch;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::played::{heard, listener, store};
use super::served::{LONG, Served};

/// Retention is counted in days: what a test cannot wait for is written by the database's owner.
async fn ends(platform: &Platform, account: &str, when: &str) -> Result<()> {
    let sql = format!(
        "update recordings set retain_until = now() + interval '{when}' \
         where account_id = '{account}'; \
         update retention_pace set next_at = now() where account_id = '{account}'"
    );
    platform.postgres.sql("callferry", &sql).await.map(drop)
}

async fn state(platform: &Platform, id: &str) -> Result<Value> {
    platform
        .json(&["recording", "show", "--account", "acme", id])
        .await
}

/// Four recordings of `acme`, two in each cloud, and two of another account, all released.
async fn in_two_clouds(platform: &mut Platform) -> Result<Produce> {
    platform.account("acme").await?;
    platform.account("other").await?;
    let mut staged = store(platform, &["acme", "other"], 0x75).await?;
    platform
        .azure_destination("acme", AzureAccess::ServicePrincipal)
        .await?;
    staged.extend(store(platform, &["acme"], 0x76).await?);
    let mut cleanup = platform.fleet.start_ready("cleanup", &["cleanup"]).await?;
    load::until_released(platform, u64::try_from(staged.len())?, LONG).await?;
    cleanup.stop(LONG).await?;
    let in_s3 = platform.auditor().fetch("acme-recordings").await?.len();
    let in_azure = platform.azure_objects("acme-recordings").await?.len();
    assert_eq!((in_s3, in_azure, staged.len()), (2, 2, 6));
    Ok(staged)
}

/// Each event has a receipt that says what was there, and how it was seen to be gone.
async fn all_valid(served: &Served, events: &[String], staged: &Produce) -> Result<()> {
    let platform = &served.platform;
    let keys = served.scratch.path().join("keys.json");
    let published = platform.json(&["receipt", "keys"]).await?;
    std::fs::write(&keys, published.to_string())?;
    let (keys, file) = (
        keys.display().to_string(),
        served.scratch.path().join("event"),
    );
    for event in events {
        std::fs::write(&file, event)?;
        let event = file.display().to_string();
        let verify = ["receipt", "verify", &event, "--public-key", &keys];
        let answer = platform.json(&verify).await?;
        let statement = &answer["statement"];
        let id = statement["recording_id"].as_str().context("no id")?;
        let produced = staged.get(&("acme".to_owned(), id.to_owned()));
        let produced = produced.context("not of this account")?;
        assert_eq!(statement["sha256"], produced.sha256.as_str(), "{answer}");
        assert_eq!(statement["reason"], "retention", "{answer}");
        assert_eq!(statement["method"], "nothing_at_the_key", "{answer}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_in_two_clouds_of_one_account_play_and_expire_in_both() -> Result<()> {
    let scratch = Scratch::new("http-ended")?;
    let mut platform = Platform::start(scratch.path()).await?;
    if !platform.start_azure().await? {
        return Ok(());
    }
    let file = scratch.path().join("receipt-key").display().to_string();
    platform.json(&["receipt-key", "new", &file]).await?;
    platform.fleet.set("CALLFERRY_RECEIPT_KEY_FILE", file);
    let witness = Witness::of(&platform, "recording.expired.v1").await?;
    let staged = in_two_clouds(&mut platform).await?;
    let served = Served::of(platform, scratch, &[]).await?;
    let platform = &served.platform;
    heard(&served, &listener(platform)?, &staged).await?;
    let ids: Vec<_> = staged
        .keys()
        .filter(|(account, _)| account == "acme")
        .collect();
    let token = served.token(Some("acme"), "recordings:play")?;
    let play = |id: &str| format!("GET /v1/recordings/{id}/playback?format=json");

    // No URL is good for longer than there is anything to hear.
    ends(platform, "acme", "60 seconds").await?;
    let now = platform
        .postgres
        .sql("callferry", "select now() at time zone 'utc'")
        .await?;
    let now: DateTime<Utc> = format!("{}Z", now.trim()).parse()?;
    for (_, id) in &ids {
        let granted = served.ask_as(&token, &play(id), None).await?.must(200);
        let until: DateTime<Utc> = granted["expires_at"].as_str().context("no end")?.parse()?;
        assert!(until <= now + TimeDelta::seconds(61), "{granted}");
    }
    ends(platform, "acme", "-1 seconds").await?;
    for (_, id) in &ids {
        let refused = served.ask_as(&token, &play(id), None).await?.must(410);
        assert_eq!(
            refused["type"], "urn:callferry:problem:expired",
            "{refused}"
        );
    }
    let mut sweeper = platform
        .fleet
        .start_ready("sweeper", &["housekeeping"])
        .await?;
    for (_, id) in &ids {
        patience::until("it is expired", LONG, async || {
            Ok((state(platform, id).await?["state"] == "expired").then_some(()))
        })
        .await?;
        served.ask_as(&token, &play(id), None).await?.must(410);
    }
    assert!(
        platform
            .auditor()
            .fetch("acme-recordings")
            .await?
            .is_empty()
    );
    assert!(platform.azure_objects("acme-recordings").await?.is_empty());
    assert_eq!(platform.auditor().fetch("other-recordings").await?.len(), 2);
    let mut events = Vec::new();
    patience::until("all are told", LONG, async || {
        events.extend(witness.read(platform).await?);
        Ok((events.len() >= ids.len()).then_some(()))
    })
    .await?;
    all_valid(&served, &events, &staged).await?;
    sweeper.stop(LONG).await
}
