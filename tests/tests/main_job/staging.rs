//! Staging is a bucket: the main job, what took an original's place, processes that die between the
//! steps, and a store that does not keep its word.

use anyhow::{Context, Result};
use callferry_tests::load::{self, Produce, Witness};
use callferry_tests::patience;
use callferry_tests::platform::{BucketKind, STAGING_BUCKET};
use callferry_tests::s3::{Fault, FaultRule, Operation, Quirks};

use super::setting::{LONG, Setting};

/// Below each account's folder.
const FOLDER: &str = "2026/11/23";

/// Publishes everything below both accounts' prefixes of staging.
async fn publish(setting: &Setting) -> Result<()> {
    for account in ["acme", "globex"] {
        let below = format!("{account}/{FOLDER}");
        let args = ["publish", "--account", account, "--sha256", &below];
        setting.platform.fleet.run(&args).await?.success()?;
    }
    Ok(())
}

/// Stages loads of these sizes in the bucket.
async fn stage(setting: &Setting, kind: BucketKind, sizes: &[(usize, usize)]) -> Result<Produce> {
    let mut produce = Produce::new();
    for (number, (recordings, size)) in sizes.iter().enumerate() {
        let load = Setting::load(*recordings, *size, u64::try_from(number)?);
        produce.extend(load.stage(&setting.platform)?);
    }
    setting.platform.move_staged(kind).await?;
    Ok(produce)
}

async fn arrives_and_leaves(setting: &mut Setting, kind: BucketKind) -> Result<()> {
    let witness = Witness::new(&setting.platform).await?;
    setting
        .platform
        .fleet
        .set("CALLFERRY_PART_SIZE_BYTES", (5 << 20).to_string());
    let sizes = [
        (2, 0),
        (2, 1),
        (20, 480_000),
        (2, 5 << 20),
        (2, (11 << 20) + 1),
    ];
    let produce = stage(setting, kind, &sizes).await?;
    setting
        .start(&["transfer", "transfer", "cleanup", "housekeeping"])
        .await?;
    publish(setting).await?;
    load::until_released(&setting.platform, u64::try_from(produce.len())?, LONG).await?;
    setting.stop().await?;
    let differences = load::differences(&setting.platform, &produce, Some(&witness)).await?;
    assert_eq!(differences, Vec::<String>::new());
    let left = setting.platform.staged_objects(kind).await?;
    assert_eq!(left.keys().collect::<Vec<_>>(), Vec::<&String>::new());
    let row = setting.shown("acme", "rec-2-00000").await?;
    let row = row.context("it is known")?;
    assert!(row["history"].to_string().contains("deleted"), "{row}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn originals_in_a_bucket_arrive_byte_identical_and_leave_staging() -> Result<()> {
    let mut setting = Setting::new("staging-s3").await?;
    setting.platform.stage_in(BucketKind::S3).await?;
    arrives_and_leaves(&mut setting, BucketKind::S3).await
}

#[tokio::test(flavor = "multi_thread")]
async fn originals_in_a_container_arrive_byte_identical_and_leave_staging() -> Result<()> {
    let mut setting = Setting::new("staging-azure").await?;
    if !setting.platform.start_azure().await? {
        return Ok(());
    }
    setting.platform.stage_in(BucketKind::Azure).await?;
    arrives_and_leaves(&mut setting, BucketKind::Azure).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_took_an_originals_place_is_kept_for_a_person() -> Result<()> {
    let kind = BucketKind::S3;
    let mut setting = Setting::new("staging-replaced").await?;
    setting.platform.stage_in(kind).await?;
    setting.start(&["transfer", "housekeeping"]).await?;
    stage(&setting, kind, &[(4, 30_000)]).await?;
    publish(&setting).await?;
    patience::until("all are stored", LONG, async || {
        let states = load::states(&setting.platform).await?;
        Ok((states.get("stored") == Some(&4)).then_some(()))
    })
    .await?;
    let path = format!("acme/{FOLDER}/rec-0-00002.wav");
    let other = vec![7; 30_000];
    setting.platform.put_original(kind, &path, &other).await?;
    setting.start(&["cleanup"]).await?;
    load::until_released(&setting.platform, 3, LONG).await?;
    let listed = patience::until("the refusal is listed", LONG, async || {
        let listed = setting.platform.json(&["parked", "list"]).await?;
        let listed = listed.to_string();
        Ok(listed.contains("original_replaced").then_some(listed))
    });
    assert!(listed.await?.contains("rec-0-00002"));
    let left = setting.platform.staged_objects(kind).await?;
    assert_eq!(left.into_iter().collect::<Vec<_>>(), [(path, other)]);
    setting.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_its_bytes_can_tell_is_released_however_long_reading_it_takes() -> Result<()> {
    let kind = BucketKind::S3;
    let mut setting = Setting::new("staging-slow").await?;
    setting.platform.stage_in(kind).await?;
    // A lease is over long before the slow store has sent the whole object.
    setting.platform.fleet.set("CALLFERRY_LEASE_S", "10");
    setting.start(&["transfer", "housekeeping"]).await?;
    stage(&setting, kind, &[(2, 30_000)]).await?;
    publish(&setting).await?;
    let count = |operation| {
        let seen = setting.platform.lab.history().into_iter();
        let seen = seen.filter(move |seen| seen.operation == operation);
        let of_acme = |key: &str| key.starts_with("calls/acme/");
        seen.filter(|seen| seen.key.as_deref().is_some_and(of_acme))
            .filter(|seen| seen.bucket.as_deref() == Some(STAGING_BUCKET))
            .count()
    };
    patience::until("both are stored", LONG, async || {
        let states = load::states(&setting.platform).await?;
        Ok((states.get("stored") == Some(&2)).then_some(()))
    })
    .await?;
    // The same bytes, another time: only reading it tells.
    let lab = &setting.platform.lab;
    lab.age_objects(STAGING_BUCKET, std::time::Duration::from_secs(3600));
    let slow = Fault::SlowBody {
        bytes_per_second: 2_000,
    };
    lab.arm(
        FaultRule::on(Operation::GetObject, slow)
            .bucket(STAGING_BUCKET)
            .key_prefix("calls/acme/"),
    );
    let before = count(Operation::GetObject);
    let _cleanup = setting.platform.fleet.start("cleanup-slow", &["cleanup"])?;
    load::until_released(&setting.platform, 2, LONG).await?;
    assert_eq!(count(Operation::GetObject) - before, 1, "it was read once");
    assert!(setting.platform.staged_objects(kind).await?.is_empty());
    setting.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cleanup_that_dies_around_the_deletion_loses_and_repeats_nothing() -> Result<()> {
    let kind = BucketKind::S3;
    let mut setting = Setting::new("staging-killed").await?;
    setting.platform.stage_in(kind).await?;
    setting.start(&["transfer", "housekeeping"]).await?;
    let produce = stage(&setting, kind, &[(6, 30_000)]).await?;
    publish(&setting).await?;
    patience::until("all are stored", LONG, async || {
        let states = load::states(&setting.platform).await?;
        Ok((states.get("stored") == Some(&6)).then_some(()))
    })
    .await?;
    // Dead before the deletion, and dead between the deletion and its record. The rules stay: a
    // request that hangs goes on when its rule is cleared.
    for (turn, fault) in [Fault::HangBefore, Fault::HangAfter]
        .into_iter()
        .enumerate()
    {
        let rule = FaultRule::on(Operation::DeleteObject, fault)
            .bucket(STAGING_BUCKET)
            .key_prefix("calls/acme/")
            .times(3);
        let lab = &setting.platform.lab;
        let armed = lab.arm(rule);
        let name = format!("cleanup-dies-{turn}");
        let mut cleanup = setting.platform.fleet.start(&name, &["cleanup"])?;
        patience::until("all three deletions of acme hang", LONG, async || {
            Ok((lab.struck(armed) >= 3).then_some(()))
        })
        .await?;
        cleanup.sigkill()?;
        let states = load::states(&setting.platform).await?;
        assert!(
            states.get("stored").is_some_and(|stored| *stored >= 3),
            "{states:?}"
        );
    }
    setting.start(&["cleanup"]).await?;
    load::until_released(&setting.platform, 6, LONG).await?;
    setting.stop().await?;
    let differences = load::differences(&setting.platform, &produce, None).await?;
    assert_eq!(differences, Vec::<String>::new());
    assert!(setting.platform.staged_objects(kind).await?.is_empty());
    let row = setting.shown("acme", "rec-0-00000").await?;
    let row = row.context("it is known")?;
    assert!(row["history"].to_string().contains("already gone"), "{row}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cleanup_refuses_a_bucket_that_ignores_conditions_and_transfer_does_not() -> Result<()> {
    let kind = BucketKind::S3;
    let mut setting = Setting::new("staging-careless").await?;
    setting.platform.stage_in(kind).await?;
    let careless = Quirks {
        deletes_unconditionally: true,
        ..Quirks::default()
    };
    setting.platform.lab.set_quirks(STAGING_BUCKET, careless);
    let mut cleanup = setting.platform.fleet.start("cleanup", &["cleanup"])?;
    let status = cleanup.wait(LONG).await?;
    assert_eq!(status.code(), Some(1));
    let log = cleanup.log_text()?;
    for says in [
        "cleanup refuses the staging s3://incoming/calls",
        "If-Match",
        "hint: ",
    ] {
        assert!(log.contains(says), "{says}: {log}");
    }
    setting.start(&["transfer", "housekeeping"]).await?;
    stage(&setting, kind, &[(2, 3000)]).await?;
    publish(&setting).await?;
    patience::until("all are stored", LONG, async || {
        let states = load::states(&setting.platform).await?;
        Ok((states.get("stored") == Some(&2)).then_some(()))
    })
    .await?;
    assert_eq!(setting.platform.staged_objects(kind).await?.len(), 2);
    setting.stop().await
}
