//! `playback`: asks the real process to play, a million times and at random, and holds each answer
//! against the one that must come; then how fast it answers without a call of STS, beside a bare
//! axum handler that returns a constant redirect.
//!
//! Both are measured from here, over connections that stay open, on the same processors: what
//! asking costs is in both figures, and PostgreSQL, which commits a row for each answer, in one.
#![expect(
    clippy::print_stdout,
    reason = "a tool that prints a table to the person who ran it"
)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use callferry_tests::child::Launch;
use callferry_tests::listening::{asking, stage::Stage, wire::Wire};
use callferry_tests::patience;
use callferry_tests::ports::free_port;
use callferry_tests::s3::Operation;
use callferry_tests::{environment, tool};
use clap::Parser;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use tokio::task::JoinSet;

/// The bare handler.
const BARE: &str = "target/release/examples/bare_redirect";

/// Random requests to listen, each judged; then how fast they are answered.
#[derive(Clone, Debug, Parser)]
#[command(
    after_help = "Examples:\n  playback\n  playback --requests 100000 --accounts 50 --seed 7"
)]
struct Args {
    /// Random requests.
    #[arg(long, default_value_t = 1_000_000)]
    requests: u64,
    /// Accounts, all with recordings of the same ids.
    #[arg(long, default_value_t = 20)]
    accounts: usize,
    /// Recordings of each.
    #[arg(long, default_value_t = 10)]
    recordings: usize,
    /// Connections that ask at once.
    #[arg(long, default_value_t = 16)]
    at_once: u64,
    /// What the requests are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Requests of each measurement.
    #[arg(long, default_value_t = 20_000)]
    measured: u64,
    /// The bare handler: `cargo build --release -p service --example bare_redirect`.
    #[arg(long, default_value = BARE)]
    bare: PathBuf,
}

/// One measurement.
struct Shown {
    what: &'static str,
    at_once: u64,
    p50: Duration,
    p99: Duration,
    per_second: f64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    tool::run("playback", async |dir| run(&args, dir).await)
}

async fn run(args: &Args, dir: &Path) -> Result<()> {
    let platform = tool::platform(dir, true).await?;
    let stage = Stage::set(platform, args.accounts, args.recordings, dir).await?;
    let shown = measured(args, &stage, dir).await?;
    println!("{}", table(&shown));
    let began = Instant::now();
    let tally = asking::ask(&stage, args.requests, args.at_once, args.seed).await?;
    let took = began.elapsed().as_secs_f64();
    let mut rows = Table::new();
    rows.load_style(UTF8_FULL_CONDENSED)
        .set_header(["answer", "times"]);
    for (what, times) in &tally {
        rows.add_row([what.clone(), times.to_string()]);
    }
    println!("{rows}");
    println!(
        "{} requests at random over {} accounts in {took:.0} s, seed {}: each answered as it must \
         be, no URL of another account",
        args.requests, args.accounts, args.seed
    );
    let log = stage.member.log_text()?;
    ensure!(!log.contains("panicked"), "it panicked: {log}");
    Ok(())
}

/// The process and the bare handler, by one connection and by many.
async fn measured(args: &Args, stage: &Stage, dir: &Path) -> Result<Vec<Shown>> {
    let bare = environment::repository().join(&args.bare);
    let address = format!("127.0.0.1:{}", free_port()?);
    let launch = Launch::new("the bare handler", &bare, &dir.join("bare.log")).args([&address]);
    let running = launch.start().context("is the example built?")?;
    let up = patience::until("it answers", Duration::from_secs(20), async || {
        Ok(Wire::open(&address).await.ok().map(drop))
    });
    up.await?;
    let account = stage.accounts.first().context("no account")?;
    let bearer = format!("Bearer {}", stage.token(Some(account), "recordings:play")?);
    // So that its session is there.
    drop(asked(&stage.address, &bearer, stage, (1, 10)).await?);
    let sts = stage.platform.lab.count(Operation::AssumeRole);
    let mut shown = Vec::new();
    for at_once in [1, args.at_once] {
        for (what, address) in [("bare axum", &address), ("callferry", &stage.address)] {
            let (mut times, took) =
                asked(address, &bearer, stage, (at_once, args.measured)).await?;
            times.sort_unstable();
            let at = |share: usize| {
                let place = times.len() * share / 100;
                times.get(place).copied().context("nothing was measured")
            };
            let count = f64::from(u32::try_from(times.len())?);
            shown.push(Shown {
                what,
                at_once,
                p50: at(50)?,
                p99: at(99)?,
                per_second: count / took.as_secs_f64(),
            });
        }
    }
    let asked = stage.platform.lab.count(Operation::AssumeRole);
    ensure!(asked == sts, "STS was asked while it was measured");
    drop(running);
    Ok(shown)
}

async fn asked(
    address: &str,
    bearer: &str,
    stage: &Stage,
    (at_once, requests): (u64, u64),
) -> Result<(Vec<Duration>, Duration)> {
    let began = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..at_once {
        let (address, bearer) = (address.to_owned(), bearer.to_owned());
        let ids = stage.ids.clone();
        let share = requests / at_once;
        running.spawn(async move {
            let mut wire = Wire::open(&address).await?;
            let mut times = Vec::new();
            for id in ids.iter().cycle().take(usize::try_from(share)?) {
                let path = format!("/v1/recordings/{id}/playback");
                let began = Instant::now();
                let headers = [("authorization", bearer.as_str())];
                let heard = wire.ask("GET", &path, &headers).await?;
                times.push(began.elapsed());
                ensure!(heard.status == 302, "answered {}", heard.status);
            }
            Ok(times)
        });
    }
    let mut all = Vec::new();
    while let Some(ended) = running.join_next().await {
        all.extend(ended??);
    }
    Ok((all, began.elapsed()))
}

fn table(shown: &[Shown]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "handler",
        "connections",
        "p50",
        "p99",
        "requests/s",
        "of bare",
    ]);
    for one in shown {
        let mut bare = shown.iter();
        let bare = bare.find(|it| it.at_once == one.at_once && it.what == "bare axum");
        let share = bare.map_or(0.0, |bare| one.per_second / bare.per_second);
        let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1000.0);
        table.add_row([
            one.what.to_owned(),
            one.at_once.to_string(),
            ms(one.p50),
            ms(one.p99),
            format!("{:.0}", one.per_second),
            format!("{:.1} %", share * 100.0),
        ]);
    }
    table
}
