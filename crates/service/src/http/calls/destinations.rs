//! Destinations of an account, and the platform's own.

use recording::{Approval, AzureIdentity, Destination, DestinationOwner, Store};
use serde::Deserialize;

use super::super::Api;
use super::super::call::{Answer, Call};
use super::super::input;
use super::super::page::Page;
use super::super::problem::Problem;
use crate::administration::destinations::{self, Held};
use crate::cli::destination::azure::AzureArgs;
use crate::cli::destination::s3::S3Args;
use crate::cli::destination::{Kind, shown};
use crate::endpoint;

/// Whose destination a path means: without an account, the platform's.
fn owner(call: &Call) -> DestinationOwner {
    let account = call.account.clone();
    account.map_or(DestinationOwner::Default, DestinationOwner::Account)
}

/// `GET …/destinations`: every revision, oldest first.
pub(super) async fn list(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let owner = owner(call);
    let held = Held::count(&api.ledger, Some(&owner)).await?;
    let items = destinations::listed(&api.ledger, &owner, &held, api.clock.now()).await??;
    Answer::ok(&Page::whole(items))
}

/// `GET …/destination`: the one in force. What an account without its own uses is the platform's,
/// which a bound token does not see.
pub(super) async fn show(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let owner = owner(call);
    let view = api.ledger.show_destination(&owner).await?;
    if call.caller.account.is_some() && view.owner != owner {
        return Err(Problem::not_found());
    }
    let seen = destinations::seen(&api.ledger, &view, api.clock.now()).await??;
    Answer::ok(&seen)
}

/// What is asked for: one of both, in the words of `callferry destination set`. Secrets stand in
/// it; they are kept and never shown.
#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with either s3 or azure in it"
)]
struct Wanted {
    #[serde(default)]
    s3: Option<S3Args>,
    #[serde(default)]
    azure: Option<AzureArgs>,
    /// Set it whatever the check finds.
    #[serde(default)]
    force: bool,
}

impl Wanted {
    fn kind(self) -> Result<Kind, Problem> {
        match (self.s3, self.azure) {
            (Some(s3), None) => Ok(Kind::S3(s3)),
            (None, Some(azure)) => Ok(Kind::Azure(azure)),
            (None, None) | (Some(_), Some(_)) => {
                let why = "one of both must be there";
                Err(
                    Problem::impossible("the body must have either `s3` or `azure`")
                        .field("s3", why)
                        .field("azure", why),
                )
            }
        }
    }
}

/// Whoever may only act for their own account must not send our own identity to places that they
/// name: what trusts it cannot tell whom we work for. Nor may they insist on a bucket that nobody
/// could write to, which would keep it from whoever owns it.
fn refuse_to_the_bound(call: &Call, store: &Store, force: bool) -> Result<(), Problem> {
    if call.caller.account.is_none() {
        return Ok(());
    }
    let ours = match store {
        Store::S3(_) => None,
        Store::Azure(azure) => match azure.identity {
            AzureIdentity::ManagedIdentity { .. } => Some("a managed identity is the platform's"),
            AzureIdentity::Federated { .. } => Some("a federated application trusts the platform"),
            AzureIdentity::AccessKey { .. }
            | AzureIdentity::Sas { .. }
            | AzureIdentity::ServicePrincipal { .. } => None,
        },
    };
    if let Some(why) = ours {
        return Err(Problem::refused(why).hint(
            "use an application of your own directory with a secret, a SAS or an access key; or \
             ask the platform's operator to set it",
        ));
    }
    if force {
        return Err(Problem::refused("`force` is the platform's operator's")
            .hint("do what the findings of the check say, and set it without `force`"));
    }
    Ok(())
}

/// `PUT …/destination`: a new revision, unless it is what the latest one says already. Checked
/// first, and refused where nothing could be stored.
pub(super) async fn set(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let (owner, now) = (owner(call), api.clock.now());
    let wanted: Wanted = input::json(&call.body)?;
    let force = wanted.force;
    let wanted = wanted.kind()?;
    let store = wanted.check(&owner, &api.config, now)?;
    refuse_to_the_bound(call, &store, force)?;
    let _turn = api.checks.turn(&owner)?;
    endpoint::resolves_well(&store, &api.config).await?;
    let target = (call.account.as_ref(), Some(store.location()));
    call.audited(api, target, async {
        let planned = api.ledger.plan_destination(&owner, &store).await?;
        let approval = approval(api, &planned, force).await?;
        let from = wanted.in_force_from();
        let set = api.ledger.set_destination(&owner, &store, from, &approval);
        Answer::ok(&shown::shown(&set.await?, now)?)
    })
    .await
}

async fn approval(api: &Api, planned: &Destination, force: bool) -> Result<Approval, Problem> {
    let account = planned.owner.checked_as();
    let report = destinations::checked(&*api.checker, &api.ledger, planned, &account).await?;
    if report.is_usable() {
        return Ok(Approval::Checked(report));
    }
    if force {
        return Ok(Approval::Forced(Some(report)));
    }
    let why = format!("nothing could be stored in {}", planned.store.location());
    Err(Problem::refused(why)
        .hint("do what the findings say and set it again; `force`: true sets it all the same")
        .found(destinations::told(planned, &report)?))
}

/// `POST …/destination/check`: tries the one in force as the fleet would.
pub(super) async fn check(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let owner = owner(call);
    let view = api.ledger.show_destination(&owner).await?;
    if call.caller.account.is_some() && view.owner != owner {
        return Err(Problem::not_found());
    }
    let _turn = api.checks.turn(&view.owner)?;
    let target = Some(format!("revision {}", view.revision));
    call.audited(api, (call.account.as_ref(), target), async {
        let ledger = &api.ledger;
        let destination = ledger.reached(view.revision).await?;
        let account = owner.checked_as();
        let report = destinations::checked(&*api.checker, ledger, &destination, &account).await?;
        ledger.record_check(view.revision, &report, false).await?;
        Answer::ok(&destinations::told(&destination, &report)?)
    })
    .await
}
