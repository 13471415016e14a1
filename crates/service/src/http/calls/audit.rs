//! What was done through this interface.

use super::super::Api;
use super::super::call::{Answer, Call};
use super::super::page::Page;
use super::super::problem::Problem;

/// `GET /v1/audit`: the latest first. A bound token sees what concerns its own account.
pub(super) async fn list(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let (limit, before) = (call.query.limit()?, call.query.after::<i64>()?);
    let account = call.only(api, call.query.parsed("account_id")?)?;
    let more = limit.saturating_add(1);
    let found = api.ledger.list_actions(account.as_ref(), before, more);
    Answer::ok(&Page::cut(found.await?, limit, |last| last.id))
}
