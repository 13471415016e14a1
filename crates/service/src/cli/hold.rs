//! `callferry hold`: legal holds, which retention and erasure never pass.

use anyhow::Result;
use catalog::{HoldScope, HoldView, MOST_HOLDS, PlacedHold};
use clap::{Args, Subcommand};
use recording::{AccountId, InteractionId, RecordingId};

use super::Context;
use crate::output::tell_if_cut;
use crate::wiring::admin_failure;

/// What can be done with legal holds.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  callferry hold place --account acme --interaction call-19 --reason 'case 4711' --by 'Jo Doe'
  callferry hold list --account acme
  callferry hold release --account acme 3 --reason 'case 4711 is closed' --by 'Jo Doe'")]
pub(crate) enum HoldCommand {
    /// Keep a recording, an interaction, or all of an account from being deleted. What had begun
    /// to be deleted before is named
    #[command(after_help = "\
Examples:
  callferry hold place --account acme --recording rec-7f3a --reason 'case 4711' --by 'Jo Doe'
  callferry hold place --account acme --interaction call-19 --reason 'case 4711' --by 'Jo Doe'
  callferry hold place --account acme --whole-account --reason 'case 4711' --by 'Jo Doe' --json

A recording or interaction that is not known yet can be held too: it is held when it comes.")]
    Place(PlaceArgs),
    /// Let go of what a hold keeps: it is deleted when its time has come, unless another holds it
    #[command(after_help = "\
Examples:
  callferry hold release --account acme 3 --reason 'case 4711 is closed' --by 'Jo Doe'")]
    Release(ReleaseArgs),
    /// List the holds in force, or with --all every one there ever was
    #[command(after_help = "\
Examples:
  callferry hold list
  callferry hold list --account acme --all --json")]
    List(ListArgs),
}

/// `hold place`.
#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// The account
    #[arg(long)]
    account: AccountId,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Why: kept for ever
    #[arg(long)]
    reason: String,
    /// Who places it: kept for ever
    #[arg(long, value_name = "NAME")]
    by: String,
}

/// What a hold is on.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ScopeArgs {
    /// On this recording
    #[arg(long, value_name = "ID")]
    recording: Option<RecordingId>,
    /// On every recording of this interaction
    #[arg(long, value_name = "ID")]
    interaction: Option<InteractionId>,
    /// On all that the account has and will have
    #[arg(long)]
    whole_account: bool,
}

/// `hold release`.
#[derive(Debug, Args)]
pub(crate) struct ReleaseArgs {
    /// The account
    #[arg(long)]
    account: AccountId,
    /// The hold's number
    hold: i64,
    /// Why: kept for ever
    #[arg(long)]
    reason: String,
    /// Who releases it: kept for ever
    #[arg(long, value_name = "NAME")]
    by: String,
}

/// `hold list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only this account's
    #[arg(long)]
    account: Option<AccountId>,
    /// Also those that were released
    #[arg(long)]
    all: bool,
}

pub(super) async fn execute(command: HoldCommand, context: &Context) -> Result<()> {
    let ledger = context.ledger().await?;
    match command {
        HoldCommand::Place(args) => {
            let scope = match args.scope {
                ScopeArgs {
                    recording: Some(id),
                    ..
                } => HoldScope::Recording(id),
                ScopeArgs {
                    interaction: Some(id),
                    ..
                } => HoldScope::Interaction(id),
                ScopeArgs { .. } => HoldScope::Account,
            };
            let said = (args.by.as_str(), args.reason.as_str());
            let placed = ledger.place_hold(&args.account, &scope, said).await;
            let placed = placed.map_err(admin_failure)?;
            context.output.answer(&placed, told)
        }
        HoldCommand::Release(args) => {
            let said = (args.by.as_str(), args.reason.as_str());
            let released = ledger.release_hold(&args.account, args.hold, said).await;
            let released = released.map_err(admin_failure)?;
            context.output.answer(&released, |released| {
                format!("Hold {} on {} is released.", released.hold_id, on(released))
            })
        }
        HoldCommand::List(args) => {
            let holds = ledger.list_holds(args.account.as_ref(), args.all).await;
            let holds = holds.map_err(admin_failure)?;
            let columns = [
                "hold_id",
                "account_id",
                "recording_id",
                "interaction_id",
                "reason",
                "placed_by",
                "placed_at",
                "released.at",
            ];
            context.output.list(&holds, &columns, "No holds.")?;
            tell_if_cut(holds.len(), MOST_HOLDS, "--account");
            Ok(())
        }
    }
}

/// What a hold is on, for people.
fn on(hold: &HoldView) -> String {
    let account = &hold.account_id;
    match (&hold.recording_id, &hold.interaction_id) {
        (Some(recording), _) => format!("recording {account}/{recording}"),
        (None, Some(interaction)) => format!("interaction {interaction} of {account}"),
        (None, None) => format!("all of {account}"),
    }
}

/// A hold that came too late for something must not read like one that did not.
fn told(placed: &PlacedHold) -> String {
    let covers = match placed.covers {
        None => String::new(),
        Some(0) => " Nothing of it is there now; what comes is held.".to_owned(),
        Some(1) => " It holds one recording.".to_owned(),
        Some(some) => format!(" It holds {some} recordings."),
    };
    let mut text = format!(
        "Hold {} is on {}.{covers}",
        placed.hold.hold_id,
        on(&placed.hold)
    );
    if !placed.too_late.is_empty() {
        text.push_str("\nIt came too late, or may have, for:");
    }
    for late in &placed.too_late {
        let began = late.began_at.to_rfc3339();
        let how = match late.gone {
            true => "its copy is gone",
            false => {
                "its deletion had begun and is not repeated; the next look says what is left: \
                 `callferry recording show`"
            }
        };
        text.push_str(&format!("\n  {} ({began}): {how}", late.recording_id));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::TooLate;

    #[test]
    fn what_a_hold_came_too_late_for_is_named() {
        let at = "2026-11-22T10:00:00Z".parse().unwrap();
        let hold = HoldView {
            hold_id: 3,
            account_id: "acme".parse().unwrap(),
            recording_id: None,
            interaction_id: Some("call-19".parse().unwrap()),
            reason: "case".to_owned(),
            placed_by: "Jo".to_owned(),
            placed_at: at,
            released: None,
        };
        let mut placed = PlacedHold {
            hold,
            covers: Some(2),
            too_late: Vec::new(),
        };
        let text = told(&placed);
        assert_eq!(
            text,
            "Hold 3 is on interaction call-19 of acme. It holds 2 recordings."
        );
        for (id, gone) in [("rec-1", true), ("rec-2", false)] {
            placed.too_late.push(TooLate {
                recording_id: id.parse().unwrap(),
                gone,
                began_at: at,
            });
        }
        let text = told(&placed);
        assert!(text.contains("too late"), "{text}");
        assert!(text.contains("rec-1 (2026-11-22T10:00:00+00:00): its copy is gone"));
        assert!(
            text.contains("rec-2") && text.contains("had begun"),
            "{text}"
        );
    }
}
