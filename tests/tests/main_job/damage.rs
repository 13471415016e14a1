//! The copy is not what it should be: nothing is released for it.

use anyhow::Result;
use callferry_tests::load;
use callferry_tests::patience;
use callferry_tests::platform::Platform;

use super::setting::{LONG, Setting};

/// Stores without a cleanup process, and waits until all are.
async fn stored(name: &str) -> Result<(Setting, load::Produce)> {
    let mut setting = Setting::new(name).await?;
    setting.start(&["transfer", "housekeeping"]).await?;
    let load = Setting::load(4, 30_000, 9);
    let produce = load.stage(&setting.platform)?;
    load.publish(&setting.platform).await?;
    patience::until("all are stored", LONG, async || {
        let states = load::states(&setting.platform).await?;
        Ok((states.get("stored") == Some(&4)).then_some(()))
    })
    .await?;
    Ok((setting, produce))
}

fn key_of(platform: &Platform, id: &str) -> String {
    let objects = platform.lab.objects(&Platform::bucket("acme"));
    let keys = objects.into_iter().map(|object| object.key);
    keys.into_iter()
        .find(|key| key.contains(id))
        .expect("the copy is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_vanished_before_release_is_copied_again_from_the_original() -> Result<()> {
    let (mut setting, produce) = stored("copy-lost").await?;
    let key = key_of(&setting.platform, "rec-9-00000");
    let bucket = Platform::bucket("acme");
    setting.platform.lab.delete_object(&bucket, &key)?;
    setting.start(&["cleanup"]).await?;
    load::until_released(&setting.platform, 4, LONG).await?;
    let row = setting
        .shown("acme", "rec-9-00000")
        .await?
        .expect("it is known");
    assert!(
        row["history"].to_string().contains("copy_lost"),
        "{}",
        row["history"]
    );
    setting.stop().await?;
    let differences = load::differences(&setting.platform, &produce, None).await?;
    assert_eq!(differences, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_overwritten_keeps_its_original_and_waits_for_a_person() -> Result<()> {
    let (mut setting, _) = stored("copy-differs").await?;
    let key = key_of(&setting.platform, "rec-9-00002");
    let other = vec![7; 30_000];
    setting
        .platform
        .lab
        .overwrite_object(&Platform::bucket("acme"), &key, &other)?;
    setting.start(&["cleanup"]).await?;
    load::until_released(&setting.platform, 3, LONG).await?;
    let listed = patience::until("the refusal is listed", LONG, async || {
        let listed = setting
            .platform
            .json(&["parked", "list"])
            .await?
            .to_string();
        Ok(listed.contains("copy_differs").then_some(listed))
    });
    assert!(listed.await?.contains("rec-9-00002"));
    let staged = setting.platform.staged_files()?;
    assert_eq!(staged.len(), 1, "{staged:?}");
    assert!(staged[0].contains("rec-9-00002"), "{staged:?}");
    setting.stop().await
}
