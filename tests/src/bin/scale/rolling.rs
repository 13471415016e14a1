//! Large recordings through two transfer processes, each of which is replaced again and again, as
//! a rolling deployment does: the new one is ready before the old one is asked to stop.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use callferry_tests::fleet::Member;
use callferry_tests::load;
use callferry_tests::platform::Platform;
use callferry_tests::tool;

use crate::{Args, must_be_whole, ratio, repeated, stage};

/// What may be sent again, in bytes sent for each byte stored.
const SENT_MAX: f64 = 1.2;

pub(crate) async fn run(args: &Args, platform: &mut Platform) -> Result<()> {
    let done_before = load::states(platform).await?;
    let before = done_before.get("released").copied().unwrap_or(0);
    let (load, produce) = stage(platform, "roll", args.large, args.large_size).await?;
    load.publish(platform).await?;
    platform.lab.set_bandwidth(Some(args.large_rate));
    let mut others = vec![
        platform
            .fleet
            .start_ready("cleanup-roll", &["cleanup"])
            .await?,
        platform
            .fleet
            .start_ready("housekeeping-roll", &["housekeeping"])
            .await?,
    ];
    let mut members = Vec::new();
    for number in 0..2 {
        members.push(begin(platform, number).await?);
    }
    let bytes: u64 = produce.values().map(|one| one.size_bytes).sum();
    println!(
        "{} recordings of {} MiB at {} MB/s: {} restarts of both processes",
        args.large,
        args.large_size >> 20,
        args.large_rate / 1_000_000,
        args.restarts,
    );
    let began = Instant::now();
    for restart in 1..=args.restarts {
        // Restarts are spread over what is to be sent, not over time, so that each meets load.
        let due = bytes / u64::from(args.restarts + 1) * u64::from(restart);
        let begun_at = until_sent(args, platform, due).await?;
        let states = load::states(platform).await?;
        println!(
            "{:>6.1} s  restart {restart:>2}, when {:.0} % was sent: {states:?}",
            began.elapsed().as_secs_f32(),
            100. * ratio(begun_at, bytes),
        );
        let under_way = states.get("staged").copied().unwrap_or(0);
        ensure!(under_way > 0, "restart {restart} met no load: send more");
        replace(platform, &mut members, restart).await?;
    }
    let all = before + u64::try_from(args.large)?;
    load::until_released(platform, all, args.limit()).await?;
    let sent = ratio(tool::sent(platform), bytes);
    platform.lab.set_bandwidth(None);
    for member in members.iter_mut().chain(&mut others) {
        member.stop(Duration::from_secs(40)).await?;
    }
    must_be_whole(platform, &produce).await?;
    let again = repeated(platform, "roll").await?;
    println!(
        "all released after {:.0} s; {again} claimed more than once; sent / stored: {sent:.3}",
        began.elapsed().as_secs_f32()
    );
    ensure!(
        sent <= SENT_MAX,
        "more than {SENT_MAX} bytes sent for each byte stored"
    );
    Ok(())
}

/// Waits until the store was sent as much, and says how much it was by then.
async fn until_sent(args: &Args, platform: &Platform, bytes: u64) -> Result<u64> {
    let began = Instant::now();
    loop {
        let sent = tool::sent(platform);
        if sent >= bytes {
            return Ok(sent);
        }
        ensure!(
            began.elapsed() < args.limit(),
            "only {sent} bytes were sent"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn begin(platform: &Platform, number: u32) -> Result<Member> {
    let name = format!("transfer-roll-{number}");
    platform.fleet.start_ready(&name, &["transfer"]).await
}

/// Replaces every process, one after the other.
async fn replace(platform: &Platform, members: &mut Vec<Member>, restart: u32) -> Result<()> {
    for number in 0..2 {
        let new = begin(platform, restart * 10 + number).await?;
        let mut old = members.remove(0);
        members.push(new);
        old.stop(Duration::from_secs(40)).await?;
    }
    Ok(())
}
