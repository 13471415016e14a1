//! `make demo`: the main job from end to end on real servers, with real telephone audio, an
//! original above the multipart threshold, and a handful of bad events. It ends with an
//! independent check and fails if anything differs from what a careful reader would expect.

mod audio;
mod bad;
mod check;
mod progress;
mod report;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use callferry_tests::environment;
use callferry_tests::fleet::Member;
use callferry_tests::platform::{AzureAccess, Platform};
use callferry_tests::scratch::Scratch;

use crate::audio::Staged;

/// Where an account's copies belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In an S3 bucket of its own.
    Bucket,
    /// In the platform's own bucket.
    Default,
    /// In an Azure container of its own, reached like this.
    Container(AzureAccess),
}

/// Who takes part, with which recordings.
pub(crate) const ACCOUNTS: [(&str, &str, Place); 5] = [
    ("acme", "wav", Place::Bucket),
    ("globex", "g722", Place::Bucket),
    ("initech", "gsm", Place::Default),
    (
        "hooli",
        "wav",
        Place::Container(AzureAccess::ServicePrincipal),
    ),
    ("umbrella", "g722", Place::Container(AzureAccess::AccessKey)),
];

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
    report::headline("Starting RabbitMQ, PostgreSQL, the S3+STS laboratory and Azurite");
    let mut platform = Platform::start(scratch.path()).await?;
    ensure!(
        platform.start_azure().await?,
        "no Azurite: run deploy/local/install.sh demo"
    );
    for (account, _, place) in ACCOUNTS {
        match place {
            Place::Bucket => drop(platform.account(account).await?),
            Place::Default => {
                platform.plain_account(account).await?;
                platform.default_destination().await?;
            }
            Place::Container(access) => platform.azure_account(account, access).await?,
        }
    }
    report::servers(&platform, began.elapsed());

    let mut fleet = start_fleet(&platform).await?;
    report::headline("Staging recordings and publishing their events");
    let staged = audio::stage(&platform)?;
    let oddities = bad::stage_and_publish(&platform, &staged).await?;
    publish(&platform).await?;
    progress::follow(&platform, staged.len(), PATIENCE).await?;
    bad::settled(&platform, &oddities, PATIENCE).await?;

    report::headline("Checking with clients that are not ours (curl, and the account key)");
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
    for (account, extension, _) in ACCOUNTS {
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
