//! `callferry quarantine`: messages that cannot be understood or may not be believed.

use anyhow::Result;
use catalog::AdminFault;
use clap::{Args, Subcommand};
use serde_json::json;

use super::Context;
use crate::failure::Failure;
use crate::output::tell_if_cut;
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
            let listed = ledger.list_quarantine(args.limit).await;
            let listed = listed.map_err(admin_failure)?;
            let columns = ["id", "reason", "count", "last_seen", "account_id", "detail"];
            let nothing = "Quarantine is empty.";
            context.output.list(&listed, &columns, nothing)?;
            tell_if_cut(listed.len(), args.limit, "--limit");
            Ok(())
        }
        QuarantineCommand::Show(args) => {
            let shown = ledger.show_quarantine(args.id).await;
            context.output.one(&shown.map_err(admin_failure)?)
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
