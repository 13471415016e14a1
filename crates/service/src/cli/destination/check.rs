//! `callferry destination check`, and the check that comes before a destination is set.

mod readable;

use std::sync::Arc;

use anyhow::Result;
use catalog::{Catalog, CheckView, DestinationView};
use clap::Args;
use recording::{AccountId, Approval, CheckReport, Checker, Destination};

use super::Owner;
use crate::administration::destinations;
use crate::cli::Context;
use crate::failure::Failure;
use crate::output::{harmless, tell};
use crate::wiring::{self, admin_failure};

/// `destination check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The account's id, or `default` for the platform's own
    #[arg(value_name = "ACCOUNT|default")]
    owner: Owner,
    /// A revision of the owner's; by default the one in force
    #[arg(long, value_name = "N")]
    revision: Option<i64>,
}

pub(super) async fn execute(args: CheckArgs, context: &Context) -> Result<()> {
    let ledger = context.ledger().await?;
    let view = wanted(&args, &ledger).await?;
    let reached = ledger.reached(view.revision).await;
    let destination = reached.map_err(admin_failure)?;
    // An account without one of its own is sent to the platform's, among keys of its own.
    let account = args.owner.0.checked_as();
    let report = checked(&destination, &account, &ledger, context).await?;
    let recorded = ledger.record_check(view.revision, &report, false).await;
    recorded.map_err(admin_failure)?;
    answer(&destination, &report, context)?;
    match refusal(&destination, &report) {
        None => Ok(()),
        Some(failure) => Err(failure.into()),
    }
}

async fn wanted(args: &CheckArgs, ledger: &Catalog) -> Result<DestinationView> {
    let owner = &args.owner.0;
    let Some(revision) = args.revision else {
        let shown = ledger.show_destination(owner).await;
        return shown.map_err(admin_failure);
    };
    let listed = ledger.list_destinations(owner).await;
    let mut listed = listed.map_err(admin_failure)?.into_iter();
    let found = listed.find(|view| view.revision == revision);
    found.ok_or_else(|| {
        let hint = format!("`callferry destination list {owner}` shows those there are");
        let why = format!("{owner} has no revision {revision} of its own");
        Failure::failed(why).hint(hint).into()
    })
}

/// What lets a destination be set that was checked as the fleet would use it.
pub(super) async fn approval(
    planned: &Destination,
    force: bool,
    ledger: &Catalog,
    context: &Context,
) -> Result<Approval> {
    let account = planned.owner.checked_as();
    let report = checked(planned, &account, ledger, context).await?;
    match refusal(planned, &report) {
        None => Ok(Approval::Checked(report)),
        Some(_) if force => {
            tell(&harmless(&readable::report(&report)));
            tell("It is set all the same: --force. Recordings are parked until it is repaired.");
            Ok(Approval::Forced(Some(report)))
        }
        Some(failure) if context.output.json => {
            answer(planned, &report, context)?;
            Err(failure.into())
        }
        Some(failure) => {
            tell(&harmless(&readable::report(&report)));
            Err(failure.into())
        }
    }
}

async fn checked(
    destination: &Destination,
    account: &AccountId,
    ledger: &Catalog,
    context: &Context,
) -> Result<CheckReport> {
    let buckets = wiring::buckets(&context.config, &wiring::clock(), &wiring::no_meter())?;
    let checker: Arc<dyn Checker> = buckets.checker;
    tell(&format!(
        "checking {}/{} as the fleet uses it; this takes up to a minute …",
        destination.store.location(),
        destination.key_prefix(account)
    ));
    let report = destinations::checked(&*checker, ledger, destination, account).await;
    report.map_err(admin_failure)
}

fn answer(destination: &Destination, report: &CheckReport, context: &Context) -> Result<()> {
    let value = destinations::told(destination, report)?;
    context
        .output
        .answer(&value, |_| harmless(&readable::report(report)))
}

/// Why it cannot be used, if it cannot.
fn refusal(destination: &Destination, report: &CheckReport) -> Option<Failure> {
    let blocking: Vec<_> = report.blocking().map(|it| it.capability.as_str()).collect();
    if blocking.is_empty() {
        return None;
    }
    let why = format!(
        "nothing can be stored in {}: {} failed",
        destination.store.location(),
        blocking.join(", ")
    );
    let hint = match destination.revision {
        0 => "do what the findings say and set it again; --force sets it all the same",
        _ => "do what the findings say, then check again; what is parked goes on by itself",
    };
    Some(Failure::failed(why).hint(hint))
}

/// The latest check, as `destination show` tells of it.
pub(super) fn remembered(check: Option<&CheckView>) -> String {
    let Some(check) = check else {
        return "last_check  never\n".to_owned();
    };
    let forced = match check.forced {
        true => ", set all the same (--force)",
        false => "",
    };
    let verdict = match check.usable {
        Some(true) => "usable",
        Some(false) => "not usable",
        None => "not checked",
    };
    let at = check.at.to_rfc3339();
    let findings = readable::findings(&check.findings);
    harmless(&format!("last_check  {at} {verdict}{forced}\n\n{findings}"))
}
