//! `retention`: the end of copies, at size. In memory by the simulation, then on the laboratory's
//! S3 and on Azurite with a real fleet, broker and database. Exactly the due copies must go, each
//! with its proof, whatever is held, denied, locked, or killed in the middle.
#![expect(
    clippy::print_stdout,
    reason = "a tool that prints a table to the person who ran it"
)]

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use callferry_tests::ending::{self, Wish};
use callferry_tests::sim::{RetentionRun, retention};
use callferry_tests::tool;
use clap::Parser;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;

/// Ends copies, very many of them.
#[derive(Clone, Debug, Parser)]
#[command(after_help = "Examples:\n  retention\n  retention --memory 10000 --s3 500 --azure 500")]
struct Args {
    /// Recordings in memory.
    #[arg(long, default_value_t = 100_000)]
    memory: usize,
    /// Recordings in the laboratory's buckets, plain and versioned.
    #[arg(long, default_value_t = 5000)]
    s3: usize,
    /// Recordings in Azurite.
    #[arg(long, default_value_t = 5000)]
    azure: usize,
    /// Size of each, in bytes.
    #[arg(long, default_value_t = 2000)]
    size: usize,
    /// Gives up after as many seconds, each wait.
    #[arg(long, default_value_t = 1800)]
    limit_s: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(error) = in_memory(&args) {
        println!("FAILED: {error:#}");
        return ExitCode::FAILURE;
    }
    if args.s3 + args.azure == 0 {
        return ExitCode::SUCCESS;
    }
    tool::run("retention", async |dir| on_servers(&args, dir).await)
}

fn in_memory(args: &Args) -> Result<()> {
    if args.memory == 0 {
        return Ok(());
    }
    let began = Instant::now();
    let report = retention(RetentionRun {
        seed: 1,
        recordings: args.memory,
        mutant: None,
        storm: true,
    })?;
    let took = began.elapsed().as_secs_f64();
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "in memory",
        "gone",
        "erased",
        "held",
        "locked",
        "not due",
        "deletions",
        "deaths",
        "requests",
        "s",
        "gone/s",
    ]);
    let gone = f64::from(u32::try_from(report.gone)?);
    table.add_row([
        args.memory.to_string(),
        report.gone.to_string(),
        report.erased.to_string(),
        report.held.to_string(),
        report.locked.to_string(),
        report.young.to_string(),
        report.deletions.to_string(),
        report.deaths.to_string(),
        report.requests.to_string(),
        format!("{took:.1}"),
        format!("{:.0}", gone / took.max(0.001)),
    ]);
    println!("{table}");
    let all = report.gone + report.held + report.locked + report.young + report.unreleased;
    ensure!(
        all == args.memory,
        "{all} of {} are accounted for",
        args.memory
    );
    ensure!(report.violations.is_empty(), "{:#?}", report.violations);
    Ok(())
}

async fn on_servers(args: &Args, dir: &Path) -> Result<()> {
    let mut platform = tool::platform(dir, true).await?;
    let wish = Wish {
        s3: args.s3,
        azure: args.azure,
        size_bytes: args.size,
        limit: Duration::from_secs(args.limit_s),
    };
    let ended = ending::run(&mut platform, &wish)
        .await
        .context("on servers")?;
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "account",
        "recordings",
        "gone, with proof",
        "versions left",
    ]);
    let mut gone = 0_usize;
    for row in &ended.rows {
        gone += row.gone;
        table.add_row([
            row.fate.account().to_owned(),
            row.recordings.to_string(),
            row.gone.to_string(),
            row.left.to_string(),
        ]);
    }
    println!("{table}");
    let took = ended.took.as_secs_f64();
    let rate = f64::from(u32::try_from(gone)?) / took.max(0.001);
    println!(
        "{gone} copies gone in {took:.0} s: {rate:.0} a second, one of two sweeping processes \
         killed on the way"
    );
    ensure!(ended.differences.is_empty(), "{:#?}", ended.differences);
    Ok(())
}
