//! The recorder used a path twice, and the first recording is erased: the second one's only
//! original lies at the path, while its event waits in quarantine.

use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::patience;
use callferry_tests::platform::{BucketKind, Platform, STAGING_BUCKET};
use callferry_tests::scratch::Scratch;
use serde_json::{Value, json};

use super::originals::{ALL, LONG, denied, erase, load, platform, shown, until};

const PATH: &str = "acme/2026/11/23/rec-1-00000.wav";
/// As long as the first one's bytes.
const SECOND: [u8; 1000] = [7; 1000];

/// The recorder writes the second recording over the first, and announces it.
async fn written_over(platform: &Platform, bucket: Option<BucketKind>) -> Result<()> {
    match bucket {
        None => std::fs::write(platform.staging.join(PATH), SECOND)?,
        Some(kind) => platform.put_original(kind, PATH, &SECOND).await?,
    }
    let event = json!({
        "specversion": "1.0", "id": "event-second", "source": "urn:recorder:test",
        "type": "callferry.recording.completed.v1", "subject": "second",
        "time": "2026-11-23T10:00:05Z", "datacontenttype": "application/json",
        "data": {
            "recording_id": "second", "account_id": "acme", "interaction_id": "second",
            "kind": "call", "media_type": "audio/wav", "started_at": "2026-11-23T09:58:00Z",
            "completed_at": "2026-11-23T10:00:00Z",
            "original": {"path": PATH, "size_bytes": SECOND.len()},
        },
    });
    let event = event.to_string();
    platform
        .publish_raw("recording.completed.v1", &event)
        .await?;
    patience::until("its event waits", LONG, async || {
        let list = platform.json(&["quarantine", "list"]).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok((list[0]["reason"] == "path_in_use").then_some(()))
    })
    .await
}

/// Waits until the second recording's original was released, and returns its copy.
async fn second_arrives(platform: &Platform) -> Result<Vec<u8>> {
    patience::until("the second one arrives", LONG, async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let shown = platform.json(&["recording", "show", "second"]).await;
        Ok(shown.ok().filter(|shown| shown["state"] == "released"))
    })
    .await?;
    let bucket = Platform::bucket("acme");
    let objects = platform.lab.objects(&bucket).into_iter();
    let mut keys = objects.map(|object| object.key);
    let key = keys.find(|key| key.contains("second"));
    let stored = platform
        .lab
        .read_object(&bucket, &key.context("no copy")?)?;
    Ok(stored.context("no object")?.bytes)
}

async fn a_refused_release(platform: &Platform, bucket: Option<BucketKind>) -> Result<()> {
    let load = load(SECOND.len());
    load.stage(platform)?;
    if let Some(kind) = bucket {
        platform.move_staged(kind).await?;
    }
    let some = ["transfer", "housekeeping"];
    let mut some = platform.fleet.start_ready("some", &some).await?;
    let publish = ["publish", "--account", "acme", "acme/2026/11/23"];
    match bucket {
        None => load.publish(platform).await?,
        Some(_) => drop(platform.fleet.run(&publish).await?.success()?),
    }
    until(platform, "it is stored", |shown| shown["state"] == "stored").await?;
    written_over(platform, bucket).await?;
    some.stop(Duration::from_secs(60)).await?;
    let mut all = platform.fleet.start_ready("all", &ALL).await?;
    until(platform, "its release is refused", |shown| {
        let history = shown["history"].to_string();
        history.contains("release refused: original_replaced")
    })
    .await?;
    erase(platform).await?;
    let first = until(platform, "it has expired", |shown| {
        shown["state"] == "expired"
    })
    .await?;
    assert!(first["erased_at"].is_string(), "{first}");
    let history = first["history"].to_string();
    let says = "0 deleted; at the path is another file than the one that was copied, which stays";
    assert!(history.contains(says), "{history}");
    assert!(second_arrives(platform).await? == SECOND);
    assert_eq!(platform.lab.versions(&Platform::bucket("acme")).len(), 1);
    all.stop(Duration::from_secs(60)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_one_is_erased_without_the_file_that_took_its_path() -> Result<()> {
    let scratch = Scratch::new("erasing-reused")?;
    let (platform, _) = platform(&scratch).await?;
    a_refused_release(&platform, None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_one_is_erased_without_the_object_that_took_its_path() -> Result<()> {
    let scratch = Scratch::new("erasing-reused-s3")?;
    let (mut platform, _) = platform(&scratch).await?;
    platform.stage_in(BucketKind::S3).await?;
    a_refused_release(&platform, Some(BucketKind::S3)).await
}

/// Has whatever waits looked at now.
async fn now(platform: &Platform) -> Result<()> {
    let now = "update recordings set expiry_next_at = now() where expiry_next_at is not null";
    platform.postgres.sql("callferry", now).await?;
    Ok(())
}

/// The first one waits for a person; until then what lies at the path is not touched.
async fn waits(platform: &Platform) -> Result<Value> {
    erase(platform).await?;
    let waiting = until(platform, "it waits", |shown| {
        shown["expiry"]["outcome"] == "unclear"
    })
    .await?;
    let detail = waiting["expiry"]["detail"].to_string();
    assert!(detail.contains("path_in_use"), "{detail}");
    assert_eq!(waiting["state"], "parked");
    assert!(waiting["erased_at"].is_null(), "{waiting}");
    Ok(waiting)
}

/// The way that the runbook says: the file is moved away until the erasure is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_parked_one_waits_while_another_waits_for_its_path() -> Result<()> {
    let scratch = Scratch::new("erasing-wanted")?;
    let (platform, arn) = platform(&scratch).await?;
    let mut all = denied(&platform, &arn, &load(SECOND.len())).await?;
    written_over(&platform, None).await?;
    waits(&platform).await?;
    let (path, aside) = (platform.staging.join(PATH), scratch.path().join("aside"));
    assert!(std::fs::read(&path)? == SECOND);
    std::fs::rename(&path, &aside)?;
    now(&platform).await?;
    let erased = until(&platform, "it is erased", |shown| {
        shown["erased_at"].is_string()
    })
    .await?;
    let history = erased["history"].to_string();
    assert!(history.contains("without a proven copy: 0 deleted"));
    std::fs::rename(&aside, &path)?;
    all.stop(Duration::from_secs(60)).await?;
    assert!(std::fs::read(&path)? == SECOND);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_one_waits_while_another_waits_for_its_path_in_a_bucket() -> Result<()> {
    let scratch = Scratch::new("erasing-wanted-s3")?;
    let (mut platform, arn) = platform(&scratch).await?;
    platform.stage_in(BucketKind::S3).await?;
    let deny = callferry_tests::s3::Policy::none();
    assert!(
        platform
            .lab
            .change_role(&arn, |role| role.permissions = deny)
    );
    load(SECOND.len()).stage(&platform)?;
    platform.move_staged(BucketKind::S3).await?;
    let mut all = platform.fleet.start_ready("all", &ALL).await?;
    let publish = ["publish", "--account", "acme", "acme/2026/11/23"];
    platform.fleet.run(&publish).await?.success()?;
    until(&platform, "it is parked", |shown| {
        shown["state"] == "parked"
    })
    .await?;
    written_over(&platform, Some(BucketKind::S3)).await?;
    waits(&platform).await?;
    let left = platform.staged_objects(BucketKind::S3).await?;
    assert!(left.get(PATH).context("it is gone")? == &SECOND);
    // Somebody finds that the file is nobody's, and deletes it.
    let key = format!("calls/{PATH}");
    assert!(platform.lab.delete_object(STAGING_BUCKET, &key)?);
    now(&platform).await?;
    until(&platform, "it is erased", |shown| {
        shown["erased_at"].is_string()
    })
    .await?;
    assert_eq!(shown(&platform).await?["state"], "released");
    all.stop(Duration::from_secs(60)).await?;
    Ok(())
}
