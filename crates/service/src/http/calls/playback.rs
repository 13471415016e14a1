//! Listening: a URL of the copy for whoever may, written down before it is given out.
//!
//! The order is the promise. Whose it is and whether it may be played, then the signature, then
//! the row in the access log, and only then the answer: a URL that nobody wrote down has never left
//! this process. Nothing is asked of the bucket, and the URL is in the answer and nowhere else.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use catalog::{Access, AccessOutcome, AccessRefusal, Playable, PlayableCopy};
use chrono::{DateTime, Utc};
use recording::{
    AccountId, AzureIdentity, Destination, InteractionId, Kind, RecordingId, State, Store,
    safe_media_type,
};
use serde::Serialize;
use storage::{Overrides, Reading, SignedUrl};
use telemetry::{HttpDenial, PlaybackOutcome};
use tokio::time::{Instant, timeout};

use super::super::Api;
use super::super::call::{Answer, Call};
use super::super::input::bad;
use super::super::player;
use super::super::problem::Problem;

/// How long signing may take: a session at STS, or a key of Entra's and the store's.
const SIGNING: Duration = Duration::from_secs(8);
/// When to come back for what is on its way, and the longest that we say.
const SOON_S: u64 = 10;
const LATEST_S: u64 = 3600;
/// When to come back where nothing can be signed.
const SIGNING_AGAIN_S: u64 = 15;
/// Seconds of a day.
const DAY_S: u64 = 24 * 3600;

/// A URL and what it reads, for whoever cannot follow a redirect.
#[derive(Serialize)]
struct Granted<'a> {
    account_id: &'a AccountId,
    recording_id: &'a RecordingId,
    url: &'a str,
    expires_at: DateTime<Utc>,
    media_type: &'a str,
    size_bytes: u64,
}

/// What the player page shows of a recording.
#[derive(Serialize)]
struct Opened<'a> {
    account_id: &'a AccountId,
    recording_id: &'a RecordingId,
    interaction_id: &'a InteractionId,
    kind: Kind,
    media_type: &'a str,
    started_at: DateTime<Utc>,
    duration_ms: Option<u64>,
    size_bytes: u64,
}

/// Why nothing is given out, as it is written down and as it is answered.
struct Refused(AccessRefusal, Problem);

/// What may be given out.
struct Signed {
    url: SignedUrl,
    expires_at: DateTime<Utc>,
    media_type: String,
    size_bytes: u64,
}

/// Whose recording is asked for. Somebody else's is refused later: it is written down as well.
fn asked(call: &Call) -> Result<AccountId, Problem> {
    let named = call.query.parsed::<AccountId>("account_id")?;
    let account = named.or_else(|| call.caller.account.clone());
    account.ok_or_else(super::recordings::unnamed)
}

/// `GET /v1/recordings/{recording_id}/playback`: a redirect to the copy, or the URL as JSON.
pub(super) async fn play(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let as_json = match call.query.text("format") {
        None => false,
        Some("json") => true,
        Some(_) => return Err(bad("format", &"must be json, or not there for a redirect")),
    };
    let (account, recording) = (asked(call)?, call.recording()?);
    let signed = match playable(api, call, (&account, recording)).await? {
        Ok(found) => sign(api, (&account, recording), &found).await,
        Err(refused) => Err(refused),
    };
    let outcome = match &signed {
        Ok(signed) => AccessOutcome::Granted(signed.url.life()),
        Err(Refused(why, _)) => AccessOutcome::Refused(*why),
    };
    note(api, call, (&account, recording), outcome).await?;
    let signed = signed.map_err(|Refused(_, problem)| problem)?;
    if as_json {
        return Answer::ok(&Granted {
            account_id: &account,
            recording_id: recording,
            url: signed.url.reveal(),
            expires_at: signed.expires_at,
            media_type: &signed.media_type,
            size_bytes: signed.size_bytes,
        });
    }
    let place = HeaderValue::from_str(signed.url.reveal());
    let mut place = place.map_err(|_| Problem::defect("a URL cannot be a header"))?;
    place.set_sensitive(true);
    Ok(Answer::plain(StatusCode::FOUND).with(header::LOCATION, place))
}

/// `POST /play/{recording_id}`: what the page shows, and the cookie that its player plays with.
/// With `again=true` the page says that a fresh URL was refused.
pub(super) async fn open(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let (account, recording) = (asked(call)?, call.recording()?);
    let again = call.query.flag("again")?;
    let cookie = player::cookie(&call.headers, recording)?;
    let found = playable(api, call, (&account, recording)).await?;
    let outcome = match &found {
        Ok(_) => AccessOutcome::Opened,
        Err(Refused(why, _)) => AccessOutcome::Refused(*why),
    };
    note(api, call, (&account, recording), outcome).await?;
    let (found, copy) = found.map_err(|Refused(_, problem)| problem)?;
    if again {
        give_up(api, (&account, recording), &copy.destination);
    }
    let answer = Answer::ok(&Opened {
        account_id: &account,
        recording_id: recording,
        interaction_id: &found.interaction_id,
        kind: found.kind,
        media_type: safe_media_type(&found.media_type),
        started_at: found.started_at,
        duration_ms: found.duration_ms,
        size_bytes: copy.size_bytes,
    })?;
    Ok(answer.with(header::SET_COOKIE, cookie))
}

/// Writes down what is about to be answered, and counts it.
///
/// # Errors
/// It cannot be written down: nothing may be answered but that.
async fn note(
    api: &Api,
    call: &Call,
    (account, recording): (&AccountId, &RecordingId),
    outcome: AccessOutcome,
) -> Result<(), Problem> {
    let access = Access {
        request_id: call.request_id,
        subject: call.caller.subject.clone(),
        token_account: call.caller.account.clone(),
        account: account.clone(),
        recording: recording.clone(),
        address: call.origin.address,
        via: call.origin.via,
        outcome,
    };
    if let Err(fault) = api.ledger.note_access(&access, kept_for(api)).await {
        api.metrics.playback(PlaybackOutcome::Ledger);
        tracing::error!(error = %fault, "who listens cannot be written down: nothing is given out");
        let problem = Problem::unavailable("it cannot be written down who listens");
        return Err(problem.again_in(SIGNING_AGAIN_S));
    }
    api.metrics.playback(counted(outcome));
    Ok(())
}

/// Counts and writes down a request to listen that was refused before it was looked at. It stays
/// refused where that fails: nothing is given out. Of a subject that asks too often one refusal a
/// minute is written down: a storm of requests must not become one of rows.
pub(in super::super) async fn turned_away(api: &Api, access: &Access) {
    api.metrics.playback(counted(access.outcome));
    let too_often = access.outcome == AccessOutcome::Refused(AccessRefusal::Rate);
    if too_often && !api.turned_away.may(&access.subject) {
        return;
    }
    if let Err(fault) = api.ledger.note_access(access, kept_for(api)).await {
        tracing::error!(error = %fault, request.id = %access.request_id,
            "who was refused to listen cannot be written down");
    }
}

/// How long a row of the access log is kept.
fn kept_for(api: &Api) -> Duration {
    let days = u64::from(api.config.access_log_retention_days);
    Duration::from_secs(days.saturating_mul(DAY_S))
}

/// Has something else sign from now on, because a listener was refused what was signed just now:
/// somebody may have revoked what we sign with, which nobody tells us. Once a minute for a place at
/// most, because a listener may say it as often as they like and another session or key is asked
/// for each time.
fn give_up(api: &Api, (account, recording): (&AccountId, &RecordingId), destination: &Destination) {
    if !api.given_up.may(&destination.store.location()) {
        return;
    }
    let done = api.players.refused(destination, account);
    let error = done.err().map(|fault| fault.to_string());
    tracing::warn!(
        account.id = %account,
        recording.id = %recording,
        destination.revision = destination.revision,
        error,
        "a listener was refused what was signed just now: what signs is given up"
    );
}

/// The recording, if it is the caller's and has a copy that can be played. That the ledger cannot
/// say is counted here.
async fn playable(
    api: &Api,
    call: &Call,
    (account, recording): (&AccountId, &RecordingId),
) -> Result<Result<(Playable, PlayableCopy), Refused>, Problem> {
    let bound = call.caller.account.as_ref();
    if bound.is_some_and(|bound| bound != account) {
        api.metrics.http_denied(HttpDenial::Foreign);
        return Ok(Err(Refused(AccessRefusal::Foreign, Problem::not_found())));
    }
    let found = api.ledger.playable(account, recording).await;
    if found.is_err() {
        api.metrics.playback(PlaybackOutcome::Ledger);
    }
    let Some(mut found) = found? else {
        return Ok(Err(Refused(AccessRefusal::NotFound, Problem::not_found())));
    };
    let Some(copy) = found.copy.take() else {
        return Ok(Err(without_copy(&found, api.clock.now())));
    };
    if let Store::Azure(azure) = &copy.destination.store
        && let AzureIdentity::Sas { .. } = azure.identity
    {
        let problem = Problem::needs_signer("its destination has a SAS, which is never given out")
            .hint("set the destination with an identity of Entra or an access key");
        let why = AccessRefusal::NeedsSigningCredential;
        return Ok(Err(Refused(why, problem)));
    }
    Ok(Ok((found, copy)))
}

/// Why there is nothing to play.
fn without_copy(found: &Playable, now: DateTime<Utc>) -> Refused {
    if found.is_over {
        let problem = Problem::expired("its retention is over");
        return Refused(AccessRefusal::Expired, problem);
    }
    let seconds = match (found.state, found.next_attempt_at) {
        (State::Parked, Some(at)) => u64::try_from((at - now).num_seconds()).unwrap_or(0),
        (State::Parked, None) => LATEST_S,
        (State::Staged | State::Stored | State::Released | State::Expired, _) => SOON_S,
    };
    let problem = Problem::not_stored("it is not in its bucket yet")
        .again_in(seconds.clamp(SOON_S, LATEST_S));
    Refused(AccessRefusal::NotStored, problem)
}

/// A URL of one key and version. What is in the way is for the log: it may be the customer's own
/// affair, or ours.
async fn sign(
    api: &Api,
    (account, recording): (&AccountId, &RecordingId),
    (found, copy): &(Playable, PlayableCopy),
) -> Result<Signed, Refused> {
    let media_type = safe_media_type(&found.media_type).to_owned();
    // Both are plain words: an id, and letters and digits.
    let name = format!("{recording}.{}", found.extension);
    let overrides = Overrides {
        content_type: Some(media_type.clone()),
        content_disposition: Some(format!("inline; filename=\"{name}\"")),
        // A recording is in no shared cache, and left on no disk.
        cache_control: Some("private, no-store".to_owned()),
    };
    let life = Duration::from_secs(api.config.playback_url_life_s);
    let reading = Reading {
        key: &copy.key,
        version_id: copy.version_id.as_deref(),
        // A URL cannot be called back: none outlives the retention.
        life: copy.ends_in.map_or(life, |left| left.min(life)),
        overrides: &overrides,
    };
    let (began, now) = (Instant::now(), api.clock.now());
    let signing = api.players.signed_get(&copy.destination, account, reading);
    let signed = timeout(SIGNING, signing).await;
    api.metrics.playback_signed(began.elapsed());
    let why = match signed {
        Ok(Ok(url)) => {
            return Ok(Signed {
                expires_at: now + url.life(),
                url,
                media_type,
                size_bytes: copy.size_bytes,
            });
        }
        Ok(Err(fault)) => format!("{}: {}", fault.reason, fault.detail),
        Err(_) => "what signs did not answer in time".to_owned(),
    };
    tracing::warn!(
        account.id = %account,
        recording.id = %recording,
        destination.revision = copy.destination.revision,
        error = why,
        "a URL cannot be signed"
    );
    let problem = Problem::unavailable("it cannot be played now: no URL can be signed")
        .hint("whoever runs this finds the reason in its log, by the answer's x-request-id")
        .again_in(SIGNING_AGAIN_S);
    Err(Refused(AccessRefusal::CannotSign, problem))
}

fn counted(outcome: AccessOutcome) -> PlaybackOutcome {
    match outcome {
        AccessOutcome::Granted(_) => PlaybackOutcome::Granted,
        AccessOutcome::Opened => PlaybackOutcome::Opened,
        AccessOutcome::Refused(why) => match why {
            AccessRefusal::NotFound => PlaybackOutcome::NotFound,
            AccessRefusal::Foreign => PlaybackOutcome::Foreign,
            AccessRefusal::Expired => PlaybackOutcome::Expired,
            AccessRefusal::NotStored => PlaybackOutcome::NotStored,
            AccessRefusal::NeedsSigningCredential => PlaybackOutcome::NeedsSigningCredential,
            AccessRefusal::CannotSign => PlaybackOutcome::CannotSign,
            AccessRefusal::Scope => PlaybackOutcome::Scope,
            AccessRefusal::Rate => PlaybackOutcome::Rate,
        },
    }
}
