//! Processes and servers die: nothing is lost, nothing is done twice that matters.

use std::time::Duration;

use anyhow::Result;
use callferry_tests::load::{self, Witness};
use callferry_tests::patience;

use super::setting::{LONG, Setting};

#[tokio::test(flavor = "multi_thread")]
async fn killed_transfer_processes_and_servers_lose_nothing() -> Result<()> {
    let mut setting = Setting::private("killed").await?;
    let witness = Witness::new(&setting.platform).await?;
    // Slow enough that kills hit transfers in flight.
    setting.platform.lab.set_latency(Duration::from_millis(200));
    setting.platform.fleet.set("CALLFERRY_PREFETCH", "8");
    let load = Setting::load(120, 50_000, 11);
    let produce = load.stage(&setting.platform)?;
    load.publish(&setting.platform).await?;
    setting
        .start(&["transfer", "transfer", "cleanup", "housekeeping"])
        .await?;
    for queue in [
        "callferry.transfer",
        "callferry.cleanup",
        "callferry.quarantine",
        "witness",
    ] {
        setting.platform.rabbit.remembers(queue).await?;
    }
    let mut hits = 0;
    for turn in 0..6 {
        tokio::time::sleep(Duration::from_millis(900)).await;
        let member = &mut setting.fleet[turn % 2];
        let in_flight = member
            .metric("callferry_transfers_in_flight", "")
            .await
            .unwrap_or(0.0);
        member.sigkill()?;
        hits += u32::from(in_flight >= 1.0);
        let name = format!("transfer-again-{turn}");
        setting.fleet[turn % 2] = setting.platform.fleet.start(&name, &["transfer"])?;
        if turn == 2 {
            setting.platform.rabbit.kill9()?;
            setting.platform.rabbit.restart().await?;
        }
        if turn == 4 {
            setting.platform.postgres.kill9()?;
            setting.platform.postgres.restart().await?;
        }
    }
    assert!(
        hits >= 3,
        "only {hits} kills hit a process with a transfer in flight"
    );
    load::until_released(&setting.platform, 120, LONG).await?;
    setting.stop().await?;
    let differences = load::differences(&setting.platform, &produce, Some(&witness)).await?;
    assert_eq!(differences, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_ledger_nothing_is_settled_and_work_resumes_with_it() -> Result<()> {
    let mut setting = Setting::private("no-ledger").await?;
    setting.platform.fleet.set("CALLFERRY_DRIVE_OUTAGE_S", "3");
    setting
        .start(&["transfer", "cleanup", "housekeeping"])
        .await?;
    let load = Setting::load(6, 5000, 13);
    let produce = load.stage(&setting.platform)?;
    setting.platform.postgres.kill9()?;
    load.publish(&setting.platform).await?;
    setting.fleet[0].unready(LONG).await?;
    let staged = setting.platform.staged_files()?;
    assert_eq!(staged.len(), 6, "{staged:?}");
    setting.platform.postgres.restart().await?;
    load::until_released(&setting.platform, 6, LONG).await?;
    setting.fleet[0].ready(LONG).await?;
    setting.stop().await?;
    let differences = load::differences(&setting.platform, &produce, None).await?;
    assert_eq!(differences, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unmounted_staging_parks_nothing_and_work_resumes_when_it_is_back() -> Result<()> {
    let mut setting = Setting::new("no-staging").await?;
    setting.platform.fleet.set("CALLFERRY_DRIVE_OUTAGE_S", "3");
    setting
        .start(&["transfer", "cleanup", "housekeeping"])
        .await?;
    let load = Setting::load(4, 5000, 17);
    let produce = load.stage(&setting.platform)?;
    load.publish(&setting.platform).await?;
    load::until_released(&setting.platform, 4, LONG).await?;

    // An empty folder where staging was: what an unmounted volume looks like.
    let again = Setting::load(4, 5000, 19);
    let mut produce_again = again.stage(&setting.platform)?;
    let away = setting.platform.staging.with_extension("away");
    // The events are published from what is staged; the volume goes away right after.
    again.publish(&setting.platform).await?;
    std::fs::rename(&setting.platform.staging, &away)?;
    std::fs::create_dir(&setting.platform.staging)?;
    patience::until(
        "transfer is not ready, or all were faster",
        LONG,
        async || {
            let (status, _) = setting.fleet[0].page("/readyz").await?;
            let states = load::states(&setting.platform).await?;
            let done = states.get("released") == Some(&8);
            Ok((status == 503 || done).then_some(()))
        },
    )
    .await?;
    let states = load::states(&setting.platform).await?;
    assert_eq!(states.get("parked").copied().unwrap_or(0), 0, "{states:?}");
    std::fs::remove_dir(&setting.platform.staging)?;
    std::fs::rename(&away, &setting.platform.staging)?;
    load::until_released(&setting.platform, 8, LONG).await?;
    setting.stop().await?;
    produce_again.extend(produce);
    let differences = load::differences(&setting.platform, &produce_again, None).await?;
    assert_eq!(differences, Vec::<String>::new());
    Ok(())
}
