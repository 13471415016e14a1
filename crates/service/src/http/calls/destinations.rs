//! Destinations of an account, and the platform's own.

use recording::DestinationOwner;
use serde::Deserialize;

use super::super::Api;
use super::super::call::{Answer, Call};
use super::super::input;
use super::super::page::Page;
use super::super::problem::Problem;
use crate::cli::destination::azure::AzureArgs;
use crate::cli::destination::s3::S3Args;
use crate::cli::destination::{Kind, shown};

/// Whose destination a path means: without an account, the platform's.
fn owner(call: &Call) -> DestinationOwner {
    let account = call.account.clone();
    account.map_or(DestinationOwner::Default, DestinationOwner::Account)
}

/// `GET …/destinations`: every revision, oldest first.
pub(super) async fn list(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let now = api.clock.now();
    let mut items = Vec::new();
    for view in api.ledger.list_destinations(&owner(call)).await? {
        items.push(shown::shown(&view, now)?);
    }
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
    Answer::ok(&shown::shown(&view, api.clock.now())?)
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
}

impl Wanted {
    fn kind(self) -> Result<Kind, Problem> {
        match (self.s3, self.azure) {
            (Some(s3), None) => Ok(Kind::S3(s3)),
            (None, Some(azure)) => Ok(Kind::Azure(azure)),
            (None, None) | (Some(_), Some(_)) => {
                let why = "one of both must be there";
                Err(Problem::impossible("the body must have either `s3` or `azure`")
                    .field("s3", why)
                    .field("azure", why))
            }
        }
    }
}

/// `PUT …/destination`: a new revision, unless it is what the latest one says already.
pub(super) async fn set(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let (owner, now) = (owner(call), api.clock.now());
    let wanted = input::json::<Wanted>(&call.body)?.kind()?;
    let store = wanted.check(&owner, &api.config, now)?;
    let target = (call.account.as_ref(), Some(store.location()));
    call.audited(api, target, async {
        let from = wanted.in_force_from();
        let view = api.ledger.set_destination(&owner, &store, from).await?;
        Answer::ok(&shown::shown(&view, now)?)
    })
    .await
}

/// `POST …/destination/check`: tries the one in force as the fleet would.
pub(super) async fn check(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let owner = owner(call);
    let view = api.ledger.show_destination(&owner).await?;
    if call.caller.account.is_some() && view.owner != owner {
        return Err(Problem::not_found());
    }
    let Some(checker) = &api.checker else {
        return Err(Problem::unavailable("this process cannot check destinations"));
    };
    let account = call.account.clone();
    let account = account.map_or_else(|| "default".parse().map_err(anyhow::Error::from), Ok)?;
    let revision = Some(format!("revision {}", view.revision));
    call.audited(api, (call.account.as_ref(), revision), async {
        Answer::ok(&checker.check(&view.destination(), &account).await)
    })
    .await
}
