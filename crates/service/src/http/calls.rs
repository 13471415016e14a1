//! The operations, one file for each kind of thing.

mod accounts;
mod audit;
mod destinations;
mod erasure;
mod holds;
mod parked;
mod playback;
mod quarantine;
mod recordings;
mod retention;
mod status;

use axum::http::{HeaderValue, header};
use custody::{PublicKey, ReceiptKeys};
use telemetry::HttpRoute;

use super::Api;
use super::call::{Answer, Call};
use super::player;
use super::problem::Problem;

/// The OpenAPI document, as it is in the repository.
const CONTRACT: &str = include_str!("../../../../schemas/http/openapi.json");

/// How long the keys of receipts may be kept: a new one is published before it signs.
const KEYS_CACHED: &str = "public, max-age=300";

/// `GET /v1/openapi.json`.
pub(super) fn contract() -> Answer {
    Answer::json(CONTRACT)
}

/// `GET /v1/receipt-keys`: a JSON Web Key Set, empty where nothing is signed.
pub(super) fn receipt_keys(api: &Api) -> Result<Answer, Problem> {
    let keys = api.receipt_keys.as_ref().map(ReceiptKeys::public);
    let answer = Answer::ok(&PublicKey::set(&keys.unwrap_or_default()))?;
    Ok(answer.with(header::CACHE_CONTROL, HeaderValue::from_static(KEYS_CACHED)))
}

/// `GET /play/{recording_id}`.
pub(super) fn page(allow_http: bool) -> Answer {
    if allow_http {
        Answer::page(&player::PLAIN)
    } else {
        Answer::page(&player::SECURE)
    }
}

pub(super) use playback::turned_away;

/// Does what is asked for.
pub(super) async fn perform(api: &Api, call: &Call) -> Result<Answer, Problem> {
    match call.route.call {
        HttpRoute::ShowContract => Ok(contract()),
        HttpRoute::ListReceiptKeys => receipt_keys(api),
        HttpRoute::ListAccounts => accounts::list(api, call).await,
        HttpRoute::CreateAccount => accounts::create(api, call).await,
        HttpRoute::ShowAccount => accounts::show(api, call).await,
        HttpRoute::ListDestinations | HttpRoute::ListDefaultDestinations => {
            destinations::list(api, call).await
        }
        HttpRoute::ShowDestination | HttpRoute::ShowDefaultDestination => {
            destinations::show(api, call).await
        }
        HttpRoute::SetDestination | HttpRoute::SetDefaultDestination => {
            Box::pin(destinations::set(api, call)).await
        }
        HttpRoute::CheckDestination | HttpRoute::CheckDefaultDestination => {
            Box::pin(destinations::check(api, call)).await
        }
        HttpRoute::ListRecordings => recordings::list(api, call).await,
        HttpRoute::ShowRecording => recordings::show(api, call).await,
        HttpRoute::FindRecordings => recordings::find(api, call).await,
        HttpRoute::FindRecording => recordings::one(api, call).await,
        HttpRoute::PlayRecording => Box::pin(playback::play(api, call)).await,
        HttpRoute::OpenPlayer => playback::open(api, call).await,
        HttpRoute::ShowPlayer => Ok(page(api.config.allow_http)),
        HttpRoute::ListParked => parked::list(api, call).await,
        HttpRoute::RetryParked => parked::retry(api, call).await,
        HttpRoute::ListQuarantine => quarantine::list(api, call).await,
        HttpRoute::ShowQuarantine => quarantine::show(api, call).await,
        HttpRoute::RequeueQuarantine => quarantine::requeue(api, call).await,
        HttpRoute::DropQuarantine => quarantine::forget(api, call).await,
        HttpRoute::EraseRecording => erasure::ask(api, call).await,
        HttpRoute::ListHolds | HttpRoute::FindHolds => holds::list(api, call).await,
        HttpRoute::PlaceHold => holds::place(api, call).await,
        HttpRoute::ShowHold => holds::show(api, call).await,
        HttpRoute::ReleaseHold => holds::release(api, call).await,
        HttpRoute::ShowRetention => retention::show(api, call).await,
        HttpRoute::SetRetention => retention::set(api, call).await,
        HttpRoute::PreviewRetention => retention::preview(api, call).await,
        HttpRoute::ConfirmRetention | HttpRoute::ConfirmAllRetention => {
            retention::confirm(api, call).await
        }
        HttpRoute::ListRetentionStops => retention::stops(api, call).await,
        HttpRoute::ShowStatus => status::show(api).await,
        HttpRoute::ListAudit => audit::list(api, call).await,
        HttpRoute::Unmatched => Err(Problem::not_found()),
    }
}
