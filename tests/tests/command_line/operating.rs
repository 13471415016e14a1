//! What an operator does from an empty installation on, with and without a worker.

#![expect(
    clippy::indexing_slicing,
    reason = "a key that an answer lacks reads as null, and the comparison fails"
)]

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::fleet::Outcome;
use callferry_tests::patience;
use callferry_tests::platform::{Platform, REGION};
use callferry_tests::scratch::Scratch;
use serde_json::Value;

/// Bounds every wait; nothing is judged by how long it took.
const LONG: Duration = Duration::from_secs(120);

fn stage(staging: &Path, path: &str, bytes: &str) -> Result<()> {
    let file = staging.join(path);
    std::fs::create_dir_all(file.parent().context("no folder")?)?;
    Ok(std::fs::write(file, bytes)?)
}

fn assert_refused(outcome: &Outcome, says: &str) {
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stdout.is_empty(), "{outcome:?}");
    assert!(outcome.stderr.contains(says), "{says}: {outcome:?}");
    assert!(outcome.stderr.contains("\nhint: "), "{outcome:?}");
}

#[tokio::test]
async fn accounts_and_destinations_are_set_listed_and_shown() -> Result<()> {
    let scratch = Scratch::new("operating-accounts")?;
    let platform = Platform::start(scratch.path()).await?;
    let fleet = &platform.fleet;
    assert_eq!(
        platform.json(&["account", "list"]).await?,
        Value::Array(vec![])
    );
    let empty = fleet.must(&["account", "list"]).await?;
    assert_eq!(empty.stdout, "No accounts.\n");

    platform
        .json(&["account", "create", "acme", "--name", "Acme Ltd"])
        .await?;
    let shown = platform.json(&["account", "show", "acme"]).await?;
    assert_eq!(
        (&shown["account_id"], &shown["name"]),
        (&"acme".into(), &"Acme Ltd".into())
    );
    let external_id = shown["external_id"].as_str().context("no external id")?;
    assert!(external_id.len() >= 32, "{external_id}");
    assert_refused(&fleet.run(&["account", "create", "acme"]).await?, "exists");
    assert_refused(&fleet.run(&["account", "show", "beta"]).await?, "beta");
    let table = fleet.must(&["account", "list"]).await?;
    assert!(
        table.stdout.contains("ACCOUNT_ID") && table.stdout.contains("acme"),
        "{table:?}"
    );

    let set = [
        "destination",
        "set",
        "acme",
        "s3",
        "--bucket",
        "acme-calls",
        "--region",
        REGION,
        "--endpoint",
        "http://127.0.0.1:1025",
        "--force",
    ];
    let role = [
        "--role-arn",
        "arn:aws:iam::123456789012:role/callferry",
        "--prefix",
        "calls",
    ];
    assert_refused(&fleet.run(&["destination", "show", "acme"]).await?, "acme");
    platform.json(&[&set[..], &role[..]].concat()).await?;
    platform
        .json(&[&set[..], &role[..3], &["cold"]].concat())
        .await?;
    let shown = platform.json(&["destination", "show", "acme"]).await?;
    let text = shown.to_string();
    assert!(
        text.contains("acme-calls") && text.contains("123456789012"),
        "{text}"
    );
    let listed = platform.json(&["destination", "list", "acme"]).await?;
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    let table = fleet.must(&["destination", "list"]).await?;
    assert!(table.stdout.contains("acme-calls"), "{table:?}");
    Ok(())
}

#[tokio::test]
async fn the_topology_is_declared_checked_and_exported_and_publishing_needs_it() -> Result<()> {
    let scratch = Scratch::new("operating-topology")?;
    let mut platform = Platform::start(scratch.path()).await?;
    let management = platform.rabbit.management().url_with_credentials()?;
    platform
        .fleet
        .set("CALLFERRY_AMQP_MANAGEMENT_URL", management);
    let sound = platform.json(&["topology", "check"]).await?;
    assert_eq!(sound["sound"], true, "{sound}");

    let (exchange, key) = ("callferry.recordings", "recording.completed.v1");
    platform
        .rabbit
        .delete_binding(exchange, "callferry.transfer", key)
        .await?;
    let unsound = platform.fleet.run(&["topology", "check", "--json"]).await?;
    assert_eq!(
        (unsound.code, &unsound.json()?["sound"]),
        (Some(1), &Value::Bool(false))
    );
    assert!(unsound.stderr.contains("topology apply"), "{unsound:?}");
    stage(&platform.staging, "acme/rec-1.wav", "one")?;
    let publish = ["publish", "--account", "acme", "acme"];
    let lost = platform.fleet.run(&publish).await?;
    assert_eq!(lost.code, Some(1), "{lost:?}");
    assert!(lost.stderr.contains("no queue is bound"), "{lost:?}");

    platform.fleet.must(&["topology", "apply"]).await?;
    platform.fleet.must(&["topology", "apply"]).await?;
    platform.fleet.must(&["topology", "check"]).await?;
    platform.fleet.must(&publish).await?;
    let exported = platform.fleet.must(&["topology", "export"]).await?.json()?;
    assert!(exported["queues"].is_array(), "{exported}");
    platform.rabbit.delete_queue("callferry.transfer").await?;
    assert_refused(&platform.fleet.run(&publish).await?, "callferry.transfer");
    Ok(())
}

#[tokio::test]
async fn a_recording_is_published_parked_retried_stored_and_shown() -> Result<()> {
    let scratch = Scratch::new("operating-job")?;
    let mut platform = Platform::start(scratch.path()).await?;
    let external_id = platform.plain_account("acme").await?;
    stage(&platform.staging, "acme/2026/rec-1.wav", "one")?;
    stage(&platform.staging, "acme/2026/rec-2.wav", "")?;
    stage(&platform.staging, "acme/2026/.rec-3.part", "unfinished")?;
    let mut member = platform.fleet.start_ready("all", &["all"]).await?;
    let absolute = platform.staging.join("acme").display().to_string();
    let publish = ["publish", "--account", "acme", "--sha256", &absolute];
    let published = platform.json(&publish).await?;
    assert_eq!(published["published"], 2, "{published}");
    assert_eq!(
        published["skipped"].as_array().map(Vec::len),
        Some(1),
        "{published}"
    );

    both_are_parked_and_one_is_retried(&platform).await?;
    platform.destination("acme", &external_id).await?;
    both_are_released_and_shown(&platform).await?;
    let again = platform.json(&["publish", "--account", "acme", "acme"]);
    assert!(again.await.is_err(), "the originals are gone");
    member.stop(LONG).await
}

async fn both_are_parked_and_one_is_retried(platform: &Platform) -> Result<()> {
    let list = ["parked", "list", "--account", "acme"];
    let listed = patience::until("both are parked", LONG, async || {
        let listed = platform.json(&list).await?;
        Ok((listed.as_array().map(Vec::len) == Some(2)).then_some(listed))
    });
    assert_eq!(listed.await?[0]["reason"], "no_destination");
    let table = platform.fleet.must(&["parked", "list"]).await?;
    assert!(table.stdout.contains("no_destination"), "{table:?}");
    let status = platform.json(&["status"]).await?;
    assert_eq!(status["parked"]["no_destination"], 2, "{status}");
    assert!(
        status["oldest_s"]["parked"]["no_destination"].is_u64(),
        "{status}"
    );
    let status = platform.fleet.must(&["status"]).await?;
    for says in [
        "Parked",
        "no_destination",
        "Accounts with most open recordings",
        "acme",
    ] {
        assert!(status.stdout.contains(says), "{says}: {status:?}");
    }
    let retry = ["parked", "retry", "--account", "acme"];
    let retried = platform.json(&[&retry[..], &["rec-1"]].concat()).await?;
    assert_eq!(retried["due"], 1, "{retried}");
    let unknown = [&retry[..], &["rec-9"]].concat();
    let unknown = platform.fleet.run(&unknown).await?;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    Ok(())
}

async fn both_are_released_and_shown(platform: &Platform) -> Result<()> {
    let list = ["recording", "list", "--account", "acme"];
    let list = [&list[..], &["--state", "released"]].concat();
    patience::until("both are released", LONG, async || {
        let listed = platform.json(&list).await?;
        Ok((listed.as_array().map(Vec::len) == Some(2)).then_some(()))
    })
    .await?;
    let show = ["recording", "show", "--account", "acme", "rec-1"];
    let shown = platform.json(&show).await?;
    let location = shown["location"].as_str().unwrap_or_default();
    assert!(location.starts_with("s3://acme-"), "{shown}");
    assert_eq!(shown["receipt"]["size_bytes"], 3, "{shown}");
    let history = shown["history"].as_array().map_or(0, Vec::len);
    assert!(history >= 3, "{shown}");
    let readable = platform.fleet.must(&show).await?;
    assert!(readable.stdout.contains("receipt.sha256"), "{readable:?}");
    let status = platform.fleet.must(&["status"]).await?;
    assert!(status.stdout.contains("released"), "{status:?}");
    let status = platform.json(&["status"]).await?;
    assert_eq!(status["recordings"]["released"], 2, "{status}");
    assert_eq!(status["suspected"], 0, "{status}");
    Ok(())
}

#[tokio::test]
async fn a_quarantined_message_is_listed_shown_returned_and_dropped() -> Result<()> {
    let scratch = Scratch::new("operating-quarantine")?;
    let mut platform = Platform::start(scratch.path()).await?;
    let roles = ["transfer", "housekeeping"];
    let mut member = platform.fleet.start_ready("workers", &roles).await?;
    platform
        .publish_raw("recording.completed.v1", "not json \u{1b}[2J")
        .await?;
    let listed = async |rows: usize| {
        patience::until("the message is in the list", LONG, async || {
            let listed = platform.json(&["quarantine", "list"]).await?;
            Ok((listed.as_array().map(Vec::len) == Some(rows)).then_some(listed))
        })
        .await
    };
    let one = listed(1).await?;
    assert_eq!(one[0]["reason"], "not_json", "{one}");
    let id = one[0]["id"].to_string();
    let shown = platform.fleet.must(&["quarantine", "show", &id]).await?;
    assert!(shown.stdout.contains("not json"), "{shown:?}");
    assert!(!shown.stdout.contains('\u{1b}'), "{shown:?}");

    platform.json(&["quarantine", "requeue", &id]).await?;
    patience::until("it came back", LONG, async || {
        let listed = platform.json(&["quarantine", "list"]).await?;
        // A row of its own, or the same one counted twice: it depends on who was faster.
        let now = listed[0]["id"].as_i64().map(|now| now.to_string());
        let came_back = now.is_some_and(|now| now != id);
        Ok((came_back || listed[0]["count"] == 2).then_some(()))
    })
    .await?;
    let id = listed(1).await?[0]["id"].to_string();
    platform.json(&["quarantine", "drop", &id]).await?;
    listed(0).await?;
    let gone = platform.fleet.run(&["quarantine", "show", &id]).await?;
    assert_refused(&gone, &id);

    stage(&platform.staging, "later/rec-1.wav", "one")?;
    platform
        .json(&["publish", "--account", "later", "later"])
        .await?;
    assert_eq!(listed(1).await?[0]["reason"], "account_unknown");
    let created = platform.json(&["account", "create", "later"]).await?;
    assert_eq!(created["waiting_in_quarantine"], 1, "{created}");
    let show = ["recording", "show", "--account", "later", "rec-1"];
    platform.fleet.eventually(&show, LONG).await?;
    platform.default_destination().await?;
    member.stop(LONG).await
}
