//! Erasures of what is not stored yet, end to end: the original goes from staging, whatever the
//! customer's bucket says, and nothing comes back.

use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::fleet::Member;
use callferry_tests::load::Load;
use callferry_tests::patience;
use callferry_tests::platform::{BucketKind, Platform, STAGING_BUCKET};
use callferry_tests::s3::{Fault, FaultRule, Operation, Policy};
use callferry_tests::scratch::Scratch;
use serde_json::{Value, json};

pub(crate) const LONG: Duration = Duration::from_secs(240);
const DUPLICATE: &str = "outcome=\"duplicate\",role=\"transfer\"";
const WHY: [&str; 4] = ["--why", "request 4711", "--by", "Jo Doe"];
pub(crate) const ALL: [&str; 3] = ["transfer", "cleanup", "housekeeping"];
const NEWS: &str = "news";

/// A platform that waits for nothing that was sent before, and the role of its one account.
pub(crate) async fn platform(scratch: &Scratch) -> Result<(Platform, String)> {
    let mut platform = Platform::start(scratch.path()).await?;
    platform.fleet.set("CALLFERRY_LEASE_S", "10");
    platform.fleet.set("CALLFERRY_DRIVE_LATE_WRITES_S", "1");
    let arn = platform.account("acme").await?;
    Ok((platform, arn))
}

pub(crate) fn load(size_bytes: usize) -> Load {
    Load {
        accounts: vec!["acme".to_owned()],
        recordings: 1,
        size_bytes,
        seed: 1,
    }
}

pub(crate) async fn shown(platform: &Platform) -> Result<Value> {
    platform.json(&["recording", "show", "rec-1-00000"]).await
}

pub(crate) async fn erase(platform: &Platform) -> Result<Value> {
    let erase = ["recording", "erase", "--account", "acme", "rec-1-00000"];
    platform.json(&[&erase[..], &WHY[..]].concat()).await
}

/// Waits until the recording is as asked.
pub(crate) async fn until(
    platform: &Platform,
    what: &str,
    is: impl Fn(&Value) -> bool,
) -> Result<Value> {
    patience::until(what, LONG, async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let shown = shown(platform).await.ok();
        Ok(shown.filter(|shown| is(shown)))
    })
    .await
}

/// Has it parked because its bucket denies everything, the whole fleet at work.
pub(crate) async fn denied(platform: &Platform, arn: &str, load: &Load) -> Result<Member> {
    let deny = |role: &mut callferry_tests::s3::Role| role.permissions = Policy::none();
    assert!(platform.lab.change_role(arn, deny));
    load.stage(platform)?;
    let all = platform.fleet.start_ready("all", &ALL).await?;
    load.publish(platform).await?;
    until(platform, "it is parked", |shown| shown["state"] == "parked").await?;
    Ok(all)
}

/// A queue of another service's, for what becomes of recordings.
async fn listen(platform: &Platform) -> Result<()> {
    let management = platform.rabbit.management();
    let vhost = platform.rabbit.vhost().replace('/', "%2F");
    let path = format!("/api/queues/{vhost}/{NEWS}");
    management
        .call("PUT", &path, Some(json!({"durable": true})))
        .await?;
    let path = format!("/api/bindings/{vhost}/e/callferry.recordings/q/{NEWS}");
    let binding = json!({"routing_key": "recording.expired.v1"});
    management.call("POST", &path, Some(binding)).await?;
    Ok(())
}

async fn news(platform: &Platform) -> Result<Value> {
    let vhost = platform.rabbit.vhost().replace('/', "%2F");
    let path = format!("/api/queues/{vhost}/{NEWS}/get");
    let ask = json!({"count": 100, "ackmode": "ack_requeue_true", "encoding": "auto"});
    patience::until("the news comes", LONG, async || {
        let answer = platform
            .rabbit
            .management()
            .call("POST", &path, Some(ask.clone()));
        let answer = answer.await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let payload = answer.pointer("/0/payload").and_then(Value::as_str);
        Ok(payload.map(serde_json::from_str).transpose()?)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bucket_denies_is_erased_and_a_replay_brings_nothing_back() -> Result<()> {
    let scratch = Scratch::new("erasing-denied")?;
    let (platform, arn) = platform(&scratch).await?;
    listen(&platform).await?;
    let load = load(1000);
    let mut all = denied(&platform, &arn, &load).await?;
    assert_eq!(platform.staged_files()?.len(), 1);
    erase(&platform).await?;
    // The original and the words go although the bucket still denies everything, and the copy that
    // may lie there is said to be kept.
    let kept = until(&platform, "the original is gone", |shown| {
        shown["erased_at"].is_string() && shown["expiry"]["outcome"].is_string()
    })
    .await?;
    assert_eq!(platform.staged_files()?, Vec::<String>::new());
    assert_eq!(kept["state"], "released");
    assert_eq!(kept["interaction_id"], "erased");
    assert!(
        kept["location"].is_null() && kept["receipt"].is_null(),
        "{kept}"
    );
    // The bucket is repaired; the file and its event come again.
    let repaired = Policy::bucket(
        &Platform::bucket("acme"),
        "",
        &[
            "s3:PutObject",
            "s3:GetObject",
            "s3:GetObjectVersion",
            "s3:AbortMultipartUpload",
            "s3:DeleteObject",
            "s3:DeleteObjectVersion",
        ],
    );
    assert!(
        platform
            .lab
            .change_role(&arn, |role| role.permissions = repaired)
    );
    load.stage(&platform)?;
    load.publish(&platform).await?;
    patience::until("the event is settled", LONG, async || {
        let settled = all.metric("callferry_outcomes_total", DUPLICATE).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(settled.ok().filter(|count| *count > 0.0).map(drop))
    })
    .await?;
    // It is looked at again within minutes; here at once, by whoever repaired the bucket.
    let soon = "update recordings set expiry_next_at = now(); \
         update retention_pace set next_at = now()";
    platform.postgres.sql("callferry", soon).await?;
    let shown = until(&platform, "it has expired", |shown| {
        shown["state"] == "expired"
    })
    .await?;
    assert!(platform.lab.versions(&Platform::bucket("acme")).is_empty());
    let told = news(&platform).await?;
    assert_eq!(told["type"], "callferry.recording.expired.v1");
    assert_eq!(told["data"]["why"], "erasure");
    let history = shown["history"].to_string();
    assert!(
        history.contains("without a proven copy: 1 deleted"),
        "{history}"
    );
    assert_eq!(platform.json(&["quarantine", "list"]).await?, json!([]));
    all.stop(Duration::from_secs(60)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_keeps_the_original_until_it_is_released() -> Result<()> {
    let scratch = Scratch::new("erasing-held")?;
    let (platform, arn) = platform(&scratch).await?;
    let load = load(1000);
    let mut all = denied(&platform, &arn, &load).await?;
    all.stop(Duration::from_secs(60)).await?;
    erase(&platform).await?;
    let place = [
        "hold",
        "place",
        "--account",
        "acme",
        "--recording",
        "rec-1-00000",
    ];
    let said = ["--reason", "case", "--by", "Jo Doe"];
    let placed = platform.json(&[&place[..], &said[..]].concat()).await?;
    let mut all = platform.fleet.start_ready("again", &ALL).await?;
    until(&platform, "the hold is met", |shown| {
        shown["expiry"]["outcome"] == "held"
    })
    .await?;
    assert_eq!(platform.staged_files()?.len(), 1);
    let hold = placed["hold_id"].to_string();
    let release = ["hold", "release", "--account", "acme", &hold];
    platform.json(&[&release[..], &said[..]].concat()).await?;
    until(&platform, "it is erased", |shown| {
        shown["erased_at"].is_string()
    })
    .await?;
    assert_eq!(platform.staged_files()?, Vec::<String>::new());
    all.stop(Duration::from_secs(60)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_in_the_middle_of_its_transfer_is_never_left_behind() -> Result<()> {
    let scratch = Scratch::new("erasing-sent")?;
    let (platform, _) = platform(&scratch).await?;
    platform.lab.set_latency(Duration::from_millis(700));
    let load = load(1000);
    load.stage(&platform)?;
    let mut all = platform.fleet.start_ready("all", &ALL).await?;
    load.publish(&platform).await?;
    until(&platform, "it is claimed", |shown| {
        shown["leased_until"].is_string()
    })
    .await?;
    erase(&platform).await?;
    let shown = until(&platform, "it has expired", |shown| {
        shown["state"] == "expired"
    })
    .await?;
    assert!(shown["erased_at"].is_string(), "{shown}");
    assert_eq!(platform.staged_files()?, Vec::<String>::new());
    assert!(platform.lab.versions(&Platform::bucket("acme")).is_empty());
    all.stop(Duration::from_secs(60)).await?;
    Ok(())
}

/// In a bucket of staging, whose answer can be kept back; with an upload in parts left open.
#[tokio::test(flavor = "multi_thread")]
async fn who_dies_after_the_deletion_is_healed_and_an_open_upload_is_ended() -> Result<()> {
    let scratch = Scratch::new("erasing-crash")?;
    let (mut platform, _) = platform(&scratch).await?;
    platform.stage_in(BucketKind::S3).await?;
    let bucket = Platform::bucket("acme");
    platform.fleet.set("CALLFERRY_PART_SIZE_BYTES", "5242880");
    // It dies in the middle of an upload in parts.
    let hung = platform.lab.arm(
        FaultRule::on(Operation::UploadPart, Fault::HangBefore)
            .bucket(&bucket)
            .after(1),
    );
    let load = load(16 << 20);
    load.stage(&platform)?;
    platform.move_staged(BucketKind::S3).await?;
    let mut one = platform.fleet.start_ready("one", &["transfer"]).await?;
    let publish = ["publish", "--account", "acme", "acme/2026/11/23"];
    platform.fleet.run(&publish).await?.success()?;
    patience::until("an upload is open", LONG, async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let open = !platform.lab.open_uploads(&bucket).is_empty();
        Ok((open && platform.lab.struck(hung) > 0).then_some(()))
    })
    .await?;
    one.sigkill()?;
    one.wait(LONG).await?;
    platform.lab.clear_fault(hung);
    erase(&platform).await?;
    // Staging deletes, and its answer never comes.
    let rule = platform.lab.arm(
        FaultRule::on(Operation::DeleteObject, Fault::HangAfter)
            .bucket(STAGING_BUCKET)
            .key_prefix("calls/acme/"),
    );
    let mut cleanup = platform.fleet.start_ready("cleanup", &["cleanup"]).await?;
    let gone = patience::until("the original is deleted", LONG, async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let left = platform.staged_objects(BucketKind::S3).await?;
        Ok(left.is_empty().then_some(()))
    });
    gone.await.context("the original stays")?;
    cleanup.sigkill()?;
    cleanup.wait(LONG).await?;
    platform.lab.clear_fault(rule);
    let mut all = platform.fleet.start_ready("all", &ALL).await?;
    let shown = until(&platform, "it has expired", |shown| {
        shown["state"] == "expired"
    })
    .await?;
    assert!(shown["erased_at"].is_string(), "{shown}");
    assert!(platform.lab.open_uploads(&bucket).is_empty());
    assert!(platform.lab.versions(&bucket).is_empty());
    all.stop(Duration::from_secs(60)).await?;
    Ok(())
}
