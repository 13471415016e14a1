//! A customer's bucket refuses: its recordings are parked with that reason, others flow on, and
//! the repair alone, or `parked retry`, delivers what waited. No original is lost on the way.

use anyhow::Result;
use callferry_tests::load;
use callferry_tests::platform::Platform;
use callferry_tests::s3::{Policy, Role};

use super::setting::{LONG, Setting};

/// Breaks acme's destination, watches it park while globex flows, repairs it, and waits.
async fn parked_and_repaired(
    name: &str,
    reason: &str,
    break_it: impl Fn(&Platform, &str),
    repair: impl Fn(&Platform, &str, &str),
    retry: bool,
) -> Result<()> {
    let mut setting = Setting::new(name).await?;
    let shown = setting.platform.json(&["account", "show", "acme"]).await?;
    let external_id = shown["external_id"].as_str().unwrap_or_default().to_owned();
    let listed = setting
        .platform
        .json(&["destination", "list", "acme"])
        .await?;
    let text = listed.to_string();
    let arn = text
        .split("\"role_arn\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let arn = arn.expect("a role").to_owned();
    break_it(&setting.platform, &arn);

    setting
        .start(&["transfer", "cleanup", "housekeeping"])
        .await?;
    let load = Setting::load(8, 20_000, 3);
    let produce = load.stage(&setting.platform)?;
    load.publish(&setting.platform).await?;
    load::until_released(&setting.platform, 4, LONG).await?;
    for number in [0, 2, 4, 6] {
        let row = setting
            .parked("acme", &format!("rec-3-{number:05}"), reason)
            .await?;
        assert!(
            row["next_attempt_at"].is_string(),
            "it must be tried again by itself: {row}"
        );
    }
    assert_eq!(
        setting.platform.staged_files()?.len(),
        4,
        "acme's originals must all be there"
    );

    repair(&setting.platform, &arn, &external_id);
    if retry {
        setting
            .platform
            .fleet
            .run(&["parked", "retry", "--account", "acme"])
            .await?
            .success()?;
    }
    load::until_released(&setting.platform, 8, LONG).await?;
    setting.stop().await?;
    let differences = load::differences(&setting.platform, &produce, None).await?;
    assert_eq!(differences, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_external_id_parks_and_drains_by_itself_after_the_repair() -> Result<()> {
    let break_it = |platform: &Platform, arn: &str| {
        platform.lab.change_role(arn, |role| {
            role.external_id = Some("somebody-else's".into());
        });
    };
    let repair = |platform: &Platform, arn: &str, external_id: &str| {
        let external_id = Some(external_id.to_owned());
        platform.lab.change_role(arn, |role: &mut Role| {
            role.external_id.clone_from(&external_id);
        });
    };
    parked_and_repaired("external-id", "role_not_assumable", break_it, repair, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_parks_and_drains_after_parked_retry() -> Result<()> {
    let bucket = Platform::bucket("acme");
    let break_it = |platform: &Platform, _: &str| {
        platform
            .lab
            .delete_bucket(&bucket)
            .expect("the bucket can be deleted");
    };
    let repair = |platform: &Platform, arn: &str, _: &str| {
        let owner = arn.split(':').nth(4).unwrap_or_default();
        platform
            .lab
            .create_bucket(&bucket, owner)
            .expect("the bucket can be created");
    };
    parked_and_repaired("no-bucket", "bucket_missing", break_it, repair, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_write_parks_and_drains_after_parked_retry() -> Result<()> {
    let policy = |actions: &[&str]| Policy::bucket(&Platform::bucket("acme"), "", actions);
    let break_it = |platform: &Platform, arn: &str| {
        let narrowed = policy(&["s3:GetObject", "s3:GetObjectVersion"]);
        platform
            .lab
            .change_role(arn, |role| role.permissions = narrowed.clone());
    };
    let repair = |platform: &Platform, arn: &str, _: &str| {
        let whole = policy(&["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion"]);
        platform
            .lab
            .change_role(arn, |role| role.permissions = whole.clone());
    };
    parked_and_repaired("denied", "access_denied", break_it, repair, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_destination_recordings_wait_and_setting_one_delivers_them() -> Result<()> {
    let mut setting = Setting::new("no-destination").await?;
    let external_id = setting.platform.plain_account("initech").await?;
    setting
        .start(&["transfer", "cleanup", "housekeeping"])
        .await?;
    let mut load = Setting::load(3, 1000, 5);
    load.accounts = vec!["initech".to_owned()];
    let produce = load.stage(&setting.platform)?;
    load.publish(&setting.platform).await?;
    setting
        .parked("initech", "rec-5-00000", "no_destination")
        .await?;
    setting
        .platform
        .destination("initech", &external_id)
        .await?;
    load::until_released(&setting.platform, 3, LONG).await?;
    setting.stop().await?;
    let differences = load::differences(&setting.platform, &produce, None).await?;
    assert_eq!(differences, Vec::<String>::new());
    Ok(())
}
