//! How a worker process begins and ends, on servers that come and go.

use std::time::Duration;

use anyhow::Result;
use callferry_tests::fleet::{Fleet, Member};
use callferry_tests::patience;
use callferry_tests::platform::Platform;
use callferry_tests::scratch::Scratch;
use serde_json::Value;

/// Bounds every wait; nothing is judged by how long it took.
const LONG: Duration = Duration::from_secs(120);

async fn ends_with(fleet: &Fleet, name: &str, own: &[(&str, &str)], says: &str) -> Result<()> {
    let mut member = fleet.start_with(name, &["transfer"], own)?;
    let status = member.wait(LONG).await?;
    let log = member.log_text()?;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("error: ") && log.contains("\nhint: "), "{log}");
    assert!(log.contains(says), "{says}: {log}");
    Ok(())
}

#[tokio::test]
async fn a_process_refuses_what_waiting_does_not_mend() -> Result<()> {
    let scratch = Scratch::new("running-refused")?;
    let mut platform = Platform::start(scratch.path()).await?;
    let empty = platform.postgres.create_database("empty").await?;
    let own = [("CALLFERRY_DATABASE_URL", empty.as_str())];
    ends_with(&platform.fleet, "old-schema", &own, "callferry migrate").await?;

    let other = scratch.folder("other")?;
    let marker = other.join(".callferry-staging");
    std::fs::write(marker, "a6f3f1c8-7d0f-4a8e-9d26-3f5b8d1a2c4e\n")?;
    let url = format!("file://{}", other.display());
    let own = [("CALLFERRY_STAGING_URL", url.as_str())];
    ends_with(
        &platform.fleet,
        "other-staging",
        &own,
        "another installation",
    )
    .await?;
    let refused = platform.fleet.clone().with("CALLFERRY_STAGING_URL", url);
    let refused = refused.run(&["migrate"]).await?;
    assert_eq!(refused.code, Some(1), "{refused:?}");

    let database = platform
        .postgres
        .sql("callferry", "select current_database()")
        .await?;
    let forget = format!(
        "alter database {} set synchronous_commit = off",
        database.trim()
    );
    platform.postgres.sql("callferry", &forget).await?;
    ends_with(&platform.fleet, "forgetful", &[], "synchronous_commit").await
}

#[tokio::test]
async fn a_process_waits_for_staging_that_is_not_mounted_yet() -> Result<()> {
    let scratch = Scratch::new("running-unmounted")?;
    let platform = Platform::start(scratch.path()).await?;
    let marker = platform.staging.join(".callferry-staging");
    let away = scratch.path().join("marker");
    std::fs::rename(&marker, &away)?;
    let mut member = platform.fleet.start("cleanup", &["cleanup"])?;
    patience::until("it says what it waits for", LONG, async || {
        let (_, text) = member.page("/readyz").await.unwrap_or_default();
        Ok(text.contains("marker").then_some(()))
    })
    .await?;
    std::fs::rename(&away, &marker)?;
    member.ready(LONG).await?;
    std::fs::rename(&marker, &away)?;
    member.unready(LONG).await?;
    std::fs::rename(&away, &marker)?;
    member.ready(LONG).await?;
    member.stop(LONG).await
}

/// What each part of a process counts is in its metrics.
async fn the_parts_are_measured(member: &Member) -> Result<()> {
    let metrics = member.metrics().await?;
    assert!(
        metrics.contains("callferry_part_ready{part=\"ledger\"} 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("callferry_broker_sessions{side=\"publish\"} 1"),
        "{metrics}"
    );
    for (series, labels) in [
        ("callferry_broker_sessions", "side=\"consume\""),
        ("callferry_ledger_connections", "state=\"max\""),
        (
            "callferry_ledger_statement_seconds_count",
            "statement=\"probe\"",
        ),
    ] {
        let value = member.metric(series, labels).await?;
        assert!(value >= 1.0, "{series}: {metrics}");
    }
    patience::until("housekeeping has read the ledger", LONG, async || {
        let read = member.metric("callferry_ledger_reading_timestamp_seconds", "");
        Ok((read.await? > 1e9).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_process_lives_through_servers_that_are_down_and_stops_in_order() -> Result<()> {
    let scratch = Scratch::new("running-outages")?;
    let mut platform = Platform::private(scratch.path()).await?;
    platform.postgres.stop().await?;
    platform.rabbit.stop().await?;
    let mut member = platform.fleet.start("all", &["all"])?;
    patience::until("it is alive and says what it waits for", LONG, async || {
        let alive = matches!(member.page("/livez").await, Ok((200, _)));
        let (status, text) = member.page("/readyz").await.unwrap_or_default();
        let report: Value = serde_json::from_str(&text).unwrap_or_default();
        let waits = report["parts"]["ledger"]["ok"] == false;
        Ok((alive && status == 503 && waits).then_some(()))
    })
    .await?;
    platform.postgres.restart().await?;
    let waits = "it waits for the broker";
    patience::until(waits, LONG, async || {
        let (_, text) = member.page("/readyz").await?;
        let report: Value = serde_json::from_str(&text)?;
        let parts = &report["parts"];
        let broker = parts["publisher"]["ok"] == false;
        Ok((broker && parts["ledger"]["ok"] == true).then_some(()))
    })
    .await?;
    platform.rabbit.restart().await?;
    member.ready(LONG).await?;
    the_parts_are_measured(&member).await?;

    platform.rabbit.kill9()?;
    member.unready(LONG).await?;
    platform.rabbit.restart().await?;
    member.ready(LONG).await?;
    platform.postgres.kill9()?;
    member.unready(LONG).await?;
    platform.postgres.restart().await?;
    member.ready(LONG).await?;
    member.stop(LONG).await?;
    let log = member.log_text()?;
    assert!(log.contains("stopped"), "{log}");
    let url = platform.postgres.url("callferry");
    let password = url.split([':', '@']).nth(2).unwrap_or_default();
    assert!(!password.is_empty() && !log.contains(password), "{log}");
    assert!(!log.contains("guest:guest"), "{log}");

    // Nothing is there and nothing ever was: it stops in order all the same.
    platform.postgres.stop().await?;
    let mut early = platform.fleet.start("early", &["all"])?;
    patience::until("it is alive", LONG, async || {
        Ok(early.page("/livez").await.ok().map(drop))
    })
    .await?;
    early.stop(LONG).await
}

/// A process with a delivery in hand that cannot go on: the ledger is frozen.
async fn stuck(platform: &mut Platform, name: &str, drain_s: &str) -> Result<Member> {
    let own = [
        ("CALLFERRY_DRAIN_S", drain_s),
        ("CALLFERRY_DRIVE_OUTAGE_S", "600"),
    ];
    let mut member = platform.fleet.start_with(name, &["transfer"], &own)?;
    member.ready(LONG).await?;
    platform.postgres.freeze()?;
    std::fs::create_dir_all(platform.staging.join("acme"))?;
    std::fs::write(platform.staging.join("acme/rec-1.wav"), "one")?;
    let publish = ["publish", "--account", "acme", "acme"];
    platform.fleet.must(&publish).await?;
    patience::until("the delivery is in hand", LONG, async || {
        let deliveries = member.metric("callferry_broker_deliveries_total", "");
        Ok((deliveries.await? > 0.0).then_some(()))
    })
    .await?;
    member.sigterm()?;
    patience::until("it drains", LONG, async || {
        Ok(member.log_text()?.contains("draining").then_some(()))
    })
    .await?;
    Ok(member)
}

#[tokio::test]
async fn a_second_signal_ends_a_process_at_once() -> Result<()> {
    let scratch = Scratch::new("running-second-signal")?;
    let mut platform = Platform::private(scratch.path()).await?;
    platform.account("acme").await?;
    let mut member = stuck(&mut platform, "stuck", "600").await?;
    assert!(member.runs()?, "it waits for what is in hand");
    member.sigterm()?;
    let status = member.wait(LONG).await?;
    assert_eq!(status.code(), Some(1));
    let log = member.log_text()?;
    assert!(log.contains("stopped at once"), "{log}");
    platform.postgres.thaw()
}

#[tokio::test]
async fn what_does_not_end_in_time_is_dropped_and_comes_again() -> Result<()> {
    let scratch = Scratch::new("running-deadline")?;
    let mut platform = Platform::private(scratch.path()).await?;
    platform.account("acme").await?;
    let mut member = stuck(&mut platform, "late", "2").await?;
    let status = member.wait(LONG).await?;
    let log = member.log_text()?;
    assert_eq!(status.code(), Some(0), "{log}");
    platform.postgres.thaw()?;
    let mut next = platform.fleet.start_ready("next", &["all"]).await?;
    patience::until("the recording is released", LONG, async || {
        let show = ["recording", "show", "--account", "acme", "rec-1", "--json"];
        let shown = platform.fleet.run(&show).await?.json().unwrap_or_default();
        Ok((shown["state"] == "released").then_some(()))
    })
    .await?;
    next.stop(LONG).await
}
