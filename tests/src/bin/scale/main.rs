//! `scale`: how a fleet grows and is restarted under load. First the same load with one, two and
//! four transfer processes, while one is added and one removed; then large recordings while every
//! process is replaced, again and again. The store itself counts the bytes that it was sent, and
//! everything is judged as in the soak.
#![expect(
    clippy::print_stdout,
    reason = "a tool that prints a table to the person who ran it"
)]

mod growing;
mod rolling;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use callferry_tests::load::{self, Load, Produce};
use callferry_tests::platform::Platform;
use callferry_tests::tool;
use clap::Parser;

/// How a fleet grows and is restarted under load.
#[derive(Clone, Debug, Parser)]
#[command(
    after_help = "Examples:\n  scale\n  scale --latency-ms 200 --prefetch 8\n  \
    scale --recordings 600 --restarts 0"
)]
struct Args {
    /// Small recordings of each run.
    #[arg(long, default_value_t = 2000)]
    recordings: usize,
    /// Size of each, in bytes.
    #[arg(long, default_value_t = 480_000)]
    size: usize,
    /// Slows every request to the store down by this much.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Unsettled deliveries a transfer process holds at most.
    #[arg(long, default_value_t = 64)]
    prefetch: u16,
    /// Numbers of transfer processes to begin with.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4])]
    processes: Vec<usize>,
    /// How often every transfer process is replaced while large recordings are under way.
    #[arg(long, default_value_t = 10)]
    restarts: u32,
    /// Large recordings of that run.
    #[arg(long, default_value_t = 200)]
    large: usize,
    /// Size of each, in bytes.
    #[arg(long, default_value_t = 40 << 20)]
    large_size: usize,
    /// What the store takes meanwhile, in bytes a second, so that it lasts.
    #[arg(long, default_value_t = 30_000_000)]
    large_rate: u64,
    /// Gives up after as many seconds.
    #[arg(long, default_value_t = 900)]
    limit_s: u64,
}

impl Args {
    fn limit(&self) -> Duration {
        Duration::from_secs(self.limit_s)
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    tool::run("scale", async |dir| run(&args, dir).await)
}

async fn run(args: &Args, dir: &Path) -> Result<()> {
    let mut platform = tool::platform(dir, true).await?;
    growing::run(args, &mut platform).await?;
    if args.restarts > 0 {
        rolling::run(args, &mut platform).await?;
    }
    Ok(())
}

/// Three accounts of its own for each run, so that runs on one platform do not meet.
async fn stage(
    platform: &mut Platform,
    run: &str,
    recordings: usize,
    size_bytes: usize,
) -> Result<(Load, Produce)> {
    let accounts: Vec<String> = (1..=3).map(|n| format!("{run}-{n}")).collect();
    for account in &accounts {
        platform.account(account).await?;
    }
    let load = Load {
        accounts,
        recordings,
        size_bytes,
        seed: 7,
    };
    let produce = load.stage(platform)?;
    platform.lab.clear_history();
    Ok((load, produce))
}

/// Kilobytes are exact enough for people.
fn ratio(a: u64, b: u64) -> f64 {
    let number = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    if b < u64::from(u32::MAX) && a < u64::from(u32::MAX) {
        number(a) / number(b.max(1))
    } else {
        number(a / 1024) / number((b / 1024).max(1))
    }
}

async fn must_be_whole(platform: &Platform, produce: &Produce) -> Result<()> {
    let differences = load::differences(platform, produce, None).await?;
    for difference in &differences {
        println!("DIFFERS: {difference}");
    }
    ensure!(differences.is_empty(), "{} differences", differences.len());
    Ok(())
}

/// Recordings of these accounts that were claimed more than once.
async fn repeated(platform: &Platform, run: &str) -> Result<u64> {
    let query =
        format!("select count(*) from recordings where claims > 1 and account_id like '{run}-%'");
    let count = platform.postgres.sql("callferry", &query).await?;
    Ok(count.trim().parse()?)
}
