//! `giant`: one recording of 20 GiB through a fleet that is stopped and started again and again,
//! and killed once. It must arrive byte for byte, and without being sent over and over.
#![expect(
    clippy::print_stdout,
    reason = "a tool that prints a table to the person who ran it"
)]

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use callferry_tests::fleet::Member;
use callferry_tests::load;
use callferry_tests::platform::Platform;
use callferry_tests::tool;
use callferry_tests::usage::Usage;
use clap::Parser;
use serde_json::json;
use sha2::{Digest, Sha256};

/// One huge recording through a fleet that does not live long.
#[derive(Clone, Debug, Parser)]
#[command(after_help = "Examples:\n  giant\n  giant --gib 2 --rate 40000000 --restart-every-s 15")]
struct Args {
    /// Its size, in GiB. The file is sparse: a few bytes in every 64 MiB, holes between them.
    #[arg(long, default_value_t = 20)]
    gib: u64,
    /// What the store takes, in bytes a second.
    #[arg(long, default_value_t = 70_000_000)]
    rate: u64,
    /// The fleet is stopped (SIGTERM) and started this often.
    #[arg(long, default_value_t = 60)]
    restart_every_s: u64,
    /// After this long it is killed (SIGKILL), once.
    #[arg(long, default_value_t = 150)]
    kill_after_s: u64,
    /// Gives up after as many seconds.
    #[arg(long, default_value_t = 1800)]
    limit_s: u64,
}

const NAME: &str = "giant/2026/11/23/giant-1.wav";

fn main() -> ExitCode {
    let args = Args::parse();
    tool::run("giant", async |dir| run(&args, dir).await)
}

async fn run(args: &Args, dir: &Path) -> Result<()> {
    let mut platform = tool::platform(dir, true).await?;
    platform.account("giant").await?;
    let (size, sha256) = stage(&platform.staging.join(NAME), args.gib << 30)?;
    let event = json!({
        "specversion": "1.0", "id": "giant-1", "source": "urn:giant:recorder",
        "type": "callferry.recording.completed.v1",
        "data": {
            "recording_id": "giant-1", "account_id": "giant", "interaction_id": "giant-1",
            "kind": "screen", "media_type": "video/webm",
            "started_at": "2026-11-23T09:58:00Z", "completed_at": "2026-11-23T10:00:00Z",
            "original": {"path": NAME, "size_bytes": size}
        }
    });
    platform
        .publish_raw("recording.completed.v1", &event.to_string())
        .await?;
    platform.lab.set_bandwidth(Some(args.rate));
    println!("staged {} GiB, SHA-256 {sha256}", args.gib);
    let mut others = vec![
        platform.fleet.start_ready("cleanup", &["cleanup"]).await?,
        platform
            .fleet
            .start_ready("housekeeping", &["housekeeping"])
            .await?,
    ];
    let began = Instant::now();
    let mut usage = Usage::default();
    let lives = carry(args, &platform, &mut usage, &others).await?;
    let took = began.elapsed();
    let sent = tool::sent(&platform);
    platform.lab.set_bandwidth(None);
    let mebibytes = |bytes: u64| f64::from(u32::try_from(bytes >> 20).unwrap_or(u32::MAX));
    let ratio = mebibytes(sent) / mebibytes(size);
    let peak = usage.peak_anonymous("transfer") >> 20;
    println!(
        "released after {:.0} s and {lives} lives of the transfer process; sent / stored: \
        {ratio:.3}; peak anonymous memory of a transfer process: {peak} MiB",
        took.as_secs_f32()
    );
    for member in &mut others {
        member.stop(Duration::from_secs(40)).await?;
    }
    let found = platform.auditor().fetch(&Platform::bucket("giant")).await?;
    ensure!(found.len() == 1, "{} objects in the bucket", found.len());
    let object = found.values().next().context("no object")?;
    ensure!(
        object.size_bytes == size,
        "{} bytes arrived",
        object.size_bytes
    );
    ensure!(
        object.sha256 == sha256,
        "the copy has other bytes: {}",
        object.sha256
    );
    ensure!(platform.staged_files()?.is_empty(), "staging is not empty");
    println!("the copy is byte-identical by curl; staging is empty");
    Ok(())
}

/// Starts and stops transfer until the recording is released. Says how many lives it took.
async fn carry(
    args: &Args,
    platform: &Platform,
    usage: &mut Usage,
    others: &[Member],
) -> Result<u32> {
    let began = Instant::now();
    let mut lives = 0;
    let mut killed = false;
    loop {
        lives += 1;
        let name = format!("transfer-{lives}");
        let mut member = platform.fleet.start_ready(&name, &["transfer"]).await?;
        let life = Instant::now();
        let ends = Duration::from_secs(args.restart_every_s);
        let mut dies = false;
        while life.elapsed() < ends {
            usage.observe(others.iter().chain([&member]));
            let states = load::states(platform).await?;
            if states.get("released").copied().unwrap_or(0) > 0 {
                member.stop(Duration::from_secs(40)).await?;
                return Ok(lives);
            }
            if !killed && began.elapsed() >= Duration::from_secs(args.kill_after_s) {
                (killed, dies) = (true, true);
                break;
            }
            ensure!(
                began.elapsed() < Duration::from_secs(args.limit_s),
                "not done: {states:?}"
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let how = if dies { "killed" } else { "stopped" };
        let sent = tool::sent(platform);
        println!(
            "{:>6.0} s  life {lives} {how}; sent so far by all lives: {} MiB",
            began.elapsed().as_secs_f32(),
            sent >> 20
        );
        if dies {
            member.sigkill()?;
        } else {
            member.stop(Duration::from_secs(40)).await?;
        }
    }
}

/// Writes the sparse file, and hashes it as anybody would.
fn stage(path: &Path, size: u64) -> Result<(u64, String)> {
    fs::create_dir_all(path.parent().context("no parent")?)?;
    let file = File::create(path)?;
    file.set_len(size)?;
    let step = 64 << 20;
    for mark in (0..size / step).map(|n| n * step) {
        file.write_all_at(format!("mark at {mark}").as_bytes(), mark)?;
    }
    file.sync_all()?;
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 4 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        match buffer.get(..read) {
            Some(bytes) if !bytes.is_empty() => hash.update(bytes),
            Some(_) | None => return Ok((size, hex::encode(hash.finalize()))),
        }
    }
}
