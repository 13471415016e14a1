//! `callferry quarantine`: messages that cannot be understood or may not be believed.

mod legible;

use anyhow::{Context as _, Result};
use catalog::{QuarantineMessageView, QuarantineView};
use clap::{Args, Subcommand};
use serde_json::Value;

use super::Context;
use crate::administration::quarantine::{each, with_hint};
use crate::output::{Output, listed, tell_if_cut};
use crate::wiring::admin_failure;

/// What can be done with quarantined messages.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  callferry quarantine list
  callferry quarantine show 17
  callferry quarantine requeue 17 18")]
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
            let found = ledger.list_quarantine(args.limit).await;
            let found = found.map_err(admin_failure)?;
            list(&found, context.output)?;
            tell_if_cut(found.len(), args.limit, "--limit");
            Ok(())
        }
        QuarantineCommand::Show(args) => {
            let shown = ledger.show_quarantine(args.id).await;
            show(&shown.map_err(admin_failure)?, context.output)
        }
        QuarantineCommand::Requeue(args) => {
            let asked = each(&args.ids, async |id| ledger.requeue_quarantine(id).await).await;
            context.output.answer(&asked.answer("requeue_asked"), |_| {
                let count = asked.done.len();
                format!("{count} asked for; housekeeping returns them with its next tick.")
            })?;
            asked.verdict()
        }
        QuarantineCommand::Drop(args) => {
            let dropped = each(&args.ids, async |id| ledger.drop_quarantine(id).await).await;
            let answer = dropped.answer("dropped");
            context
                .output
                .answer(&answer, |_| format!("{} dropped.", dropped.done.len()))?;
            dropped.verdict()
        }
    }
}

fn list(found: &[QuarantineView], output: Output) -> Result<()> {
    let found: Vec<Value> = found.iter().map(with_hint).collect::<Result<_>>()?;
    if output.json {
        return answer_safely(&Value::Array(found));
    }
    let columns = ["id", "reason", "count", "last_seen", "account_id", "detail"];
    output.list(&found, &columns, "Quarantine is empty.")
}

fn show(found: &QuarantineMessageView, output: Output) -> Result<()> {
    if output.json {
        return answer_safely(&with_hint(found)?);
    }
    let mut fields = with_hint(&found.message)?;
    if let Some(fields) = fields.as_object_mut() {
        for text in fields.values_mut() {
            if let Value::String(text) = text {
                *text = legible::line(text);
            }
        }
    }
    let body = legible::body(found.body.as_deref(), found.body_hex.as_deref());
    let id = found.message.id;
    output.answer(&fields, |fields| {
        format!(
            "{}\nbody\n{body}\n{}",
            listed(fields),
            next(id, found.message.requeuable)
        )
    })
}

/// What a person does with a message, once it is understood.
fn next(id: i64, requeuable: bool) -> String {
    if requeuable {
        format!(
            "to return it  callferry quarantine requeue {id}\n\
             to forget it  callferry quarantine drop {id}\n"
        )
    } else {
        format!("to forget it  callferry quarantine drop {id}\n")
    }
}

/// Writes JSON in which nothing but ASCII stands: a message is the one thing in the ledger that
/// nobody has checked, and a script's output may well end at a terminal.
fn answer_safely(value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value).context("writing the answer as JSON")?;
    let text = legible::ascii_json(&text);
    // As it stands: it is JSON already.
    Output { json: false }.answer(&text, String::clone)
}
