//! What cannot go on now, and refused releases.

use catalog::ParkedFilter;
use recording::{AccountId, ParkReason, RecordingId};
use serde::Deserialize;

use super::super::Api;
use super::super::call::{Answer, Call};
use super::super::input;
use super::super::page::Page;
use super::super::problem::Problem;
use crate::administration::parked;

/// The most recordings that one request names.
const IDS_MAX: usize = 1000;

/// `GET /v1/parked`: in the order of accounts and paths. A bound token sees its own account's.
pub(super) async fn list(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let limit = call.query.limit()?;
    let after = call.query.after::<(String, String)>()?;
    let filter = ParkedFilter {
        reason: call.query.parsed("reason")?,
        account: call.only(api, call.query.parsed("account_id")?)?,
        own_only: false,
    };
    let after = after.as_ref();
    let after = after.map(|(account, path)| (account.as_str(), path.as_str()));
    let more = limit.saturating_add(1);
    let found = api.ledger.page_parked(&filter, after, more).await?;
    let place = |last: &catalog::RecordingView| (last.account_id.to_string(), last.path.clone());
    Answer::ok(&Page::cut(found, limit, place))
}

/// What is to be tried again.
#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with account_id, recording_ids, reason or all"
)]
struct Wanted {
    #[serde(default)]
    account_id: Option<AccountId>,
    #[serde(default)]
    recording_ids: Vec<RecordingId>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    all: bool,
}

/// `POST /v1/parked/retry`: makes it due now, also what waits for a person. A bound token's goes
/// through no breaker of the platform's destination: that holds back everybody's.
pub(super) async fn retry(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let asked: Wanted = input::json(&call.body)?;
    let impossible = |field: &str, why: &str| {
        Problem::impossible(format!("`{field}` {why}")).field(field, why.to_owned())
    };
    let said = asked.account_id.is_some() || asked.reason.is_some();
    let alone = !said && asked.recording_ids.is_empty();
    if asked.all != alone {
        let why = "must be there where nothing else is, and nowhere else";
        return Err(impossible("all", why)
            .hint("name an account, recordings of it, or a reason; or say `all`: true"));
    }
    if asked.recording_ids.len() > IDS_MAX {
        return Err(impossible("recording_ids", "has more than 1000"));
    }
    let named = !asked.recording_ids.is_empty();
    let account = call.only(api, asked.account_id)?;
    if named && account.is_none() {
        return Err(impossible(
            "account_id",
            "must say whose recordings these are",
        ));
    }
    let reason = asked.reason.as_deref().map(str::parse::<ParkReason>);
    let reason = reason.transpose();
    let reason = reason.map_err(|_| impossible("reason", "is no reason to park"))?;
    let filter = ParkedFilter {
        account,
        reason,
        own_only: call.caller.account.is_some(),
    };
    let target = match asked.recording_ids.as_slice() {
        [] => filter.reason.map(|reason| format!("reason {reason}")),
        [one] => Some(one.to_string()),
        several => Some(format!("{} recordings", several.len())),
    };
    call.audited(api, (filter.account.as_ref(), target), async {
        let retried = parked::retry(&api.ledger, &filter, &asked.recording_ids).await?;
        Answer::ok(&retried)
    })
    .await
}
