//! `callferry publish`: announces files or objects in staging, as a recorder would.
//!
//! Everything is planned before anything is sent, so that a folder with one impossible name
//! announces nothing. The same file gives the same event: repeating is a duplicate.

mod event;
mod objects;
mod plan;
mod source;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use futures::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use recording::{AccountId, Kind, PublishFault, Publisher, StagingPath};
use serde_json::json;

use super::Context;
use crate::failure::Failure;
use crate::output::tell;
use crate::wiring;
use plan::Planned;
use source::{Reader, Source};

/// Events on their way to the broker at once.
const IN_FLIGHT: usize = 128;
/// How long to wait for the broker at the start.
const PATIENCE: Duration = Duration::from_secs(15);

/// Announce files in staging, as a recorder would: the id is the file's name without extension,
/// the time its last change. Repeating is a duplicate
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callferry publish --account acme acme/2026/11/22/rec-7f3a.wav
  callferry publish --account acme --kind voicemail \\
      --sha256 /srv/recordings/acme/2026/11/22
  callferry publish --account acme s3://staging-bucket/calls/acme/2026/11/22
  callferry publish --account acme --media-type audio/wav \\
      --duration-ms 120000 acme/rec.raw --json")]
pub(crate) struct PublishArgs {
    /// The account that the recordings belong to
    #[arg(long)]
    account: AccountId,
    /// What was recorded: call, voicemail or screen
    #[arg(long, default_value = "call")]
    kind: Kind,
    /// The media type; by default what the file's extension says
    #[arg(long)]
    media_type: Option<String>,
    /// The length: the recording began that long before the file's last change
    #[arg(long)]
    duration_ms: Option<u64>,
    /// Compute each file's SHA-256 and announce it
    #[arg(long)]
    sha256: bool,
    /// Files, or folders with everything in them: absolute within the staging folder, or relative
    /// to it. Where staging is a bucket: keys, or what leads them, relative to its prefix
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

pub(super) async fn execute(args: PublishArgs, context: &Context) -> Result<()> {
    let source = Source::open(context)?;
    let (planned, skipped) = source.plan(&args).await?;
    for path in &skipped {
        tell(&format!(
            "skipped: {} (hidden, or not a plain file)",
            path.display()
        ));
    }
    if planned.is_empty() {
        return Err(Failure::failed("there is no file to announce")
            .hint("name plain files, or folders that hold some; hidden ones are left out")
            .into());
    }
    let reader = source.reader(&args).await?;
    let publishing = wiring::Publishing::start(&context.config, &wiring::clock(), PATIENCE).await?;
    let Sent { confirmed, failed } = send(planned, (&args, &reader), publishing.publisher()).await;
    publishing.end().await;
    let recordings: Vec<_> = confirmed
        .iter()
        .map(|planned| {
            json!({ "account_id": args.account, "recording_id": planned.id,
                    "path": planned.path, "size_bytes": planned.size_bytes })
        })
        .collect();
    let answer = json!({ "published": confirmed.len(), "not_confirmed": failed.len(),
                         "skipped": skipped, "recordings": recordings });
    let count = confirmed.len();
    context
        .output
        .answer(&answer, |_| format!("{count} announced and confirmed."))?;
    let Some((path, first)) = failed.first() else {
        return Ok(());
    };
    let message = format!(
        "{} not announced, or not known to be; the first is {path}: {}",
        failed.len(),
        first.why
    );
    Err(Failure::failed(message).hint(first.hint).into())
}

/// What became of the events.
#[derive(Default)]
struct Sent {
    /// In a queue.
    confirmed: Vec<Planned>,
    /// Not known to be in one.
    failed: Vec<(StagingPath, Unsent)>,
}

/// Why an event is not known to be in a queue, and what helps.
struct Unsent {
    why: String,
    hint: &'static str,
}

impl From<PublishFault> for Unsent {
    fn from(fault: PublishFault) -> Self {
        let hint = match fault {
            PublishFault::Unroutable => "declare the queues first: callferry topology apply",
            PublishFault::Refused | PublishFault::Unconfirmed | PublishFault::Disconnected => {
                "repeat the command: what is announced already is a duplicate"
            }
        };
        let why = fault.to_string();
        Self { why, hint }
    }
}

async fn send(
    planned: Vec<Planned>,
    (args, reader): (&PublishArgs, &Reader),
    publisher: &dyn Publisher,
) -> Sent {
    let bar = bar(planned.len());
    let each = planned.into_iter().map(async |planned| {
        let sent = match event::completed(&planned, args, reader).await {
            Ok(event) => publisher.publish(event).await.map_err(Unsent::from),
            Err(error) => Err(Unsent {
                why: format!("{error:#}"),
                hint: "nothing was announced for it; repair it and repeat the command",
            }),
        };
        bar.inc(1);
        (planned, sent)
    });
    let mut sends = stream::iter(each).buffered(IN_FLIGHT);
    let mut all = Sent::default();
    while let Some((planned, sent)) = sends.next().await {
        match sent {
            Ok(()) => all.confirmed.push(planned),
            Err(unsent) => all.failed.push((planned.path, unsent)),
        }
    }
    bar.finish_and_clear();
    all
}

/// A progress bar for a person at a terminal, on standard error.
fn bar(length: usize) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let length = u64::try_from(length).ok();
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} announced, {eta} left");
    let bar = ProgressBar::with_draw_target(length, target);
    // The template is a constant; without it the bar only looks plainer.
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
