//! `callferry quarantine`: messages that cannot be understood or may not be believed.

mod legible;

use anyhow::{Context as _, Result};
use catalog::{AdminFault, QuarantineMessageView, QuarantineView};
use clap::{Args, Subcommand};
use recording::RefusalReason;
use serde::Serialize;
use serde_json::{Value, json};

use super::Context;
use crate::failure::Failure;
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
            let answer = json!({ "requeue_asked": asked.done, "refused": asked.refused() });
            context.output.answer(&answer, |_| {
                let count = asked.done.len();
                format!("{count} asked for; housekeeping returns them with its next tick.")
            })?;
            asked.verdict()
        }
        QuarantineCommand::Drop(args) => {
            let dropped = each(&args.ids, async |id| ledger.drop_quarantine(id).await).await;
            let answer = json!({ "dropped": dropped.done, "refused": dropped.refused() });
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

/// A view with what the person who reads it can do about the reason.
fn with_hint(view: &impl Serialize) -> Result<Value> {
    let mut value = serde_json::to_value(view).context("writing the answer as JSON")?;
    let reason = value.get("reason").and_then(Value::as_str);
    let reason = reason.and_then(|word| word.parse::<RefusalReason>().ok());
    if let Some(fields) = value.as_object_mut() {
        fields.insert("hint".to_owned(), json!(reason.map(RefusalReason::hint)));
    }
    Ok(value)
}

/// Writes JSON in which nothing but ASCII stands: a message is the one thing in the ledger that
/// nobody has checked, and a script's output may well end at a terminal.
fn answer_safely(value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value).context("writing the answer as JSON")?;
    let text = legible::ascii_json(&text);
    // As it stands: it is JSON already.
    Output { json: false }.answer(&text, String::clone)
}

/// What became of several messages.
#[derive(Debug, Default)]
struct Outcomes {
    /// Done as asked.
    done: Vec<i64>,
    /// Not done, and why.
    faults: Vec<(i64, AdminFault)>,
}

/// Does something to each message, whatever became of the others.
async fn each(ids: &[i64], act: impl AsyncFn(i64) -> Result<(), AdminFault>) -> Outcomes {
    let mut outcomes = Outcomes::default();
    for id in ids {
        // A ledger that is away is not asked again for every message that is left.
        let away = outcomes.faults.last().and_then(|(_, fault)| match fault {
            AdminFault::Ledger(_) => Some(fault.clone()),
            AdminFault::NotFound { .. }
            | AdminFault::Exists { .. }
            | AdminFault::Refused { .. }
            | AdminFault::Misconfigured { .. } => None,
        });
        let acted = match away {
            Some(fault) => Err(fault),
            None => act(*id).await,
        };
        match acted {
            Ok(()) => outcomes.done.push(*id),
            Err(fault) => outcomes.faults.push((*id, fault)),
        }
    }
    outcomes
}

impl Outcomes {
    fn refused(&self) -> Vec<i64> {
        self.faults.iter().map(|(id, _)| *id).collect()
    }

    /// A failure if anything was refused: it names each message, and says why of the first.
    fn verdict(&self) -> Result<()> {
        let Some((id, first)) = self.faults.first() else {
            return Ok(());
        };
        let refused: Vec<_> = self.refused().iter().map(ToString::to_string).collect();
        let message = format!("not done: {}; {id}: {first}", refused.join(", "));
        Err(Failure::failed(message).hint(first.hint()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use recording::LedgerFault;

    fn absent(id: i64) -> AdminFault {
        AdminFault::NotFound {
            what: format!("message {id}"),
            hint: "list them".to_owned(),
        }
    }

    #[tokio::test]
    async fn one_message_that_is_refused_does_not_keep_the_others_from_what_was_asked() {
        let acts = async |id| if id == 2 { Err(absent(id)) } else { Ok(()) };
        let outcomes = each(&[1, 2, 3], acts).await;
        assert_eq!(
            (outcomes.done.as_slice(), outcomes.refused()),
            (&[1, 3][..], vec![2])
        );
        let error = outcomes.verdict().unwrap_err();
        assert!(
            error.to_string().contains("message 2 does not exist"),
            "{error}"
        );
        assert_eq!(crate::failure::hint(&error), Some("list them"));
        assert_eq!(crate::failure::exit_code(&error), 1);
        assert!(each(&[1], acts).await.verdict().is_ok());
    }

    #[tokio::test]
    async fn a_ledger_that_is_away_is_asked_once_and_everything_left_is_refused() {
        let asked = std::cell::Cell::new(0);
        let outcomes = each(&[1, 2, 3], async |_| {
            asked.set(asked.get() + 1);
            Err(LedgerFault::Unavailable("away".to_owned()).into())
        });
        assert_eq!(outcomes.await.refused(), [1, 2, 3]);
        assert_eq!(asked.get(), 1);
    }
}
