//! `accounts`: very many accounts, each with a bucket and a role of its own, through one transfer
//! process. Measured are its memory, what it asks of STS, and the connections it holds.
//!
//! The accounts and destinations are set through the catalog, as the command line sets them, but
//! without starting it twenty thousand times. The laboratory checks every signature on the same
//! processors that are measured, so the rates say little about callferry; the counts say all.
#![expect(
    clippy::print_stdout,
    reason = "a tool that prints a table to the person who ran it"
)]

mod making;
mod sockets;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use callferry_tests::fleet::Member;
use callferry_tests::load::{self, Load, Produce};
use callferry_tests::platform::Platform;
use callferry_tests::proxy::Proxy;
use callferry_tests::s3::Operation;
use callferry_tests::tool;
use clap::Parser;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;

use crate::sockets::{Neighbours, Sockets};

/// What transfer uses of customers' roles: a session for writing and one for looking.
const PURPOSES: usize = 2;
/// The byte budget that transfer runs with by default.
const BYTE_BUDGET: u64 = 128 << 20;
/// Sessions for each account and purpose, while none of them ends.
const STS_MOST: f64 = 1.1;

/// Very many accounts through one transfer process.
#[derive(Clone, Debug, Parser)]
#[command(
    after_help = "Examples:\n  accounts\n  accounts --accounts 1000 --recordings 3000 \
    --in-flight 64"
)]
struct Args {
    /// Accounts, each with a bucket and role of its own.
    #[arg(long, default_value_t = 10_000)]
    accounts: usize,
    /// Recordings of each run, in random order over all accounts.
    #[arg(long, default_value_t = 20_000)]
    recordings: usize,
    /// Size of each, in bytes.
    #[arg(long, default_value_t = 20_000)]
    size: usize,
    /// Transfers in flight, a run for each: unsettled deliveries that the process holds.
    #[arg(long, value_delimiter = ',', default_values_t = [64, 256])]
    in_flight: Vec<u16>,
    /// Accounts whose copies the independent client fetches in the end.
    #[arg(long, default_value_t = 200)]
    sample: usize,
    /// Gives up after as many seconds, each run.
    #[arg(long, default_value_t = 1800)]
    limit_s: u64,
}

/// What one run showed.
struct Shown {
    in_flight: u16,
    peak_bytes: u64,
    sessions: u64,
    sessions_of_cleanup: u64,
    sockets: Sockets,
    requests: BTreeMap<Operation, u64>,
    took: Duration,
}

fn main() -> ExitCode {
    let args = Args::parse();
    tool::run("accounts", async |dir| run(&args, dir).await)
}

async fn run(args: &Args, dir: &Path) -> Result<()> {
    let mut platform = tool::platform(dir, true).await?;
    // An address of its own, so that connections to STS can be told from those to the store.
    let sts = Proxy::start(&platform.lab.address().to_string()).await?;
    let endpoint = format!("http://{}", sts.address());
    platform.fleet.set("CALLFERRY_STS_ENDPOINT", endpoint);
    let began = Instant::now();
    let accounts = making::accounts(&platform, args.accounts).await?;
    let secs = began.elapsed().as_secs_f32();
    println!(
        "{} accounts with destinations set through the catalog in {secs:.0} s",
        accounts.len()
    );
    let neighbours = Neighbours::of(&platform, sts.address().port())?;
    let mut produce = Produce::new();
    let mut shown = Vec::new();
    for (number, in_flight) in args.in_flight.iter().enumerate() {
        let load = Load {
            accounts: accounts.clone(),
            recordings: args.recordings,
            size_bytes: args.size,
            seed: 0xA0 + u64::try_from(number)?,
        };
        let staged = load.stage(&platform)?;
        making::publish(&platform, &staged, load.seed).await?;
        println!(
            "staged and published {} recordings of {} bytes",
            staged.len(),
            args.size
        );
        produce.extend(staged);
        platform
            .fleet
            .set("CALLFERRY_PREFETCH", in_flight.to_string());
        shown.push(measure(args, &platform, &neighbours, *in_flight, produce.len()).await?);
    }
    print(args, &shown);
    must_be_whole(args, &platform, &accounts, &produce).await?;
    judge(args, &shown)
}

/// One run: transfer alone until all are stored, then cleanup until all are released.
async fn measure(
    args: &Args,
    platform: &Platform,
    neighbours: &Neighbours,
    in_flight: u16,
    all: usize,
) -> Result<Shown> {
    let limit = Duration::from_secs(args.limit_s);
    let mut housekeeping = platform
        .fleet
        .start_ready("housekeeping", &["housekeeping"])
        .await?;
    platform.lab.clear_history();
    let began = Instant::now();
    let mut transfer = platform
        .fleet
        .start_ready("transfer", &["transfer"])
        .await?;
    let (mut peak_bytes, mut sockets) = (0, Sockets::default());
    let mut asked = Instant::now();
    loop {
        peak_bytes = peak_bytes.max(transfer.readings()?.anonymous_bytes);
        sockets = sockets.most(Sockets::of(transfer.pid(), neighbours)?);
        if asked.elapsed() >= Duration::from_secs(1) {
            asked = Instant::now();
            if count(platform, "('stored', 'released')").await? >= all {
                break;
            }
        }
        ensure!(
            began.elapsed() < limit,
            "not stored after {} s",
            args.limit_s
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = began.elapsed();
    let requests = platform.lab.counts();
    end(&mut transfer).await?;
    platform.lab.clear_history();
    let mut cleanup = platform.fleet.start_ready("cleanup", &["cleanup"]).await?;
    while count(platform, "('released')").await? < all {
        ensure!(
            began.elapsed() < limit * 2,
            "not released after {} s",
            args.limit_s * 2
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let sessions_of_cleanup = platform.lab.count(Operation::AssumeRole);
    end(&mut cleanup).await?;
    end(&mut housekeeping).await?;
    Ok(Shown {
        in_flight,
        peak_bytes,
        sessions: requests
            .get(&Operation::AssumeRole)
            .copied()
            .unwrap_or_default(),
        sessions_of_cleanup,
        sockets,
        requests,
        took,
    })
}

async fn end(member: &mut Member) -> Result<()> {
    member.stop(Duration::from_secs(60)).await
}

async fn count(platform: &Platform, states: &str) -> Result<usize> {
    let query = format!("select count(*) from recordings where state in {states}");
    let counted = platform.postgres.sql("callferry", &query).await?;
    Ok(counted.trim().parse()?)
}

/// What memory may be: 96 MiB and the byte budget with 15 % on top.
fn memory_budget() -> u64 {
    (96 << 20) + BYTE_BUDGET + BYTE_BUDGET * 15 / 100
}

/// How often each session was asked for.
fn per_session(sessions: u64, accounts: usize, purposes: usize) -> f64 {
    let number = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let all = u64::try_from(accounts.saturating_mul(purposes)).unwrap_or(u64::MAX);
    number(sessions) / number(all.max(1))
}

fn print(args: &Args, shown: &[Shown]) {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "in flight",
        "peak anonymous / budget, MiB",
        "STS calls per account and purpose",
        "of cleanup",
        "TCP: store",
        "STS",
        "broker",
        "database",
        "stored after, s",
    ]);
    for run in shown {
        let mebibytes = |bytes: u64| bytes >> 20;
        table.add_row([
            run.in_flight.to_string(),
            format!(
                "{} / {}",
                mebibytes(run.peak_bytes),
                mebibytes(memory_budget())
            ),
            format!("{:.3}", per_session(run.sessions, args.accounts, PURPOSES)),
            format!(
                "{:.3}",
                per_session(run.sessions_of_cleanup, args.accounts, 1)
            ),
            run.sockets.store.to_string(),
            run.sockets.sts.to_string(),
            run.sockets.broker.to_string(),
            run.sockets.database.to_string(),
            format!("{:.0}", run.took.as_secs_f32()),
        ]);
    }
    println!("{table}");
    for run in shown {
        println!(
            "{} in flight, requests of transfer: {:?}",
            run.in_flight, run.requests
        );
    }
}

/// Everything is counted and hashed where the store keeps it; a sample by the independent client.
async fn must_be_whole(
    args: &Args,
    platform: &Platform,
    accounts: &[String],
    produce: &Produce,
) -> Result<()> {
    let mut arrived = BTreeSet::new();
    for account in accounts {
        let bucket = Platform::bucket(account);
        for object in platform.lab.objects(&bucket) {
            let name = object.key.rsplit('/').next().unwrap_or_default();
            let id = name.trim_end_matches(".wav").to_owned();
            let id = (account.clone(), id);
            let staged = produce
                .get(&id)
                .with_context(|| format!("{id:?} is a stranger"))?;
            let found = platform
                .lab
                .read_object(&bucket, &object.key)?
                .context("no bytes")?;
            ensure!(found.sha256 == staged.sha256, "{id:?} has other bytes");
            ensure!(arrived.insert(id.clone()), "{id:?} arrived twice");
        }
    }
    ensure!(arrived.len() == produce.len(), "{} arrived", arrived.len());
    let step = (accounts.len() / args.sample.max(1)).max(1);
    let sampled: BTreeSet<&String> = accounts.iter().step_by(step).collect();
    let sample: Produce = produce
        .iter()
        .filter(|((account, _), _)| sampled.contains(account))
        .map(|(id, one)| (id.clone(), one.clone()))
        .collect();
    let differences = load::differences(platform, &sample, None).await?;
    ensure!(differences.is_empty(), "{differences:?}");
    println!(
        "all {} are there, once each and with their own bytes, by what the store keeps; {} of \
         them byte-identical by curl; staging is empty",
        arrived.len(),
        sample.len()
    );
    Ok(())
}

fn judge(args: &Args, shown: &[Shown]) -> Result<()> {
    for run in shown {
        let (peak, budget) = (run.peak_bytes, memory_budget());
        ensure!(
            peak <= budget,
            "{peak} bytes of memory where {budget} are the budget"
        );
        let asked = per_session(run.sessions, args.accounts, PURPOSES);
        ensure!(
            asked <= STS_MOST,
            "{asked:.3} calls of STS per account and purpose"
        );
    }
    Ok(())
}
