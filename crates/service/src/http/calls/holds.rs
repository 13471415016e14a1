//! Legal holds. The author is who the token says; a hold that came too late for something says so.

use catalog::{AdminFault, HoldScope, HoldView};
use recording::{InteractionId, RecordingId};
use serde::Deserialize;

use super::super::Api;
use super::super::call::{Answer, Call};
use super::super::input;
use super::super::page::Page;
use super::super::problem::Problem;

/// `GET /v1/accounts/{account_id}/holds`, and `GET /v1/holds` of all accounts: in the order they
/// were placed. A bound token sees its own account's.
pub(super) async fn list(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let (limit, after) = (call.query.limit()?, call.query.after::<i64>()?);
    let all = call.query.flag("all")?;
    let account = match &call.account {
        Some(account) => Some(account.clone()),
        None => call.only(api, call.query.parsed("account_id")?)?,
    };
    let more = limit.saturating_add(1);
    let found = api.ledger.page_holds(account.as_ref(), all, after, more);
    Answer::ok(&Page::cut(found.await?, limit, |last: &HoldView| {
        last.hold_id
    }))
}

/// `GET /v1/accounts/{account_id}/holds/{hold_id}`.
pub(super) async fn show(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let shown = api.ledger.show_hold(call.account()?, call.hold()?).await?;
    Answer::ok(&shown)
}

/// What is to be held, and why.
#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with reason, and one of recording_id, interaction_id, whole_account"
)]
struct NewHold {
    #[serde(default)]
    recording_id: Option<RecordingId>,
    #[serde(default)]
    interaction_id: Option<InteractionId>,
    #[serde(default)]
    whole_account: bool,
    reason: String,
}

impl NewHold {
    /// What it is on. Nothing named is not everything: that must be said.
    fn scope(&self) -> Result<HoldScope, Problem> {
        match (&self.recording_id, &self.interaction_id, self.whole_account) {
            (Some(id), None, false) => Ok(HoldScope::Recording(id.clone())),
            (None, Some(id), false) => Ok(HoldScope::Interaction(id.clone())),
            (None, None, true) => Ok(HoldScope::Account),
            (Some(_) | None, Some(_) | None, true | false) => {
                let why = "exactly one of the three must be said";
                let problem = Problem::impossible(format!("what is held: {why}"))
                    .hint("name a recording or an interaction, or say `whole_account`: true");
                let fields = ["recording_id", "interaction_id", "whole_account"];
                Err(fields
                    .into_iter()
                    .fold(problem, |it, name| it.field(name, why)))
            }
        }
    }
}

/// `POST /v1/accounts/{account_id}/holds`. Each call places a hold of its own, also where another
/// says the same: what is held by two goes when both are released.
pub(super) async fn place(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let asked: NewHold = input::json(&call.body)?;
    let (account, scope) = (call.account()?, asked.scope()?);
    let reason = input::said("reason", &asked.reason)?;
    let target = match &scope {
        HoldScope::Recording(id) => format!("recording {id}"),
        HoldScope::Interaction(id) => format!("interaction {id}"),
        HoldScope::Account => "all of the account".to_owned(),
    };
    call.audited(api, (Some(account), Some(target)), async {
        let said = (call.caller.subject.as_str(), reason);
        let placed = api.ledger.place_hold(account, &scope, said).await?;
        let place = format!("/v1/accounts/{account}/holds/{}", placed.hold.hold_id);
        Ok(Answer::ok(&placed)?.created(place))
    })
    .await
}

/// Why a hold is released.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with reason")]
struct Release {
    reason: String,
}

/// `POST /v1/accounts/{account_id}/holds/{hold_id}/release`: once.
pub(super) async fn release(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let asked: Release = input::json(&call.body)?;
    let (account, hold) = (call.account()?, call.hold()?);
    let reason = input::said("reason", &asked.reason)?;
    call.audited(api, (Some(account), Some(format!("hold {hold}"))), async {
        let said = (call.caller.subject.as_str(), reason);
        let released = api.ledger.release_hold(account, hold, said).await;
        Answer::ok(&released.map_err(before)?)
    })
    .await
}

/// The same refusal, with what helps here.
fn before(fault: AdminFault) -> Problem {
    match fault {
        AdminFault::Refused { why, .. } => Problem::refused(why)
            .hint("nothing was changed; the hold itself says who released it, and when"),
        AdminFault::NotFound { .. }
        | AdminFault::Exists { .. }
        | AdminFault::Overlap { .. }
        | AdminFault::Misconfigured { .. }
        | AdminFault::Ledger(_) => fault.into(),
    }
}
