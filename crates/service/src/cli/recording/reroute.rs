//! `callferry recording reroute`: recordings that are not stored yet go to another revision.

use std::sync::Arc;

use anyhow::Result;
use catalog::{Catalog, MOST_PARKED};
use clap::Args;
use futures::stream::{StreamExt, TryStreamExt, iter};
use recording::{AccountId, ParkReason, REROUTE_QUIET, RecordingId, RecordingKey, State};
use roles::{Move, Reroute, ReroutePorts, RerouteRefusal, RerouteWish, Rerouted};
use serde_json::{Value, json};

use crate::cli::Context;
use crate::failure::Failure;
use crate::output::{tabular, tell_if_cut};
use crate::wiring::{self, admin_failure, ledger_failure};

/// Recordings that are looked at at the same time.
const AT_ONCE: usize = 16;

/// `recording reroute`.
#[derive(Debug, Args)]
pub(crate) struct RerouteArgs {
    /// The account
    #[arg(long)]
    account: AccountId,
    /// These recordings
    #[arg(required_unless_present = "all_parked")]
    ids: Vec<RecordingId>,
    /// Everything of the account that is parked
    #[arg(long, conflicts_with = "ids")]
    all_parked: bool,
    /// Only what is parked for this reason
    #[arg(long, requires = "all_parked")]
    reason: Option<ParkReason>,
    /// Only what is pinned to this revision
    #[arg(long, requires = "all_parked", value_name = "N")]
    from_revision: Option<i64>,
    /// Go to this revision of the account's, or of the platform's, instead of the one in force
    #[arg(long, value_name = "N")]
    to_revision: Option<i64>,
    /// Insist where it cannot be proven that nothing is at the old place: at worst a second copy
    /// stays behind in a bucket of the same customer. It is written into the history, with --why
    #[arg(long, requires = "why")]
    unproven: bool,
    /// Why you insist
    #[arg(long, requires = "unproven", value_name = "TEXT")]
    why: Option<String>,
    /// Look, say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// One recording and what became of it.
type Done = (RecordingId, Rerouted);

pub(super) async fn execute(args: RerouteArgs, context: &Context) -> Result<()> {
    let wish = RerouteWish {
        to: args.to_revision,
        unproven: args.why.clone(),
        dry_run: args.dry_run,
    };
    if args.why.as_ref().is_some_and(|why| why.trim().is_empty()) {
        return Err(Failure::usage("`--why` is empty")
            .hint("say why you insist, for whoever reads the history")
            .into());
    }
    let ledger = Arc::new(context.ledger().await?);
    let ids = chosen(&args, &ledger).await?;
    let clock = wiring::clock();
    let buckets = wiring::buckets(&context.config, &clock, &wiring::no_meter())?;
    let ports = ReroutePorts {
        ledger,
        lookers: buckets.lookers,
        leftovers: buckets.leftovers,
        clock,
    };
    let reroute = Reroute::new(ports, REROUTE_QUIET);
    let (reroute, wish, account) = (&reroute, &wish, &args.account);
    let moves = iter(ids).map(|recording_id| async move {
        let key = RecordingKey {
            account_id: account.clone(),
            recording_id,
        };
        let done = reroute.one(&key, wish).await;
        done.map(|done| (key.recording_id, done))
    });
    // In the order asked for; what was moved before the ledger failed stays moved.
    let done: Result<Vec<Done>, _> = moves.buffered(AT_ONCE).try_collect().await;
    answer(&args, &done.map_err(ledger_failure)?, context)
}

/// The recordings meant.
async fn chosen(args: &RerouteArgs, ledger: &Catalog) -> Result<Vec<RecordingId>> {
    let account = &args.account;
    if !args.all_parked {
        ledger.show_account(account).await.map_err(admin_failure)?;
        return Ok(args.ids.clone());
    }
    let listed = ledger.list_parked(Some(account)).await;
    let listed = listed.map_err(admin_failure)?;
    tell_if_cut(listed.len(), MOST_PARKED, "the same command again");
    let chosen = listed.into_iter().filter(|view| {
        view.state == State::Parked
            && args.reason.is_none_or(|reason| view.reason == Some(reason))
            && args
                .from_revision
                .is_none_or(|from| view.destination_revision == Some(from))
    });
    Ok(chosen.map(|view| view.recording_id).collect())
}

fn moved(id: &RecordingId, outcome: &str, went: &Move) -> Value {
    let said = went.upload.as_ref();
    let said = said.map_or_else(|| went.proof.clone(), |it| format!("{}; {it}", went.proof));
    json!({
        "recording_id": id, "outcome": outcome, "from_revision": went.from,
        "to_revision": went.to, "old_location": went.old_location, "proven": went.proven,
        "detail": said,
    })
}

fn shown((id, done): &Done) -> Value {
    match done {
        Rerouted::Moved(went) => moved(id, "rerouted", went),
        Rerouted::WouldMove(went) => moved(id, "would_be_rerouted", went),
        Rerouted::CopyFound(location) => json!({
            "recording_id": id, "outcome": "copy_found", "old_location": location,
            "detail": "a copy of ours is there: it stays, and transfer looks at it now",
        }),
        Rerouted::Refused(why) => json!({
            "recording_id": id, "outcome": "refused", "reason": why.as_str(),
            "detail": why.to_string(),
        }),
    }
}

fn answer(args: &RerouteArgs, done: &[Done], context: &Context) -> Result<()> {
    let count = |is: fn(&Rerouted) -> bool| done.iter().filter(|(_, done)| is(done)).count();
    let went = count(|done| matches!(done, Rerouted::Moved(_) | Rerouted::WouldMove(_)));
    let found = count(|done| matches!(done, Rerouted::CopyFound(_)));
    let refused = count(|done| matches!(done, Rerouted::Refused(_)));
    let recordings: Vec<Value> = done.iter().map(shown).collect();
    let answer = json!({
        "account_id": args.account, "dry_run": args.dry_run, "rerouted": went,
        "copy_found": found, "refused": refused, "recordings": recordings,
    });
    let columns = [
        "recording_id",
        "outcome",
        "from_revision",
        "to_revision",
        "detail",
    ];
    context.output.answer(&answer, |answer| {
        let nothing = Value::Array(Vec::new());
        let recordings = answer.get("recordings").unwrap_or(&nothing);
        let table = tabular(recordings, &columns, "Nothing is parked that was meant.");
        let verb = if args.dry_run { "would be " } else { "" };
        format!(
            "{table}\n{went} {verb}rerouted, {found} found at the old place, {refused} refused.\n"
        )
    })?;
    let refusals: Vec<&RerouteRefusal> = done.iter().filter_map(refusal).collect();
    if refusals.is_empty() {
        return Ok(());
    }
    let message = format!("{refused} of {} recordings stay where they are", done.len());
    Err(Failure::failed(message).hint(hint(&refusals)).into())
}

fn refusal((_, done): &Done) -> Option<&RerouteRefusal> {
    match done {
        Rerouted::Refused(why) => Some(why),
        Rerouted::Moved(_) | Rerouted::WouldMove(_) | Rerouted::CopyFound(_) => None,
    }
}

/// What helps most of them.
fn hint(refusals: &[&RerouteRefusal]) -> &'static str {
    let any = |is: fn(&RerouteRefusal) -> bool| refusals.iter().any(|why| is(why));
    if any(|why| matches!(why, RerouteRefusal::TooFresh(..))) {
        "repeat the command when the time that the detail names is over"
    } else if any(RerouteRefusal::can_be_insisted_on) {
        "repair the old destination and repeat the command; or insist with `--unproven --why \
         TEXT`: at worst a second copy stays behind in the customer's old bucket"
    } else {
        "`callferry recording show` says where a recording is, `callferry destination list` which \
         revisions there are"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_can_only_wait_is_told_to_wait_before_he_is_told_to_insist() {
        let fresh = RerouteRefusal::TooFresh(
            std::time::Duration::from_secs(20),
            std::time::Duration::from_secs(340),
        );
        let unseen = RerouteRefusal::Unseen("s3://a/b".to_owned(), "role_not_assumable".to_owned());
        let leased = RerouteRefusal::Leased;
        assert!(hint(&[&unseen, &fresh]).contains("repeat the command when"));
        assert!(hint(&[&leased, &unseen]).contains("--unproven"));
        assert!(hint(&[&leased]).contains("recording show"));
        assert_eq!(
            fresh.to_string(),
            "a transfer worked on it 20 s ago and a write of its may still be on its way: in 341 s \
             it can be told"
        );
    }
}
