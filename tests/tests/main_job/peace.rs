//! Nothing breaks: every size, every account, and the copies are the originals.

use anyhow::Result;
use callferry_tests::load::{self, Produce, Witness};

use super::setting::{LONG, Setting};

#[tokio::test(flavor = "multi_thread")]
async fn every_recording_arrives_byte_identical_is_acknowledged_and_leaves_staging() -> Result<()> {
    let mut setting = Setting::new("peace").await?;
    let witness = Witness::new(&setting.platform).await?;
    let mut produce = Produce::new();
    // Nothing, one byte, a usual one, and two that go in parts (the part size is set to 5 MiB).
    setting
        .platform
        .fleet
        .set("CALLFERRY_PART_SIZE_BYTES", (5 << 20).to_string());
    let sizes = [0, 1, 480_000, 5 << 20, (5 << 20) + 1, 23 << 20];
    for (number, size) in sizes.into_iter().enumerate() {
        let load = Setting::load(
            if size == 480_000 { 40 } else { 2 },
            size,
            u64::try_from(number)?,
        );
        produce.extend(load.stage(&setting.platform)?);
    }
    setting
        .start(&["transfer", "transfer", "cleanup", "housekeeping"])
        .await?;
    Setting::load(0, 0, 0).publish(&setting.platform).await?;
    load::until_released(&setting.platform, u64::try_from(produce.len())?, LONG).await?;
    setting.stop().await?;
    let differences = load::differences(&setting.platform, &produce, Some(&witness)).await?;
    assert_eq!(differences, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_again_changes_nothing_and_one_process_can_do_it_all() -> Result<()> {
    let mut setting = Setting::new("again").await?;
    let load = Setting::load(6, 10_000, 7);
    let produce = load.stage(&setting.platform)?;
    load.publish(&setting.platform).await?;
    load.publish(&setting.platform).await?;
    setting.start(&["all"]).await?;
    load::until_released(&setting.platform, u64::try_from(produce.len())?, LONG).await?;
    let row = setting
        .shown("acme", "rec-7-00000")
        .await?
        .expect("it is known");
    assert_eq!(row["state"], "released");
    assert_eq!(
        row["receipt"]["sha256"],
        produce[&("acme".into(), "rec-7-00000".into())].sha256
    );
    let location = row["location"].as_str().unwrap_or_default();
    assert!(
        location.starts_with("s3://acme-recordings/call/"),
        "{location}"
    );
    let states: Vec<&str> = row["history"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|h| h["to"].as_str())
        .collect();
    assert_eq!(states.last(), Some(&"released"), "{states:?}");
    setting.stop().await?;
    let differences = load::differences(&setting.platform, &produce, None).await?;
    assert_eq!(differences, Vec::<String>::new());
    Ok(())
}
