//! Messages that cannot be understood or may not be believed. What strangers wrote into them is
//! answered as JSON text, and never as anything a browser would show.

use recording::AccountId;

use super::super::Api;
use super::super::call::{Answer, Call};
use super::super::page::Page;
use super::super::problem::Problem;
use crate::administration::quarantine::{Outcomes, with_hint};

/// `GET /v1/quarantine`: oldest first.
pub(super) async fn list(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let (limit, after) = (call.query.limit()?, call.query.after::<i64>()?);
    let more = limit.saturating_add(1);
    let found = api.ledger.page_quarantine(after.unwrap_or(0), more).await?;
    let mut items = Vec::new();
    for view in &found {
        items.push((view.id, with_hint(view)?));
    }
    let place = |last: &(i64, serde_json::Value)| last.0;
    Answer::ok(&Page::cut(items, limit, place).map(|(_, item)| item))
}

/// `GET /v1/quarantine/{message_id}`: with its body.
pub(super) async fn show(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let found = api.ledger.show_quarantine(call.message()?).await?;
    Answer::ok(&with_hint(&found)?)
}

/// `POST /v1/quarantine/{message_id}/requeue`: housekeeping returns it with its next tick.
pub(super) async fn requeue(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let id = call.message()?;
    call.audited(api, target(id), async {
        api.ledger.requeue_quarantine(id).await?;
        Answer::ok(&Outcomes::done(id).answer("requeue_asked"))
    })
    .await
}

/// `DELETE /v1/quarantine/{message_id}`: for good.
pub(super) async fn forget(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let id = call.message()?;
    call.audited(api, target(id), async {
        api.ledger.drop_quarantine(id).await?;
        Answer::ok(&Outcomes::done(id).answer("dropped"))
    })
    .await
}

fn target(id: i64) -> (Option<&'static AccountId>, Option<String>) {
    (None, Some(format!("message {id}")))
}
