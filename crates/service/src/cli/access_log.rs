//! `callferry access-log`: who was given what to listen to, when and from where, or was refused.

use anyhow::Result;
use catalog::AccessPlace;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use recording::AccountId;

use serde_json::json;

use super::Context;
use crate::failure::Failure;
use crate::output::{Lines, tell};
use crate::wiring::admin_failure;

/// Rows that are in memory at a time.
const PAGE: u32 = 1000;

/// What can be done with the access log. It is written by the role playback, cannot be changed, and
/// is kept for `access_log_retention_days`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  callferry access-log export --account acme > acme.jsonl")]
pub(crate) enum AccessLogCommand {
    /// Write an account's accesses as JSON lines, oldest first: one object for each answer of
    /// playback, granted, opened (the player page) or refused, with subject, recording, address
    /// and reason
    #[command(after_help = "\
Examples:
  callferry access-log export --account acme > acme.jsonl
  callferry access-log export --account acme --since 2026-11-01T00:00:00Z \\
      --until 2026-12-01T00:00:00Z

However many there are, a thousand are in memory at a time. It ends 30 seconds
before now, by the database's clock, because what happened later may still be on
its way into the log. Where it ended is told on standard error, with --json as
{\"until\": …, \"rows\": …}: the next export's --since, so that none is lost or twice.")]
    Export(ExportArgs),
}

/// `access-log export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Whose recordings
    #[arg(long)]
    account: AccountId,
    /// Only from this time on, as in 2026-11-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<DateTime<Utc>>,
    /// Only before this time, which is over for 30 seconds; without it up to 30 seconds ago
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<Utc>>,
}

pub(super) async fn execute(command: &AccessLogCommand, context: &Context) -> Result<()> {
    let AccessLogCommand::Export(args) = command;
    let ledger = context.ledger().await?;
    let settled = ledger.settled_accesses().await.map_err(admin_failure)?;
    let until = args.until.unwrap_or(settled);
    if until > settled {
        let hint = format!(
            "what happened since then may still be on its way into the log: wait, use \
             `--until {}`, or leave it out",
            written(settled)
        );
        let what = format!("`--until` is later than {}", written(settled));
        return Err(Failure::usage(what).hint(hint).into());
    }
    if args.since.is_some_and(|since| since >= until) {
        return Err(Failure::usage("`--since` is not before `--until`")
            .hint("both are times, as in 2026-11-01T00:00:00Z; without --until it is 30 s ago")
            .into());
    }
    let account = &args.account;
    ledger.show_account(account).await.map_err(admin_failure)?;
    let mut after = AccessPlace::from(args.since.unwrap_or(DateTime::UNIX_EPOCH));
    let (mut lines, mut rows) = (Lines::new(), 0_u64);
    loop {
        let page = ledger.page_accesses(account, (after, until), PAGE).await;
        let page = page.map_err(admin_failure)?;
        for access in &page {
            lines.write(access)?;
            rows = rows.saturating_add(1);
        }
        let Some(last) = page.last() else {
            lines.end()?;
            tell(&ended(context.output.json, until, rows));
            return Ok(());
        };
        if lines.nobody_reads() {
            return Ok(());
        }
        after = AccessPlace::after(last);
    }
}

/// Up to when the export is whole.
fn ended(json: bool, until: DateTime<Utc>, rows: u64) -> String {
    let until = written(until);
    if json {
        return json!({ "until": until, "rows": rows }).to_string();
    }
    format!("{rows} rows, whole until {until}: go on with `--since {until}`")
}

/// A time as options take it, exactly.
fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
