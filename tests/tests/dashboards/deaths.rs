//! Processes die while they work, again and again.

use anyhow::Result;
use callferry_tests::patience;
use callferry_tests::s3::{Fault, FaultRule, Operation};

use super::watched::{LONG, Watched};

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_die_over_one_recording_warn_until_it_is_through() -> Result<()> {
    let Some(mut watched) = Watched::new("alert-deaths").await? else {
        return Ok(());
    };
    watched.platform.fleet.set("CALLFERRY_LEASE_S", "10");
    watched
        .start(&["transfer", "cleanup", "housekeeping"])
        .await?;
    // The store takes the request and never answers; whoever waits for it is killed.
    let hang = FaultRule::on(Operation::PutObject, Fault::HangBefore);
    let hang = watched.platform.lab.arm(hang);
    watched.announce(&["acme"], 1, 1).await?;
    for death in 1..=3 {
        let what = format!("a process waits for the store, before its death {death}");
        patience::until(&what, LONG, async || {
            Ok((watched.platform.lab.struck(hang) >= death).then_some(()))
        })
        .await?;
        watched.crash("transfer").await?;
    }
    watched.fires("CallferryProcessesDying", "warn").await?;
    assert_eq!(
        watched.platform.staged_files()?.len(),
        1,
        "the original is kept"
    );

    watched.platform.lab.clear_faults();
    watched.until("released", 1).await?;
    watched.ends("CallferryProcessesDying", "warn").await
}
