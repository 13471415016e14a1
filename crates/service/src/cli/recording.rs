//! `callferry recording`.

mod erase;
mod reroute;

use anyhow::{Context as _, Result};
use catalog::RecordingView;
use clap::{Args, Subcommand};
use recording::{AccountId, RecordingId, State};

use super::Context;
use crate::failure::Failure;
use crate::output::{harmless, listed, tell_if_cut};
use crate::wiring::admin_failure;

/// What can be asked about recordings.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  callferry recording show rec-7f3a
  callferry recording list --account acme --state parked
  callferry recording reroute --account acme --all-parked --dry-run")]
pub(crate) enum RecordingCommand {
    /// Show one recording: where it stands and what would help, location, receipt, history
    #[command(after_help = "\
Examples:
  callferry recording show rec-7f3a
  callferry recording show --account acme rec-7f3a --json")]
    Show(ShowArgs),
    /// List an account's recordings, by id
    #[command(after_help = "\
Examples:
  callferry recording list --account acme
  callferry recording list --account acme --state parked --limit 20 --json")]
    List(ListArgs),
    /// Send recordings that are not stored yet to the destination in force now. What is stored
    /// stays where it is
    #[command(after_help = "\
Examples:
  callferry recording reroute --account acme rec-7f3a
  callferry recording reroute --account acme --all-parked --dry-run
  callferry recording reroute --account acme --all-parked \\
      --reason role_not_assumable --from-revision 3
  callferry recording reroute --account acme --all-parked --unproven \\
      --why 'the old account is closed, ticket 4711'

First it looks whether a copy is at the old place, as cleanup would: with the old destination's own
credential. Only where that says that nothing is there, the recording goes to the other revision;
a copy that is found stays, and counts. Run it where the roles run: it needs their identity, their
way to the buckets and their key ring.")]
    Reroute(reroute::RerouteArgs),
    /// Delete a recording before its time, whatever its retention: its original, its copy with
    /// every version, and the personal words in the ledger. A legal hold keeps it
    #[command(after_help = "\
Examples:
  callferry recording erase --account acme rec-7f3a --why 'request 4711' --by 'Jo Doe'
  callferry recording erase --account acme rec-7f3a --why 'request 4711' --by 'Jo Doe' --json

What is not stored yet is not stored any more: its original is deleted from staging although there
is no copy of it, then open uploads and whatever else of it lies in the bucket. One that is being
sent at this moment may still arrive, and goes then. Quarantined messages of it go with its words.

What is left of it is its id, its size, its receipt and its history, which answer whoever announces
it again: nothing is resurrected. Repeating the command shows how far it is.")]
    Erase(erase::EraseArgs),
}

/// `recording show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The account; required where two accounts have a recording of this id
    #[arg(long)]
    account: Option<AccountId>,
    /// The recording's id
    id: RecordingId,
}

/// `recording list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The account
    #[arg(long)]
    account: AccountId,
    /// Only those in this state: staged, parked, stored, released or expired
    #[arg(long, value_parser = state)]
    state: Option<State>,
    /// How many at most
    #[arg(long, default_value_t = 1000)]
    limit: u32,
    /// Only those whose id comes after this one: the next page
    #[arg(long, value_name = "ID")]
    after: Option<RecordingId>,
}

fn state(text: &str) -> Result<State, String> {
    let known = State::ALL.into_iter().find(|state| state.as_str() == text);
    known.ok_or_else(|| "use staged, parked, stored, released or expired".to_owned())
}

pub(super) async fn execute(command: RecordingCommand, context: &Context) -> Result<()> {
    match command {
        RecordingCommand::Show(args) => show(args, context).await,
        RecordingCommand::Erase(args) => erase::execute(args, context).await,
        RecordingCommand::Reroute(args) => reroute::execute(args, context).await,
        RecordingCommand::List(args) => {
            let ledger = context.ledger().await?;
            let listed =
                ledger.list_recordings(&args.account, args.state, args.limit, args.after.as_ref());
            let listed = listed.await.map_err(admin_failure)?;
            let columns = [
                "recording_id",
                "state",
                "reason",
                "next_attempt_at",
                "location",
            ];
            context.output.list(&listed, &columns, "No recordings.")?;
            tell_if_cut(listed.len(), args.limit, "--limit, --after");
            Ok(())
        }
    }
}

async fn show(args: ShowArgs, context: &Context) -> Result<()> {
    let ledger = context.ledger().await?;
    let found = ledger.show_recording(args.account.as_ref(), &args.id).await;
    let found = found.map_err(admin_failure)?;
    match found.as_slice() {
        [] => {
            if let Some(account) = &args.account {
                ledger.show_account(account).await.map_err(admin_failure)?;
            }
            let hint = "its event may be on its way, or in quarantine: `callferry quarantine list`";
            Err(
                Failure::failed(format!("recording {} is not known", args.id))
                    .hint(hint)
                    .into(),
            )
        }
        [one] => {
            let shown = serde_json::to_value(one).context("writing the answer as JSON")?;
            let readable = |shown: &_| format!("{}\n{}", standing(one), listed(shown));
            context.output.answer(&shown, readable)
        }
        several => {
            let accounts = several.iter().map(|view| view.account_id.as_str());
            let accounts = accounts.collect::<Vec<_>>().join(", ");
            let message = format!("{} is ambiguous: {accounts} have one each", args.id);
            Err(Failure::failed(message)
                .hint("say whose with --account")
                .into())
        }
    }
}

/// What a person wants to know first: where it stands, and if it cannot go on, why, what was seen,
/// what would help and when it is tried again.
fn standing(view: &RecordingView) -> String {
    let (account, id) = (&view.account_id, &view.recording_id);
    if let (Some(at), None) = (view.erasure_asked_at, view.erased_at) {
        let (state, at) = (view.state.as_str(), at.to_rfc3339());
        return format!("{account}/{id} is {state}, and is to be erased: asked for at {at}.\n");
    }
    let Some(reason) = view.reason else {
        return format!("{account}/{id} is {}.\n", view.state.as_str());
    };
    let what = if view.state == State::Parked {
        "is parked"
    } else {
        "is stored, but its original is not released"
    };
    let next = match view.next_attempt_at {
        Some(at) => format!("{} (by itself)", at.to_rfc3339()),
        None => "none by itself: it waits for a person".to_owned(),
    };
    format!(
        "{account}/{id} {what}: {reason}\n\
         seen          {}\n\
         hint          {}\n\
         bound for     {}\n\
         next attempt  {next}\n\
         to try now    callferry parked retry --account {account} {id}\n",
        harmless(view.detail.as_deref().unwrap_or("-")),
        view.hint.unwrap_or("-"),
        bound_for(view),
    )
}

/// Where its copy goes, or is: the revision it is pinned to.
fn bound_for(view: &RecordingView) -> String {
    let bound = view.destination.as_ref().zip(view.destination_revision);
    bound.map_or_else(
        || "nowhere yet".to_owned(),
        |(destination, revision)| format!("{destination} (revision {revision})"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use recording::{Kind, ParkReason};

    fn view(state: State, reason: Option<ParkReason>) -> RecordingView {
        let at = "2026-11-22T10:00:00Z".parse().unwrap();
        RecordingView {
            account_id: "acme".parse().unwrap(),
            recording_id: "rec-7f3a".parse().unwrap(),
            state,
            reason,
            detail: reason.map(|_| "PutObject: 403 \u{1b}[2J".to_owned()),
            hint: reason.map(ParkReason::hint),
            next_attempt_at: reason.map(|_| at),
            interaction_id: "call-1".parse().unwrap(),
            kind: Kind::Call,
            media_type: "audio/wav".to_owned(),
            started_at: at,
            completed_at: at,
            duration_ms: None,
            path: "acme/rec-7f3a.wav".to_owned(),
            size_bytes: 3,
            sha256: None,
            attributes: std::collections::BTreeMap::new(),
            destination_revision: Some(3),
            destination: Some("s3://acme-calls".to_owned()),
            location: None,
            receipt: None,
            retain_until: None,
            attempts: 1,
            unclean_claims: 0,
            child_deaths: 0,
            leased_until: None,
            known_since: at,
            acknowledged_at: None,
            released_at: None,
            expired_at: None,
            expiry: None,
            erasure_asked_at: None,
            erased_at: None,
            history: Vec::new(),
        }
    }

    #[test]
    fn what_is_parked_is_shown_first_with_reason_detail_hint_and_next_attempt() {
        let mut parked = view(State::Parked, Some(ParkReason::AccessDenied));
        let text = standing(&parked);
        let begin = "acme/rec-7f3a is parked: access_denied\n";
        assert!(text.starts_with(begin), "{text}");
        for says in [
            "PutObject: 403",
            "the role or bucket policy must allow",
            "2026-11-22T10:00:00",
            "s3://acme-calls (revision 3)",
            "callferry parked retry --account acme rec-7f3a",
        ] {
            assert!(text.contains(says), "{says}: {text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
        parked.next_attempt_at = None;
        assert!(standing(&parked).contains("waits for a person"));
        let refused = view(State::Stored, Some(ParkReason::OriginalReplaced));
        assert!(standing(&refused).contains("is not released: original_replaced"));
        parked.erasure_asked_at = parked.next_attempt_at.or(Some(parked.started_at));
        let erasing = standing(&parked);
        assert!(erasing.starts_with("acme/rec-7f3a is parked, and is to be erased"));
        let stored = standing(&view(State::Stored, None));
        assert_eq!(stored, "acme/rec-7f3a is stored.\n");
    }
}
