//! The same load with more and more transfer processes; under load, one is added when a third is
//! done, and one of the first is stopped when two thirds are.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use callferry_tests::fleet::Member;
use callferry_tests::load;
use callferry_tests::platform::Platform;
use callferry_tests::tool;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;

use crate::{Args, must_be_whole, ratio, repeated, stage};

pub(crate) async fn run(args: &Args, platform: &mut Platform) -> Result<()> {
    platform
        .fleet
        .set("CALLFERRY_PREFETCH", args.prefetch.to_string());
    let mut others = vec![
        platform.fleet.start_ready("cleanup", &["cleanup"]).await?,
        platform
            .fleet
            .start_ready("housekeeping", &["housekeeping"])
            .await?,
    ];
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "transfer processes",
        "files/s",
        "of the first",
        "claimed again",
        "sent / stored",
    ]);
    let (mut first, mut before) = (None, 0);
    for &processes in &args.processes {
        let name = format!("grow{processes}");
        let (load, produce) = stage(platform, &name, args.recordings, args.size).await?;
        load.publish(platform).await?;
        platform
            .lab
            .set_latency(Duration::from_millis(args.latency_ms));
        let began = Instant::now();
        let members = grow(args, platform, processes, before).await?;
        let took = began.elapsed();
        platform.lab.set_latency(Duration::ZERO);
        before += u64::try_from(args.recordings)?;
        for mut member in members {
            member.stop(Duration::from_secs(40)).await?;
        }
        let bytes: u64 = produce.values().map(|one| one.size_bytes).sum();
        let sent = ratio(tool::sent(platform), bytes);
        let again = repeated(platform, &name).await?;
        must_be_whole(platform, &produce).await?;
        let rate = f64::from(u32::try_from(args.recordings)?) / took.as_secs_f64();
        let one = *first.get_or_insert(rate);
        table.add_row([
            format!("{processes}, one added, one removed"),
            format!("{rate:.0}"),
            format!("{:.2}", rate / one),
            format!("{again}"),
            format!("{sent:.4}"),
        ]);
        let share = ratio(again, u64::try_from(args.recordings)?);
        ensure!(share < 0.01, "{again} recordings were claimed again");
    }
    println!("{table}");
    println!("every object is byte-identical by curl, one for each recording; staging is empty");
    for member in &mut others {
        member.stop(Duration::from_secs(40)).await?;
    }
    Ok(())
}

async fn grow(
    args: &Args,
    platform: &Platform,
    processes: usize,
    before: u64,
) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    for number in 0..processes {
        let name = format!("transfer-{processes}-{number}");
        members.push(platform.fleet.start(&name, &["transfer"])?);
    }
    let all = u64::try_from(args.recordings)?;
    let began = Instant::now();
    let (mut added, mut removed) = (false, false);
    loop {
        let states = load::states(platform).await?;
        let released = states.get("released").copied().unwrap_or(0) - before;
        if released >= all {
            return Ok(members);
        }
        if !added && released * 3 >= all {
            added = true;
            let name = format!("transfer-{processes}-added");
            members.push(platform.fleet.start_ready(&name, &["transfer"]).await?);
        }
        if added && !removed && released * 3 >= all * 2 {
            removed = true;
            members.remove(0).stop(Duration::from_secs(40)).await?;
        }
        ensure!(began.elapsed() < args.limit(), "not done: {states:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
