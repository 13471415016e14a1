//! Nobody works, or nobody may publish: what piles up becomes an alert, and ends by itself when
//! work goes on.

use std::time::Duration;

use anyhow::Result;
use callferry_tests::patience;
use callferry_tests::proxy::Proxy;

use super::watched::{LONG, Watched};

#[tokio::test(flavor = "multi_thread")]
async fn without_transfer_processes_the_backlog_grows_and_is_stuck_until_they_are_back()
-> Result<()> {
    let Some(mut watched) = Watched::new("alert-backlog").await? else {
        return Ok(());
    };
    watched
        .start(&["transfer", "cleanup", "housekeeping"])
        .await?;
    watched.announce(&["acme"], 2, 1).await?;
    watched.until("released", 2).await?;
    watched.stop("transfer").await?;

    // Recorders go on announcing until the alert has been seen.
    let mut announced = 2;
    let mut seed = 100;
    patience::until("the growing backlog warns", LONG, async || {
        seed += 1;
        watched.announce(&["acme"], 60, seed).await?;
        announced += 60;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let alerts = watched.prometheus.alerts().await?;
        let mut growing = alerts
            .iter()
            .filter(|alert| alert.name == "CallferryBacklogGrowing");
        Ok(growing.any(|alert| alert.firing).then_some(()))
    })
    .await?;
    watched.fires("CallferryBacklogStuck", "page").await?;

    watched.start(&["transfer"]).await?;
    watched.ends("CallferryBacklogStuck", "page").await?;
    watched.until("released", announced).await?;
    watched.ends("CallferryBacklogGrowing", "warn").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_no_housekeeping_process_reads_pages_until_one_does() -> Result<()> {
    let Some(mut watched) = Watched::new("alert-reading").await? else {
        return Ok(());
    };
    watched.start(&["transfer", "housekeeping"]).await?;
    // Another one, whose way to the database is ours: it still shows what it read last.
    let proxy = Proxy::start(&watched.platform.postgres.address()?).await?;
    let postgres = &watched.platform.postgres;
    let far = postgres.url_through(proxy.address(), "callferry")?;
    watched
        .start_with("housekeeping", &[("CALLFERRY_DATABASE_URL", &far)])
        .await?;
    proxy.cut();
    watched.fires("CallferryLedgerReadingStale", "warn").await?;
    proxy.restore();
    watched.ends("CallferryLedgerReadingStale", "warn").await?;
    watched.stop("housekeeping").await?;
    watched.fires("CallferryLedgerReadingStale", "page").await?;
    watched.start(&["housekeeping"]).await?;
    watched.ends("CallferryLedgerReadingStale", "page").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_blocks_warns_and_so_do_unacknowledged_copies_until_it_takes() -> Result<()> {
    let Some(mut watched) = Watched::new("alert-blocked").await? else {
        return Ok(());
    };
    watched
        .start(&["transfer", "cleanup", "housekeeping"])
        .await?;
    // The events are there before the broker blocks, and are taken after it.
    watched.member("transfer")?.sigstop()?;
    watched.announce(&["acme"], 4, 1).await?;
    watched.platform.rabbit.block_publishers().await?;
    watched.member("transfer")?.sigcont()?;
    watched.fires("CallferryBrokerBlocked", "warn").await?;
    watched.fires("CallferryUnacknowledged", "warn").await?;
    assert_eq!(
        watched.platform.staged_files()?.len(),
        4,
        "nothing may be deleted"
    );

    watched.platform.rabbit.unblock_publishers().await?;
    watched.ends("CallferryBrokerBlocked", "warn").await?;
    watched.until("released", 4).await?;
    watched.ends("CallferryUnacknowledged", "warn").await
}
