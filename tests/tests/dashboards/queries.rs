//! Every panel's query and every alert's expression, asked of a real Prometheus that scrapes a real
//! fleet under load, with good recordings, bad events, a destination that refuses and a copy that
//! somebody overwrote.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use callferry_tests::patience;
use callferry_tests::platform::Platform;
use callferry_tests::servers::Prometheus;
use serde_json::{Value, json};

use super::board::{self, Query};
use super::rules;
use super::watched::Watched;

/// An event for a file that the recorder put elsewhere.
fn event(account: &str, id: &str, path: &str) -> String {
    let event = json!({
        "specversion": "1.0", "id": format!("odd-{id}"), "source": "urn:test:recorder",
        "type": "callferry.recording.completed.v1",
        "data": {
            "recording_id": id, "account_id": account, "interaction_id": id, "kind": "call",
            "media_type": "audio/wav",
            "started_at": "2026-11-22T09:58:00Z", "completed_at": "2026-11-22T10:00:00Z",
            "original": {"path": path, "size_bytes": 10}
        }
    });
    event.to_string()
}

async fn publish_what_is_bad(platform: &Platform) -> Result<()> {
    for event in [
        "{\"specversion\": oops".to_owned(),
        event("acme", "thief", "globex/2026/11/23/rec.wav"),
        event("nobody", "orphan", "nobody/a.wav"),
        event("globex", "absent", "globex/2026/11/23/absent.wav"),
    ] {
        platform
            .publish_raw("recording.completed.v1", &event)
            .await?;
    }
    Ok(())
}

/// Whether an answer holds a number: no series, and NaN for ever, draw nothing.
fn draws(series: &[Value]) -> bool {
    let values = series.iter().flat_map(|one| {
        let many = one["values"].as_array().cloned().unwrap_or_default();
        many.into_iter().chain(one.get("value").cloned())
    });
    let numbers = values.filter_map(|pair| pair[1].as_str()?.parse::<f64>().ok());
    numbers.into_iter().any(f64::is_finite)
}

async fn answered(prometheus: &Prometheus, query: &Query, span: Duration) -> Result<bool> {
    let series = if query.instant {
        prometheus.query(&query.expr).await?
    } else {
        prometheus.range(&query.expr, span).await?
    };
    Ok(draws(&series))
}

/// Recordings that are stored, parked, refused a release, released; and messages in quarantine.
async fn busy(watched: &mut Watched) -> Result<()> {
    watched.platform.account("initech").await?;
    watched.allow("initech", &["s3:GetObject"]).await?;
    watched
        .start(&["transfer", "transfer", "housekeeping"])
        .await?;
    watched.announce(&["acme", "globex"], 300, 1).await?;
    watched.announce(&["initech"], 12, 2).await?;
    publish_what_is_bad(&watched.platform).await?;
    watched.until("stored", 300).await?;
    let key = watched.key("acme", "rec-1-00000")?;
    let bucket = Platform::bucket("acme");
    watched
        .platform
        .lab
        .overwrite_object(&bucket, &key, &[7; 20_000])?;
    // Refused and looked at anew by hand: once before it is scraped and once after.
    watched.start(&["cleanup"]).await?;
    watched.until("released", 299).await?;
    watched.retry().await?;
    watched.announce(&["acme", "globex"], 60, 3).await?;
    watched.until("released", 359).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_dashboard_and_of_the_alerts_has_data_from_a_fleet_under_load()
-> Result<()> {
    let Some(mut watched) = Watched::new("dashboard-queries").await? else {
        return Ok(());
    };
    let began = Instant::now();
    busy(&mut watched).await?;
    let queries = board::queries(&board::dashboard()?);
    let mut empty = Vec::new();
    let all = patience::until(
        "every panel has data",
        Duration::from_secs(60),
        async || {
            empty.clear();
            for query in &queries {
                if !answered(&watched.prometheus, query, began.elapsed()).await? {
                    empty.push(format!("{}: {}", query.name, query.expr));
                }
            }
            Ok(empty.is_empty().then_some(()))
        },
    );
    let all = all.await;
    assert!(all.is_ok(), "{all:?}, without data:\n{}", empty.join("\n"));
    judged(&watched.prometheus).await?;
    named(&watched).await
}

/// Every rule as Prometheus holds it was evaluated without an error. Whether it fires when it
/// should is another test's; here, that each family it compares is there.
async fn judged(prometheus: &Prometheus) -> Result<()> {
    let held = prometheus.rules().await?;
    let groups = held["groups"].as_array().expect("groups");
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().expect("rules"));
    let mut seen = 0;
    for rule in rules {
        seen += 1;
        assert_eq!(rule["health"], "ok", "{rule}");
        let expr = rule["query"].as_str().expect("an expression");
        prometheus.query(expr).await?;
        for metric in board::metrics_named(expr) {
            assert!(
                draws(&prometheus.query(&metric).await?),
                "{metric} has no series: {expr}"
            );
        }
    }
    assert!(seen > 10, "the rules were not loaded: {held}");
    Ok(())
}

/// Every metric that the dashboard and the rules name is in a scrape.
async fn named(watched: &Watched) -> Result<()> {
    let mut families = BTreeSet::new();
    for member in &watched.members {
        let text = member.metrics().await?;
        let lines = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        families.extend(
            lines
                .filter_map(|line| line.split(' ').next())
                .map(str::to_owned),
        );
    }
    let whole = board::dashboard()?.to_string() + &rules::text()?;
    for metric in board::metrics_named(&whole) {
        let family = metric.trim_end_matches("_bucket");
        assert!(families.contains(family), "{family} is scraped from nobody");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_prometheus_cannot_read_keeps_it_from_starting() -> Result<()> {
    // The check of the checks: had a broken rule been ignored, nothing above would mean anything.
    let scratch = callferry_tests::scratch::Scratch::new("broken-rule")?;
    let broken = scratch.path().join("broken.yml");
    let text = rules::text()?.replace("max by (job) (callferry_suspected)", "max by (job (");
    std::fs::write(&broken, text)?;
    match Prometheus::start(&scratch.path().join("prometheus"), &[broken], None).await {
        Ok(None) => Ok(()),
        Ok(Some(_)) => anyhow::bail!("Prometheus took a rule that cannot be read"),
        Err(refusal) => {
            assert!(
                format!("{refusal:#}").contains("ended by itself"),
                "{refusal:#}"
            );
            Ok(())
        }
    }
}
