//! `callferry retention`: how long copies are kept, what goes when, and what stopped.

use anyhow::Result;
use catalog::{PreviewView, StopView};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use recording::{AccountId, Kind};
use serde::Serialize;

use super::Context;
use crate::administration::retention;
use crate::output::tabular;
use crate::wiring::{self, admin_failure};

/// What can be asked and said about retention.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  callferry retention set acme --kind call --days 365
  callferry retention preview acme
  callferry retention confirm acme --why 'imported, ticket 4711' --by 'Jo Doe'")]
pub(crate) enum RetentionCommand {
    /// Set how long copies of a kind are kept. It touches only recordings that are completed from
    /// now on; without a policy it is 180 days
    #[command(after_help = "\
Examples:
  callferry retention set acme --kind call --days 365
  callferry retention set acme --kind voicemail --never")]
    Set(SetArgs),
    /// Show an account's policies, and what stopped its sweep
    #[command(after_help = "\
Examples:
  callferry retention show acme
  callferry retention show acme --json")]
    Show(ShowArgs),
    /// Show what would be deleted and when, and what is held back and why. Nothing is changed
    #[command(after_help = "\
Examples:
  callferry retention preview acme
  callferry retention preview acme --until 2027-01-01T00:00:00Z --json")]
    Preview(PreviewArgs),
    /// List what stopped the sweep and waits for a person
    #[command(after_help = "\
Examples:
  callferry retention stops
  callferry retention stops --all --json")]
    Stops(StopsArgs),
    /// Confirm that what stopped the sweep is right: what was due then is deleted
    #[command(after_help = "\
Examples:
  callferry retention preview acme
  callferry retention confirm acme --stop 7 --why 'imported, ticket 4711' --by 'Jo Doe'
  callferry retention confirm --everything --why 'the clock is right again' --by 'Jo Doe'")]
    Confirm(ConfirmArgs),
}

/// `retention set`.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The account
    account: AccountId,
    /// Of which kind of recording: call, voicemail or screen
    #[arg(long)]
    kind: Kind,
    /// For how many days
    #[arg(long, required_unless_present = "never")]
    days: Option<u32>,
    /// For ever
    #[arg(long, conflicts_with = "days")]
    never: bool,
}

/// `retention show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The account
    account: AccountId,
}

/// `retention preview`.
#[derive(Debug, Args)]
pub(crate) struct PreviewArgs {
    /// The account
    account: AccountId,
    /// Up to when; without it 30 days from now
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<Utc>>,
}

/// `retention stops`.
#[derive(Debug, Args)]
pub(crate) struct StopsArgs {
    /// Only this account's, and what stopped everything
    #[arg(long)]
    account: Option<AccountId>,
    /// Also what was confirmed
    #[arg(long)]
    all: bool,
}

/// `retention confirm`.
#[derive(Debug, Args)]
pub(crate) struct ConfirmArgs {
    /// The account whose sweep stopped
    #[arg(required_unless_present = "everything", conflicts_with = "everything")]
    account: Option<AccountId>,
    /// What stopped the sweep of every account: a clock that jumped
    #[arg(long)]
    everything: bool,
    /// The stop that was looked at, as `retention stops` lists it; needed where there are several
    #[arg(long = "stop", value_name = "ID")]
    stops: Vec<i64>,
    /// Why it is right: kept for ever
    #[arg(long)]
    why: String,
    /// Who says so: kept for ever
    #[arg(long, value_name = "NAME")]
    by: String,
}

pub(super) async fn execute(command: RetentionCommand, context: &Context) -> Result<()> {
    match command {
        RetentionCommand::Set(args) => set(args, context).await,
        RetentionCommand::Show(args) => {
            let shown = context.ledger().await?.show_retention(&args.account).await;
            context.output.one(&shown.map_err(admin_failure)?)
        }
        RetentionCommand::Preview(args) => {
            let now = wiring::clock().now();
            let until = args.until.unwrap_or(now + retention::AHEAD);
            let ledger = context.ledger().await?;
            let preview = ledger.preview_retention(&args.account, until).await;
            context
                .output
                .answer(&preview.map_err(admin_failure)?, readable)
        }
        RetentionCommand::Stops(args) => {
            let ledger = context.ledger().await?;
            let stops = ledger.retention_stops(args.account.as_ref(), args.all);
            let stops = stops.await.map_err(admin_failure)?;
            context
                .output
                .list(&stops, &STOP_COLUMNS, "Nothing has stopped.")
        }
        RetentionCommand::Confirm(args) => {
            let said = (args.by.as_str(), args.why.as_str());
            let ledger = context.ledger().await?;
            let account = args.account.as_ref();
            let confirmed = ledger.confirm_retention(account, &args.stops, said).await;
            context
                .output
                .answer(&confirmed.map_err(admin_failure)?, |it| confirmed_text(it))
        }
    }
}

const STOP_COLUMNS: [&str; 6] = [
    "stop_id",
    "account_id",
    "reason",
    "stopped_at",
    "confirmed_at",
    "detail",
];

async fn set(args: SetArgs, context: &Context) -> Result<()> {
    let days = retention::days(args.days, args.never)?;
    let ledger = context.ledger().await?;
    let set = retention::set(&ledger, &args.account, args.kind, days).await;
    context.output.answer(&set.map_err(admin_failure)?, |_| {
        let long = days.map_or("for ever".to_owned(), |days| format!("for {days} days"));
        format!(
            "Copies of each {} of {} that is completed from now on are kept {long}.",
            args.kind, args.account
        )
    })
}

fn confirmed_text(confirmed: &[StopView]) -> String {
    let lines = confirmed.iter().map(|stop| {
        let whose = stop.account_id.as_ref();
        let whose = whose.map_or("every account".to_owned(), ToString::to_string);
        format!("Confirmed for {whose}: {}", stop.detail)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What goes, then what does not and why.
fn readable(preview: &PreviewView) -> String {
    let mut text = format!(
        "Until {} {} copies of {} would be deleted ({} bytes); {} are held back.\n",
        preview.until.to_rfc3339(),
        preview.would_go,
        preview.account_id,
        preview.would_go_bytes,
        preview.held_back,
    );
    let days = [
        "day",
        "kind",
        "recordings",
        "size_bytes",
        "held",
        "retained_by_customer",
        "not_released",
    ];
    let holds = [
        "hold_id",
        "recording_id",
        "interaction_id",
        "reason",
        "recordings",
    ];
    let kept = ["why", "recordings", "lock_until", "detail"];
    section(
        &mut text,
        "By the day on which retention ends",
        &preview.days,
        &days,
    );
    section(&mut text, "Kept by a legal hold", &preview.holds, &holds);
    section(&mut text, "Could not be deleted yet", &preview.kept, &kept);
    let stops = &preview.stops;
    section(
        &mut text,
        "NOTHING is deleted until this is confirmed",
        stops,
        &STOP_COLUMNS,
    );
    text
}

fn section<T: Serialize>(text: &mut String, title: &str, rows: &[T], columns: &[&str]) {
    if rows.is_empty() {
        return;
    }
    let rows = serde_json::to_value(rows).unwrap_or_default();
    text.push_str(&format!("\n{title}\n{}\n", tabular(&rows, columns, "")));
}
