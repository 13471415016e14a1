//! `make dashboard`: a fleet under load, an incident, its repair, and a picture of the dashboard
//! that shows all three. Everything but the alerts' times is as in production: these are shortened
//! (`servers/prometheus/shortened.rs`), or the story would take a day.
#![expect(
    clippy::print_stdout,
    reason = "a tool that tells the person who ran it how far it is"
)]

mod story;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::environment;
use callferry_tests::scratch::Scratch;
use callferry_tests::servers::prometheus::Picture;
use clap::Parser;

use crate::story::Story;

/// A fleet with an incident, and a picture of its dashboard.
#[derive(Clone, Debug, Parser)]
#[command(after_help = "Example:\n  dashboard --out .local/fleet-overview.png --seconds 420")]
struct Args {
    /// Where the picture goes.
    #[arg(long)]
    out: Option<PathBuf>,
    /// How long the story takes; an incident needs room in it.
    #[arg(long, default_value_t = 420, value_parser = clap::value_parser!(u64).range(180..))]
    seconds: u64,
    /// How many headed rows of panels the picture has.
    #[arg(long, default_value_t = 99)]
    rows: u32,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let ended = tokio::runtime::Runtime::new().map_err(Into::into);
    match ended.and_then(|runtime| runtime.block_on(run(args))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    let scratch = Scratch::new("dashboard")?;
    let span = Duration::from_secs(args.seconds);
    let mut story = Story::begin(scratch.path())
        .await?
        .context("Prometheus is not installed: run deploy/local/install.sh dashboard")?;
    story.tell(span).await?;
    let out = args.out;
    let file = out.unwrap_or_else(|| environment::local().join("fleet-overview.png"));
    let picture = Picture {
        span,
        rows: args.rows,
        file,
    };
    story.prometheus.draw(scratch.path(), &picture).await?;
    println!("{}", picture.file.display());
    Ok(())
}
