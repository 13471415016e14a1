//! Between the platform's own destination and an account's, and between the clouds.

use anyhow::{Context, Result};
use callferry_tests::load::{self, Load};
use callferry_tests::patience;
use callferry_tests::platform::AzureAccess;
use callferry_tests::s3::Policy;

use super::super::setting::{LONG, Setting};
use super::{acme, an_hour_passes, holds, make, reroute, same, set, until_stored};

#[expect(
    clippy::disallowed_methods,
    reason = "the recordings' files have the machine's own times"
)]
fn from_now(by: chrono::TimeDelta) -> String {
    (chrono::Utc::now() + by).to_rfc3339()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_platforms_own_to_the_accounts_and_one_by_one_back() -> Result<()> {
    let mut setting = Setting::new("switch-default").await?;
    setting.platform.default_destination().await?;
    setting.platform.plain_account("initech").await?;
    let load = |recordings, seed| Load {
        accounts: vec!["initech".to_owned()],
        ..Setting::load(recordings, 5000, seed)
    };
    setting
        .start(&["transfer", "cleanup", "housekeeping"])
        .await?;
    let platform = &setting.platform;
    let mut all = Vec::new();
    let arn = make(platform, "initech", "initech-own", "own").await?;
    let hour = chrono::TimeDelta::hours(1);
    let mut released = 0;
    // Without a destination of its own; with one in force from tomorrow; from an hour ago on.
    for (seed, from) in [(0x71, None), (0x72, Some(hour)), (0x73, Some(-hour))] {
        if let Some(from) = from {
            let from = from_now(from);
            set(platform, "initech", ("initech-own", &arn), Some(&from)).await?;
        }
        let load = load(2, seed);
        all.push(load.stage(platform)?);
        load.publish(platform).await?;
        released += 2;
        load::until_released(platform, released, LONG).await?;
    }
    let [first, second, third] = all.as_slice() else {
        anyhow::bail!("three loads");
    };
    holds(platform, "default-recordings", &[first, second]).await?;
    holds(platform, "initech-own", &[third]).await?;

    // An account goes back to the platform's for single recordings, by a person's word alone.
    platform.lab.remove_role(&arn);
    let stuck = load(1, 0x74);
    let waiting = stuck.stage(platform)?;
    stuck.publish(platform).await?;
    // The session is good for an hour, and a role that is gone denies.
    let id = "rec-74-00000";
    patience::until("it is parked", LONG, async || {
        let row = setting.shown("initech", id).await?;
        Ok(row.filter(|row| row["state"] == "parked"))
    })
    .await?;
    let listed = platform.json(&["destination", "list", "default"]).await?;
    let revision = listed[0]["revision"].to_string();
    let args = [
        "recording",
        "reroute",
        "--account",
        "initech",
        id,
        "--to-revision",
        &revision,
    ];
    let insist = ["--unproven", "--why", "the role is gone"];
    let outcome = platform.fleet.run(&[&args[..], &insist].concat()).await?;
    outcome.success()?;
    load::until_released(platform, 7, LONG).await?;
    holds(platform, "default-recordings", &[first, second, &waiting]).await?;
    setting.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_moves_between_the_clouds_and_back() -> Result<()> {
    let mut setting = Setting::new("switch-cloud").await?;
    if !setting.platform.start_azure().await? {
        return Ok(());
    }
    setting.start(&["transfer", "housekeeping"]).await?;
    let platform = &setting.platform;
    let mut loads = vec![acme(2, 0x81)];
    let in_s3 = loads[0].stage(platform)?;
    loads[0].publish(platform).await?;
    until_stored(platform, 2).await?;
    let access = AzureAccess::ServicePrincipal;
    setting.platform.azure_destination("acme", access).await?;
    let platform = &setting.platform;
    loads.push(acme(3, 0x82));
    let in_azure = loads[1].stage(platform)?;
    loads[1].publish(platform).await?;
    until_stored(platform, 5).await?;
    let arn = make(platform, "acme", "acme-back", "back").await?;
    set(platform, "acme", ("acme-back", &arn), None).await?;
    loads.push(acme(4, 0x83));
    let back = loads[2].stage(platform)?;
    loads[2].publish(platform).await?;
    until_stored(platform, 9).await?;
    // Every original goes after a look with the credential of its own revision, of either cloud.
    setting.start(&["cleanup"]).await?;
    let platform = &setting.platform;
    load::until_released(platform, 9, LONG).await?;
    holds(platform, "acme-recordings", &[&in_s3]).await?;
    holds(platform, "acme-back", &[&back]).await?;
    let blobs = platform.azure_objects("acme-recordings").await?;
    same(
        "azure",
        blobs.into_iter().map(|(k, f)| (k, f.sha256)),
        &[&in_azure],
    );

    // A recording that cannot be sent goes from one cloud to the other: nothing of it is in S3.
    let policy = Policy::bucket("acme-back", "", &["s3:GetObject"]);
    platform
        .lab
        .change_role(&arn, |role| role.permissions = policy.clone());
    let stuck = acme(1, 0x84);
    let waiting = stuck.stage(platform)?;
    stuck.publish(platform).await?;
    setting
        .parked("acme", "rec-84-00000", "access_denied")
        .await?;
    an_hour_passes(platform).await?;
    let listed = platform.json(&["destination", "list", "acme"]).await?;
    let mut revisions = listed.as_array().context("no list")?.iter();
    let azure = revisions.find(|one| one["cloud"] == "azure");
    let azure = azure.context("no revision in Azure")?["revision"].to_string();
    let (code, answer, _) = reroute(platform, &["rec-84-00000", "--to-revision", &azure]).await?;
    assert_eq!(
        (code, &answer["rerouted"]),
        (Some(0), &1.into()),
        "{answer}"
    );
    assert_eq!(answer["recordings"][0]["proven"], true, "{answer}");
    load::until_released(platform, 10, LONG).await?;
    let blobs = platform.azure_objects("acme-recordings").await?;
    let both = [&in_azure, &waiting];
    same(
        "azure",
        blobs.into_iter().map(|(k, f)| (k, f.sha256)),
        &both,
    );
    holds(platform, "acme-back", &[&back]).await?;
    setting.stop().await
}
