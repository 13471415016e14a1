//! `callferry parked`: what cannot go on now, and refused releases.

use anyhow::Result;
use catalog::{MOST_PARKED, ParkedFilter};
use clap::{Args, Subcommand};
use recording::{AccountId, ParkReason, RecordingId};

use super::Context;
use crate::administration::parked;
use crate::failure::Failure;
use crate::output::tell_if_cut;
use crate::wiring::admin_failure;

/// What can be done with what is parked.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  callferry parked list
  callferry parked retry --account acme rec-7f3a
  callferry parked retry --all")]
pub(crate) enum ParkedCommand {
    /// List what is parked, and stored recordings whose release is refused, with what would help;
    /// what has no time of a next attempt waits for a person
    #[command(after_help = "\
Examples:
  callferry parked list
  callferry parked list --account acme --json")]
    List(ListArgs),
    /// Make it due now, whatever its time of the next attempt
    #[command(after_help = "\
Examples:
  callferry parked retry --account acme rec-7f3a
  callferry parked retry --account acme
  callferry parked retry --reason access_denied
  callferry parked retry --all")]
    Retry(RetryArgs),
}

/// `parked list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only this account's
    #[arg(long)]
    account: Option<AccountId>,
}

/// `parked retry`.
#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// Only this account's
    #[arg(long)]
    account: Option<AccountId>,
    /// Only what is parked, or refused its release, for this reason
    #[arg(long)]
    reason: Option<ParkReason>,
    /// Everything that is parked
    #[arg(long, conflicts_with_all = ["ids", "account", "reason"])]
    all: bool,
    /// These recordings only
    #[arg(requires = "account")]
    ids: Vec<RecordingId>,
}

pub(super) async fn execute(command: ParkedCommand, context: &Context) -> Result<()> {
    match command {
        ParkedCommand::List(args) => {
            let ledger = context.ledger().await?;
            let listed = ledger.list_parked(args.account.as_ref()).await;
            let listed = listed.map_err(admin_failure)?;
            let columns = [
                "account_id",
                "recording_id",
                "state",
                "reason",
                "next_attempt_at",
                "hint",
                "detail",
            ];
            let nothing = "Nothing is parked, and no release is refused.";
            context.output.list(&listed, &columns, nothing)?;
            tell_if_cut(listed.len(), MOST_PARKED, "--account");
            Ok(())
        }
        ParkedCommand::Retry(args) => retry(args, context).await,
    }
}

async fn retry(args: RetryArgs, context: &Context) -> Result<()> {
    if args.account.is_none() && args.reason.is_none() && !args.all {
        return Err(Failure::usage("what should be tried again is not said")
            .hint(
                "name recordings with --account, or all of an account by --account, or of a reason \
                 by --reason, or say --all",
            )
            .into());
    }
    let ledger = context.ledger().await?;
    let filter = ParkedFilter {
        account: args.account.clone(),
        reason: args.reason,
        own_only: false,
    };
    let retried = parked::retry(&ledger, &filter, &args.ids).await;
    let retried = retried.map_err(admin_failure)?;
    context.output.answer(&retried, |retried| {
        format!("{} due now; housekeeping drives them on.", retried.due)
    })?;
    if retried.not_parked.is_empty() {
        return Ok(());
    }
    let idle: Vec<_> = retried.not_parked.iter().map(RecordingId::as_str).collect();
    Err(Failure::failed(format!("not parked: {}", idle.join(", ")))
        .hint("`callferry recording show` says where a recording is")
        .into())
}
