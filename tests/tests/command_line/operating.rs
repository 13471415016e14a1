//! What an operator does from an empty installation on, with and without a worker.

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

    let show = ["recording", "show", "--account", "acme", "rec-1"];
    let state = async |wanted: &str| {
        let what = format!("rec-1 is {wanted}");
        patience::until(&what, LONG, async || {
            let shown = platform
                .fleet
                .run(&[&show[..], &["--json"]].concat())
                .await?;
            let row = shown.json().unwrap_or_default();
            Ok((row["state"] == wanted).then_some(row))
        })
        .await
    };
    let parked = state("parked").await?;
    assert_eq!(parked["reason"], "no_destination", "{parked}");
    patience::until("both are parked", LONG, async || {
        let list = ["parked", "list", "--account", "acme"];
        let listed = platform.json(&list).await?;
        Ok((listed.as_array().map(Vec::len) == Some(2)).then_some(()))
    })
    .await?;
    let table = platform.fleet.must(&["parked", "list"]).await?;
    assert!(table.stdout.contains("no_destination"), "{table:?}");
    let retried = platform
        .json(&["parked", "retry", "--account", "acme", "rec-1"])
        .await?;
    assert_eq!(retried["due"], 1, "{retried}");

    platform.destination("acme", &external_id).await?;
    let stored = patience::until("rec-1 is released", LONG, async || {
        let shown = platform.json(&show).await?;
        Ok((shown["state"] == "released").then_some(shown))
    });
    let stored = stored.await?;
    assert_eq!(
        stored["location"]
            .as_str()
            .map(|at| at.starts_with("s3://acme-")),
        Some(true)
    );
    assert_eq!(stored["receipt"]["size_bytes"], 3, "{stored}");
    assert!(
        stored["history"].as_array().is_some_and(|h| h.len() >= 3),
        "{stored}"
    );
    let readable = platform.fleet.must(&show).await?;
    assert!(readable.stdout.contains("receipt.sha256"), "{readable:?}");

    let again = platform
        .json(&["publish", "--account", "acme", "acme"])
        .await;
    assert!(
        again.is_err(),
        "the originals are gone: there is nothing to announce"
    );
    let list = [
        "recording",
        "list",
        "--account",
        "acme",
        "--state",
        "released",
    ];
    patience::until("both are released", LONG, async || {
        let listed = platform.json(&list).await?;
        Ok((listed.as_array().map(Vec::len) == Some(2)).then_some(()))
    })
    .await?;
    let status = platform.fleet.must(&["status"]).await?;
    assert!(status.stdout.contains("released"), "{status:?}");
    platform.json(&["status"]).await?;
    member.stop(LONG).await
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
        let came_back = listed[0]["id"].is_number() && listed[0]["id"].to_string() != id;
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
