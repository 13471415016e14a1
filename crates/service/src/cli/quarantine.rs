//! `callferry quarantine`: messages that cannot be understood or may not be believed.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;

use super::Context;
use crate::wiring::admin_failure;

/// What can be done with quarantined messages.
#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// List quarantined messages, one line for each reason and body
    #[command(after_help = "\
Examples:
  callferry quarantine list
  callferry quarantine list --json")]
    List(ListArgs),
    /// Show one message with its body
    #[command(after_help = "\
Examples:
  callferry quarantine show 17
  callferry quarantine show 17 --json")]
    Show(OneArgs),
    /// Return messages to their queue, once what was wrong is repaired
    #[command(after_help = "\
Examples:
  callferry quarantine requeue 17 18
  callferry quarantine requeue 17 --json")]
    Requeue(SomeArgs),
    /// Drop messages for good; what they announced is not stored by this
    #[command(after_help = "\
Examples:
  callferry quarantine drop 17
  callferry quarantine drop 17 18 --json")]
    Drop(SomeArgs),
}

/// `quarantine list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// How many at most
    #[arg(long, default_value_t = 1000)]
    limit: u32,
}

/// One message.
#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// Its number in the list
    id: i64,
}

/// Some messages.
#[derive(Debug, Args)]
pub(crate) struct SomeArgs {
    /// Their numbers in the list
    #[arg(required = true)]
    ids: Vec<i64>,
}

pub(super) async fn execute(command: QuarantineCommand, context: &Context) -> Result<()> {
    let ledger = context.ledger().await?;
    match command {
        QuarantineCommand::List(args) => {
            let listed = ledger.list_quarantine(args.limit).await;
            let columns = ["id", "reason", "count", "last_seen", "account_id", "detail"];
            let nothing = "Quarantine is empty.";
            context
                .output
                .list(&listed.map_err(admin_failure)?, &columns, nothing)
        }
        QuarantineCommand::Show(args) => {
            let shown = ledger.show_quarantine(args.id).await;
            context.output.one(&shown.map_err(admin_failure)?)
        }
        QuarantineCommand::Requeue(args) => {
            for id in &args.ids {
                let asked = ledger.requeue_quarantine(*id).await;
                asked.map_err(admin_failure)?;
            }
            let answer = json!({ "requeue_asked": args.ids });
            context.output.answer(&answer, |_| {
                "Asked for; housekeeping returns them with its next tick.".to_owned()
            })
        }
        QuarantineCommand::Drop(args) => {
            for id in &args.ids {
                let dropped = ledger.drop_quarantine(*id).await;
                dropped.map_err(admin_failure)?;
            }
            let answer = json!({ "dropped": args.ids });
            context
                .output
                .answer(&answer, |_| format!("{} dropped.", args.ids.len()))
        }
    }
}
