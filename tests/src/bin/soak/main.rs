//! `soak`: many recordings through a fleet of real processes, in peace or while processes and
//! servers are killed; then the oracles judge, and the fleet's use of the machine is printed.
#![expect(
    clippy::print_stdout,
    reason = "a tool that prints a table to the person who ran it"
)]

mod killer;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use callferry_tests::load::{self, Load, Witness};
use callferry_tests::platform::Platform;
use callferry_tests::tool;
use callferry_tests::usage::Usage;
use clap::Parser;
use serde_json::Value;

use crate::killer::{Killer, Kills};

/// Many recordings through a fleet of real processes.
#[derive(Clone, Debug, Parser)]
#[command(
    after_help = "Examples:\n  soak --recordings 2000\n  soak --recordings 2000 --latency-ms 700 \
    --prefetch 16 --kill-every-s 2 --kills 30 --break-servers"
)]
struct Args {
    /// Recordings over all accounts.
    #[arg(long, default_value_t = 2000)]
    recordings: usize,
    /// Size of each, in bytes.
    #[arg(long, default_value_t = 480_000)]
    size: usize,
    /// Accounts, each with a bucket and role of its own.
    #[arg(long, default_value_t = 3)]
    accounts: usize,
    /// Transfer processes.
    #[arg(long, default_value_t = 2)]
    transfers: usize,
    /// Unsettled deliveries a transfer process holds at most.
    #[arg(long, default_value_t = 64)]
    prefetch: u16,
    /// Slows every request to the store down by this much.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Kills a transfer process (SIGKILL) this often, until nearly all are released.
    #[arg(long)]
    kill_every_s: Option<f64>,
    /// Fails unless at least as many kills hit a process that held a lease.
    #[arg(long, default_value_t = 0)]
    kills: u32,
    /// Kills and restarts `RabbitMQ` and then PostgreSQL when half are stored.
    #[arg(long)]
    break_servers: bool,
    /// Gives up after as many seconds.
    #[arg(long, default_value_t = 900)]
    limit_s: u64,
    /// Seed of the recordings' contents.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// `ETags` that are no MD5, so that the store burns less of the processor.
    #[arg(long)]
    opaque_etags: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    tool::run("soak", async |dir| run(&args, dir).await)
}

async fn run(args: &Args, dir: &Path) -> Result<()> {
    let mut platform = tool::platform(dir, args.opaque_etags).await?;
    let accounts: Vec<String> = (1..=args.accounts)
        .map(|n| format!("account-{n}"))
        .collect();
    for account in &accounts {
        platform.account(account).await?;
    }
    let witness = Witness::new(&platform).await?;
    let load = Load {
        accounts,
        recordings: args.recordings,
        size_bytes: args.size,
        seed: args.seed,
    };
    let produce = load.stage(&platform)?;
    platform
        .lab
        .set_latency(Duration::from_millis(args.latency_ms));
    platform
        .fleet
        .set("CALLFERRY_PREFETCH", args.prefetch.to_string());
    load.publish(&platform).await?;
    println!(
        "staged and published {} recordings of {} bytes",
        produce.len(),
        args.size
    );

    let mut others = vec![
        platform.fleet.start_ready("cleanup", &["cleanup"]).await?,
        platform
            .fleet
            .start_ready("housekeeping", &["housekeeping"])
            .await?,
    ];
    let mut killer = Killer::start(&platform.fleet, args).await?;
    let began = Instant::now();
    let (kills, usage) = drive(args, &mut platform, &mut killer, &mut others).await?;
    let took = began.elapsed();
    platform.lab.set_latency(Duration::ZERO);
    println!(
        "all {} released after {:.1} s",
        args.recordings,
        took.as_secs_f32()
    );
    usage.print(args.recordings, took);
    report_kills(&platform, &kills).await?;

    killer.stop(Duration::from_secs(40)).await?;
    for member in &mut others {
        member.stop(Duration::from_secs(40)).await?;
    }
    let differences = load::differences(&platform, &produce, Some(&witness)).await?;
    for difference in &differences {
        println!("DIFFERS: {difference}");
    }
    ensure!(differences.is_empty(), "{} differences", differences.len());
    let hits = kills.hits;
    ensure!(
        hits >= args.kills,
        "only {hits} kills hit a process with a lease; {}",
        args.kills
    );
    println!("every object is byte-identical by curl, one for each recording, each acknowledged;");
    println!("staging is empty");
    Ok(())
}

/// Follows the run to its end, killing what shall be killed on the way.
async fn drive(
    args: &Args,
    platform: &mut Platform,
    killer: &mut Killer,
    others: &mut [callferry_tests::fleet::Member],
) -> Result<(Kills, Usage)> {
    let all = u64::try_from(args.recordings)?;
    let limit = Duration::from_secs(args.limit_s);
    let began = Instant::now();
    let mut usage = Usage::default();
    let mut to_break = args.break_servers;
    let mut kills = Kills::default();
    let mut last = BTreeMap::new();
    let mut kill_at = began + killer.every();
    let mut said = began;
    loop {
        // While a server is down, the command line cannot say either.
        if let Ok(states) = load::states(platform).await {
            let count = |state: &str| states.get(state).copied().unwrap_or(0);
            usage.observe(killer.members().iter().chain(&*others));
            if states != last && said.elapsed() >= Duration::from_secs(2) {
                said = Instant::now();
                println!("{:>6.1} s  {states:?}", began.elapsed().as_secs_f32());
            }
            last.clone_from(&states);
            if count("released") >= all {
                return Ok((kills, usage));
            }
            if to_break && count("stored") + count("released") >= all / 2 {
                to_break = false;
                break_servers(platform).await?;
            }
        }
        // The last stragglers may end in peace: what is proven is proven by then.
        let enough = kills.hits >= args.kills && released_share(&last, all) >= 0.95;
        if Instant::now() >= kill_at && !enough {
            kill_at = Instant::now() + killer.every();
            killer.kill_one(&platform.fleet, &mut kills).await?;
        }
        ensure!(
            began.elapsed() < limit,
            "not done after {} s: {last:?}",
            args.limit_s
        );
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

fn released_share(states: &BTreeMap<String, u64>, all: u64) -> f64 {
    let count = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    count(states.get("released").copied().unwrap_or(0)) / count(all.max(1))
}

async fn break_servers(platform: &mut Platform) -> Result<()> {
    for queue in [
        "callferry.transfer",
        "callferry.cleanup",
        "callferry.quarantine",
        "witness",
    ] {
        platform.rabbit.remembers(queue).await?;
    }
    println!("         RabbitMQ killed (SIGKILL) and restarted");
    platform.rabbit.kill9()?;
    platform.rabbit.restart().await?;
    println!("         PostgreSQL killed (SIGKILL) and restarted");
    platform.postgres.kill9()?;
    platform.postgres.restart().await
}

async fn report_kills(platform: &Platform, kills: &Kills) -> Result<()> {
    if kills.killed == 0 {
        return Ok(());
    }
    let (killed, hits) = (kills.killed, kills.hits);
    println!("{killed} transfer processes killed, {hits} of them holding a lease");
    let again = platform
        .postgres
        .sql(
            "callferry",
            "select account_id || ' ' || recording_id || ' ' || claims \
            from recordings where claims > 1 order by claims desc, recording_id limit 1",
        )
        .await?;
    let count = platform
        .postgres
        .sql(
            "callferry",
            "select count(*) from recordings where claims > 1",
        )
        .await?;
    println!("{} recordings were claimed more than once", count.trim());
    let Some((account, rest)) = again.trim().split_once(' ') else {
        return Ok(());
    };
    let (recording, claims) = rest.split_once(' ').context("an unexpected row")?;
    println!("the history of {account}/{recording}, claimed {claims} times:");
    let shown = platform
        .json(&["recording", "show", "--account", account, recording])
        .await?;
    let history = shown.get("history").and_then(Value::as_array);
    for row in history.into_iter().flatten() {
        let text = |field: &str| row.get(field).and_then(Value::as_str).unwrap_or("-");
        let (at, from, to, by) = (text("at"), text("from"), text("to"), text("by"));
        println!("  {at}  {from} → {to}  by {by}: {}", text("why"));
    }
    Ok(())
}
