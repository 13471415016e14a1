//! How long copies are kept, what goes when, and what stopped the sweep until a person confirms.

use catalog::{StopFilter, StopView};
use recording::{DestinationOwner, Kind};
use serde::Deserialize;

use super::super::Api;
use super::super::call::{Answer, Call};
use super::super::input;
use super::super::page::Page;
use super::super::problem::Problem;
use crate::administration::retention;

/// `GET /v1/accounts/{account_id}/retention`: every revision of its policies, and what stopped.
pub(super) async fn show(api: &Api, call: &Call) -> Result<Answer, Problem> {
    Answer::ok(&api.ledger.show_retention(call.account()?).await?)
}

/// How long copies of a kind are kept. For ever must be said, and is not meant by saying nothing.
#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with kind, and either days or never"
)]
struct Policy {
    kind: Kind,
    #[serde(default)]
    days: Option<u32>,
    #[serde(default)]
    never: bool,
}

/// `PUT /v1/accounts/{account_id}/retention`: for recordings that are completed from now on.
pub(super) async fn set(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let asked: Policy = input::json(&call.body)?;
    let (account, kind) = (call.account()?, asked.kind);
    let days = retention::days(asked.days, asked.never)?;
    let long = days.map_or("for ever".to_owned(), |days| format!("{days} days"));
    let target = (Some(account), Some(format!("{kind}: {long}")));
    call.audited(api, target, async {
        let set = retention::set(&api.ledger, account, kind, days).await?;
        Answer::ok(&set)
    })
    .await
}

/// `GET /v1/accounts/{account_id}/retention/preview`: nothing is changed. It looks at everything
/// that falls due, so one of each account's is made at a time, and few in all.
pub(super) async fn preview(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let account = call.account()?;
    let until = call.query.parsed("until")?;
    let until = until.unwrap_or(api.clock.now() + retention::AHEAD);
    let owner = DestinationOwner::Account(account.clone());
    let _turn = api.previews.turn(&owner)?;
    Answer::ok(&api.ledger.preview_retention(account, until).await?)
}

/// `GET /v1/retention/stops`: the latest first. A bound token sees its own account's, and what
/// stops everybody now.
pub(super) async fn stops(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let (limit, before) = (call.query.limit()?, call.query.after::<i64>()?);
    let filter = StopFilter {
        all: call.query.flag("all")?,
        account: call.only(api, call.query.parsed("account_id")?)?,
        own_only: call.caller.account.is_some(),
    };
    let more = limit.saturating_add(1);
    let found = api.ledger.page_stops(&filter, before, more).await?;
    Answer::ok(&Page::cut(found, limit, |last: &StopView| last.stop_id))
}

/// Why what stopped is right.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with why, and stop_ids")]
struct Confirmation {
    why: String,
    /// Those that were looked at; needed where there are several.
    #[serde(default)]
    stop_ids: Vec<i64>,
}

/// `POST /v1/accounts/{account_id}/retention/confirm`, and `POST /v1/retention/confirm` of what
/// stopped everybody: what was due then is deleted.
pub(super) async fn confirm(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let asked: Confirmation = input::json(&call.body)?;
    let account = call.account.as_ref();
    let why = input::said("why", &asked.why)?;
    call.audited(api, (account, None), async {
        let said = (call.caller.subject.as_str(), why);
        let ledger = &api.ledger;
        let confirmed = ledger
            .confirm_retention(account, &asked.stop_ids, said)
            .await?;
        Answer::ok(&Page::whole(confirmed))
    })
    .await
}
