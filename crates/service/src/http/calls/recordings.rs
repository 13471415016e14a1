//! Recordings of an account.

use catalog::{RecordingFilter, RecordingView};
use chrono::{DateTime, Utc};
use recording::{AccountId, Kind, RecordingId, State};

use super::super::Api;
use super::super::call::{Answer, Call};
use super::super::input::bad;
use super::super::page::Page;
use super::super::problem::Problem;

/// `GET /v1/accounts/{account_id}/recordings`: by id.
pub(super) async fn list(api: &Api, call: &Call) -> Result<Answer, Problem> {
    page(api, call, call.account()?).await
}

/// `GET /v1/recordings`: the same of the token's account, or of the one that it names; by time
/// where one is asked for.
pub(super) async fn find(api: &Api, call: &Call) -> Result<Answer, Problem> {
    page(api, call, &own(api, call)?).await
}

/// `GET /v1/accounts/{account_id}/recordings/{recording_id}`: with its history.
pub(super) async fn show(api: &Api, call: &Call) -> Result<Answer, Problem> {
    single(api, call, call.account()?).await
}

/// `GET /v1/recordings/{recording_id}`: the same of the token's account, or of the one that it
/// names.
pub(super) async fn one(api: &Api, call: &Call) -> Result<Answer, Problem> {
    single(api, call, &own(api, call)?).await
}

/// The token's account, or the one that an administrator names.
fn own(api: &Api, call: &Call) -> Result<AccountId, Problem> {
    let account = call.only(api, call.query.parsed("account_id")?)?;
    account.ok_or_else(unnamed)
}

/// An administrator did not say whose recordings are meant.
pub(super) fn unnamed() -> Problem {
    bad("account_id", &"must say whose recording it is")
        .hint("a token that is bound to no account names one: ?account_id=acme")
}

async fn page(api: &Api, call: &Call, account: &AccountId) -> Result<Answer, Problem> {
    let limit = call.query.limit()?;
    let filter = RecordingFilter {
        state: word(call, "state", &State::ALL, State::as_str)?,
        kind: word(call, "kind", &Kind::ALL, Kind::as_str)?,
        interaction: call.query.parsed("interaction")?,
        since: call.query.parsed("since")?,
        until: call.query.parsed("until")?,
    };
    let (ledger, more) = (&api.ledger, limit.saturating_add(1));
    // A page of the one order is no place in the other.
    if filter.is_of_a_time() {
        let after = call.query.after::<(DateTime<Utc>, RecordingId)>()?;
        let found = ledger.find_recordings_of_a_time(account, &filter, more, after.as_ref());
        let place = |last: &RecordingView| (last.started_at, last.recording_id.clone());
        return Answer::ok(&Page::cut(found.await?, limit, place));
    }
    let after = call.query.after::<RecordingId>()?;
    let found = ledger.find_recordings(account, &filter, more, after.as_ref());
    let found = found.await?;
    Answer::ok(&Page::cut(found, limit, |last| last.recording_id.clone()))
}

async fn single(api: &Api, call: &Call, account: &AccountId) -> Result<Answer, Problem> {
    let recording = call.recording()?;
    let found = api.ledger.show_recording(Some(account), recording).await?;
    let found = found.first().ok_or_else(Problem::not_found)?;
    Answer::ok(found)
}

/// One of a closed set of words, if it is asked for.
fn word<T: Copy>(
    call: &Call,
    name: &str,
    all: &[T],
    word: impl Fn(T) -> &'static str,
) -> Result<Option<T>, Problem> {
    let Some(text) = call.query.text(name) else {
        return Ok(None);
    };
    let known = all.iter().copied().find(|known| word(*known) == text);
    known.map(Some).ok_or_else(|| {
        let words: Vec<_> = all.iter().map(|known| word(*known)).collect();
        bad(name, &format!("must be one of {}", words.join(", ")))
    })
}
