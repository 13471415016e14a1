//! `callferry access-log`: who was given what to listen to, when and from where, or was refused.

use anyhow::Result;
use catalog::AccessPlace;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use recording::AccountId;

use super::Context;
use crate::failure::Failure;
use crate::output::Lines;
use crate::wiring::{self, admin_failure};

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
    /// playback, granted or refused, with subject, recording, address and reason
    #[command(after_help = "\
Examples:
  callferry access-log export --account acme > acme.jsonl
  callferry access-log export --account acme --since 2026-11-01T00:00:00Z \\
      --until 2026-12-01T00:00:00Z

However many there are, a thousand are in memory at a time; what is written while
it runs is not part of it.")]
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
    /// Only before this time; without it until now
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<Utc>>,
}

pub(super) async fn execute(command: &AccessLogCommand, context: &Context) -> Result<()> {
    let AccessLogCommand::Export(args) = command;
    let until = args.until.unwrap_or_else(|| wiring::clock().now());
    if args.since.is_some_and(|since| since >= until) {
        return Err(Failure::usage("`--since` is not before `--until`")
            .hint("both are times, as in 2026-11-01T00:00:00Z; without --until it is now")
            .into());
    }
    let ledger = context.ledger().await?;
    let account = &args.account;
    ledger.show_account(account).await.map_err(admin_failure)?;
    let mut after = AccessPlace::from(args.since.unwrap_or(DateTime::UNIX_EPOCH));
    let mut lines = Lines::new();
    loop {
        let page = ledger.page_accesses(account, (after, until), PAGE).await;
        let page = page.map_err(admin_failure)?;
        for access in &page {
            lines.write(access)?;
        }
        let Some(last) = page.last() else {
            return lines.end();
        };
        if lines.nobody_reads() {
            return Ok(());
        }
        after = AccessPlace::after(last);
    }
}
