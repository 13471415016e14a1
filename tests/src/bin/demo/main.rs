//! `make demo`: the main job from end to end on real servers, with real telephone audio, an
//! original above the multipart threshold, and a handful of bad events. It ends with an
//! independent check and fails if anything differs from what a careful reader would expect.

mod audio;
mod bad;
mod check;
mod progress;
mod report;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use callferry_tests::environment;
use callferry_tests::fleet::Member;
use callferry_tests::platform::Platform;
use callferry_tests::scratch::Scratch;

use crate::audio::Staged;

/// Who takes part: an account with a bucket of its own each, and one that uses the default.
pub(crate) const ACCOUNTS: [(&str, &str); 3] =
    [("acme", "wav"), ("globex", "g722"), ("initech", "gsm")];

/// The longest that everything together may take before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> std::process::ExitCode {
    match demo() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            report::failure(&error);
            std::process::ExitCode::FAILURE
        }
    }
}

fn demo() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let ended = runtime.block_on(async {
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted; every server is stopped"),
            ended = run() => ended,
        }
    });
    // Children are ended with their handles, and by the kernel when this process ends.
    runtime.shutdown_timeout(Duration::from_secs(2));
    ended
}

async fn run() -> Result<()> {
    let began = Instant::now();
    Scratch::sweep(&environment::local(), "demo")?;
    let mut scratch = Scratch::beneath(&environment::local(), "demo")?;
    scratch.keep();
    report::headline("Starting RabbitMQ, PostgreSQL and the S3+STS laboratory");
    let mut platform = Platform::start(scratch.path()).await?;
    platform.account("acme").await?;
    platform.account("globex").await?;
    platform.plain_account("initech").await?;
    platform.default_destination().await?;
    report::servers(&platform, began.elapsed());

    let mut fleet = start_fleet(&platform).await?;
    report::headline("Staging recordings and publishing their events");
    let staged = audio::stage(&platform)?;
    let oddities = bad::stage_and_publish(&platform, &staged).await?;
    publish(&platform).await?;
    progress::follow(&platform, staged.len(), PATIENCE).await?;
    bad::settled(&platform, &oddities, PATIENCE).await?;

    report::headline("Checking with a client that is not ours (curl)");
    let verdict = check::independently(&platform, &staged, &oddities).await?;
    report::accounts(&verdict);
    report::oddities(&oddities);
    report::story(&platform, &staged).await?;
    stop_fleet(&mut fleet).await?;
    report::where_to_look(scratch.path(), began.elapsed());
    verdict.judge()
}

async fn start_fleet(platform: &Platform) -> Result<Vec<Member>> {
    let roles = [
        ("transfer-1", "transfer"),
        ("transfer-2", "transfer"),
        ("cleanup-1", "cleanup"),
        ("housekeeping-1", "housekeeping"),
    ];
    let mut fleet = Vec::new();
    for (name, role) in roles {
        fleet.push(platform.fleet.start(name, &[role])?);
    }
    for member in &mut fleet {
        member.ready(Duration::from_secs(30)).await?;
    }
    report::fleet(&fleet);
    Ok(fleet)
}

async fn stop_fleet(fleet: &mut [Member]) -> Result<()> {
    for member in fleet.iter_mut() {
        member.sigterm()?;
    }
    for member in fleet.iter_mut() {
        let status = member.wait(Duration::from_secs(30)).await?;
        anyhow::ensure!(status.success(), "a member ended with {status} on SIGTERM");
    }
    Ok(())
}

async fn publish(platform: &Platform) -> Result<()> {
    for (account, extension) in ACCOUNTS {
        let media_type = audio::media_type(extension);
        let folder = platform.staging.join(account).join(audio::FOLDER);
        let folder = folder.to_str().context("the staging path is not UTF-8")?;
        let args = [
            "publish",
            "--account",
            account,
            "--media-type",
            media_type,
            "--sha256",
        ];
        platform
            .fleet
            .run(&[&args[..], &[folder]].concat())
            .await?
            .success()?;
    }
    Ok(())
}

/// Finds what was staged for one recording.
pub(crate) fn find<'a>(staged: &'a [Staged], account: &str, id: &str) -> Option<&'a Staged> {
    staged
        .iter()
        .find(|one| one.account == account && one.id == id)
}
