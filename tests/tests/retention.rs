//! The end of copies, end to end: a fleet, a broker, a database and stores; processes die at the
//! worst moment, and what was erased stays so.

#![expect(
    clippy::indexing_slicing,
    reason = "a test's own helper functions fail by panicking, as the test does"
)]

mod retention {
    pub(crate) mod originals;
    pub(crate) mod rerouted;
    pub(crate) mod reused_paths;
}

use std::time::Duration;

use anyhow::Result;
use callferry_tests::ending::{self, Wish};
use callferry_tests::load::{self, Load};
use callferry_tests::patience;
use callferry_tests::platform::Platform;
use callferry_tests::s3::{Fault, FaultRule, Operation};
use callferry_tests::scratch::Scratch;

const LONG: Duration = Duration::from_secs(240);
const DUPLICATE: &str = "outcome=\"duplicate\",role=\"transfer\"";
const WHY: [&str; 4] = ["--why", "request 4711", "--by", "Jo Doe"];

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_due_copies_go_and_each_that_stays_says_why() -> Result<()> {
    let scratch = Scratch::new("ending")?;
    let mut platform = Platform::start(scratch.path()).await?;
    let wish = Wish {
        s3: 100,
        azure: 40,
        size_bytes: 1000,
        limit: LONG,
    };
    let ended = ending::run(&mut platform, &wish).await?;
    assert_eq!(ended.differences, Vec::<String>::new(), "{:#?}", ended.rows);
    let preview = platform.json(&["retention", "preview", "locked"]).await?;
    assert_eq!(preview["would_go"], 0);
    assert_eq!(preview["kept"][0]["why"], "locked");
    let shown = platform
        .json(&["recording", "show", "--account", "locked", "rec-5-00000"])
        .await?;
    assert_eq!(shown["expiry"]["outcome"], "locked");
    assert!(shown["expiry"]["lock_until"].is_string(), "{shown}");
    Ok(())
}

/// A platform with one account and one released recording of it.
async fn released(scratch: &Scratch) -> Result<(Platform, Load)> {
    let mut platform = Platform::start(scratch.path()).await?;
    platform.fleet.set("CALLFERRY_LEASE_S", "10");
    platform.account("acme").await?;
    let load = Load {
        accounts: vec!["acme".to_owned()],
        recordings: 1,
        size_bytes: 1000,
        seed: 1,
    };
    load.stage(&platform)?;
    let mut members = Vec::new();
    for role in ["transfer", "cleanup"] {
        members.push(platform.fleet.start_ready(role, &[role]).await?);
    }
    load.publish(&platform).await?;
    load::until_released(&platform, 1, LONG).await?;
    for member in &mut members {
        member.stop(Duration::from_secs(60)).await?;
    }
    Ok((platform, load))
}

async fn erase(platform: &Platform) -> Result<serde_json::Value> {
    let erase = ["recording", "erase", "--account", "acme", "rec-1-00000"];
    platform.json(&[&erase[..], &WHY[..]].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_dies_between_deletion_and_ledger_leaves_the_proof_to_the_next() -> Result<()> {
    let scratch = Scratch::new("ending-crash")?;
    let (platform, load) = released(&scratch).await?;
    assert_eq!(erase(&platform).await?["state"], "released");
    // The store deletes, and its answer never comes.
    let rule = platform
        .lab
        .arm(FaultRule::on(Operation::DeleteObject, Fault::HangAfter));
    let mut one = platform.fleet.start_ready("one", &["housekeeping"]).await?;
    patience::until("the copy is deleted", LONG, async || {
        let left = platform.lab.versions(&Platform::bucket("acme"));
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(left.is_empty().then_some(()))
    })
    .await?;
    one.sigkill()?;
    one.wait(LONG).await?;
    platform.lab.clear_fault(rule);
    let shown = platform.json(&["recording", "show", "rec-1-00000"]).await?;
    assert_eq!(shown["state"], "released", "nobody saw that it is gone");
    assert!(shown["expiry"]["began_at"].is_string(), "{shown}");
    // Whoever places a hold now is told that it may be too late.
    let place = ["hold", "place", "--account", "acme", "--recording"];
    let who = ["rec-1-00000", "--reason", "case", "--by", "Jo Doe"];
    let placed = platform.json(&[&place[..], &who[..]].concat()).await?;
    assert_eq!(placed["too_late"][0]["recording_id"], "rec-1-00000");
    let mut two = platform.fleet.start_ready("two", &["housekeeping"]).await?;
    let shown = patience::until("it is erased", LONG, async || {
        let shown = platform.json(&["recording", "show", "rec-1-00000"]).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok((shown["state"] == "expired").then_some(shown))
    })
    .await?;
    let history = shown["history"].as_array().unwrap();
    let why = history.last().unwrap()["why"].as_str().unwrap();
    assert!(why.contains("erasure: 0 deleted"), "{why}");
    // The hold came too late for the copy and keeps the words; without it the erasure ends.
    assert!(shown["erased_at"].is_null(), "{shown}");
    let release = ["hold", "release", "--account", "acme"];
    let hold = placed["hold_id"].to_string();
    let who = [hold.as_str(), "--reason", "closed", "--by", "Jo Doe"];
    platform.json(&[&release[..], &who[..]].concat()).await?;
    assert!(erase(&platform).await?["erased_at"].is_string());
    two.stop(Duration::from_secs(60)).await?;
    // The event comes again, and the file with it: the tombstone answers.
    load.stage(&platform)?;
    let mut all = platform
        .fleet
        .start_ready("all", &["transfer", "cleanup", "housekeeping"])
        .await?;
    load.publish(&platform).await?;
    patience::until("the event is settled", LONG, async || {
        let settled = all.metric("callferry_outcomes_total", DUPLICATE).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(settled.ok().filter(|count| *count > 0.0).map(drop))
    })
    .await?;
    assert!(platform.lab.versions(&Platform::bucket("acme")).is_empty());
    let shown = platform.json(&["recording", "show", "rec-1-00000"]).await?;
    assert_eq!(shown["state"], "expired");
    assert_eq!(shown["interaction_id"], "erased");
    let quarantined = platform.json(&["quarantine", "list"]).await?;
    assert_eq!(quarantined, serde_json::json!([]));
    all.stop(Duration::from_secs(60)).await?;
    Ok(())
}
