//! The operations, one file for each kind of thing.

mod accounts;
mod audit;
mod destinations;
mod parked;
mod playback;
mod quarantine;
mod recordings;
mod status;

use telemetry::HttpRoute;

use super::Api;
use super::call::{Answer, Call};
use super::player;
use super::problem::Problem;

/// The OpenAPI document, as it is in the repository.
const CONTRACT: &str = include_str!("../../../../schemas/http/openapi.json");

/// `GET /v1/openapi.json`.
pub(super) fn contract() -> Answer {
    Answer::json(CONTRACT)
}

/// `GET /play/{recording_id}`.
pub(super) fn page(allow_http: bool) -> Answer {
    if allow_http {
        Answer::page(&player::PLAIN)
    } else {
        Answer::page(&player::SECURE)
    }
}

/// Does what is asked for.
pub(super) async fn perform(api: &Api, call: &Call) -> Result<Answer, Problem> {
    match call.route.call {
        HttpRoute::ShowContract => Ok(contract()),
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
        HttpRoute::ShowStatus => status::show(api).await,
        HttpRoute::ListAudit => audit::list(api, call).await,
        HttpRoute::Unmatched => Err(Problem::not_found()),
    }
}
