//! One request, from its token to its answer: the one way that every operation goes, in this order.
//!
//! Token (401) → rate (429) → scope (403) → ids and parameters (400) → whose it is (404) → body
//! (413, 415) → the operation. Nothing of the ledger is asked before the last; only that somebody
//! may not listen, or asks to too often, is written into the access log. What is public is a
//! document that is the same for everybody.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::RawPathParams;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use catalog::{Access, AccessOutcome, AccessRefusal, Action, ActionOutcome};
use recording::{AccountId, RecordingId};
use serde::Serialize;
use telemetry::{HttpDenial, HttpRoute};
use tokio::time::timeout;
use uuid::Uuid;

use super::Api;
use super::calls;
use super::input::{self, Query};
use super::origin::{Origin, Peer};
use super::player;
use super::problem::Problem;
use super::routes::{Route, Whose};
use super::token::{Caller, Scope, Unknown};

/// What the log and the metrics tell of a request: ids that were understood, and nothing else that
/// a stranger wrote.
#[derive(Debug, Clone, Default)]
pub(super) struct Story {
    /// Which operation; none is no route of ours.
    pub(super) route: Option<(HttpRoute, &'static str)>,
    /// Who asked.
    pub(super) subject: Option<String>,
    /// For whose things.
    pub(super) account: Option<AccountId>,
    /// For which recording.
    pub(super) recording: Option<RecordingId>,
}

/// The id of a request, as its answer says it.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestId(pub(super) Uuid);

/// A request whose sender and parameters are known.
pub(super) struct Call {
    /// Which operation.
    pub(super) route: &'static Route,
    /// Who asks.
    pub(super) caller: Caller,
    /// The account in the path.
    pub(super) account: Option<AccountId>,
    /// The recording in the path.
    pub(super) recording: Option<RecordingId>,
    /// The quarantined message in the path.
    pub(super) message: Option<i64>,
    /// The legal hold in the path.
    pub(super) hold: Option<i64>,
    /// Behind the question mark.
    pub(super) query: Query,
    /// The body; empty where there is none to be.
    pub(super) body: Bytes,
    /// What came before it.
    pub(super) headers: HeaderMap,
    /// From where it came.
    pub(super) origin: Origin,
    /// Its id, as the answer says it.
    pub(super) request_id: Uuid,
}

/// What is answered.
pub(super) struct Answer {
    status: StatusCode,
    /// The body and its type, where there is one.
    body: Option<(&'static str, Body)>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Answer {
    /// 200, with this as JSON.
    pub(super) fn ok(value: &impl Serialize) -> Result<Self, Problem> {
        let text = serde_json::to_string(value).map_err(anyhow::Error::from)?;
        Ok(Self::json(text))
    }

    /// 200, with what is JSON already.
    pub(super) fn json(text: impl Into<String>) -> Self {
        Self {
            body: Some(("application/json", Body::from(text.into()))),
            ..Self::plain(StatusCode::OK)
        }
    }

    /// 200, with a document and what a browser may do with it.
    pub(super) fn page(page: &'static player::Page) -> Self {
        let answer = Self {
            body: Some(("text/html; charset=utf-8", Body::from(page.html))),
            ..Self::plain(StatusCode::OK)
        };
        answer.with(header::CONTENT_SECURITY_POLICY, page.policy.clone())
    }

    /// Nothing but a status.
    pub(super) fn plain(status: StatusCode) -> Self {
        Self {
            status,
            body: None,
            headers: Vec::new(),
        }
    }

    /// The same with one header more.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// 202: written down, and carried out later.
    pub(super) fn accepted(mut self) -> Self {
        self.status = StatusCode::ACCEPTED;
        self
    }

    /// The same, made new at this place.
    pub(super) fn created(mut self, location: String) -> Self {
        self.status = StatusCode::CREATED;
        match HeaderValue::from_str(&location) {
            Ok(place) => self.with(header::LOCATION, place),
            Err(_) => self,
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Some((kind, body)) => {
                let kind = HeaderValue::from_static(kind);
                ([(header::CONTENT_TYPE, kind)], body).into_response()
            }
            None => Response::new(Body::empty()),
        };
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response
    }
}

/// Answers a request for an operation.
pub(super) async fn answer(
    api: Arc<Api>,
    route: &'static Route,
    params: Option<RawPathParams>,
    request: Request<Body>,
) -> Response {
    let mut story = Story {
        route: Some((route.call, route.template)),
        ..Story::default()
    };
    let attended = Box::pin(attend(&api, route, (params, request), &mut story)).await;
    let mut response = match attended {
        Ok(answer) => answer.into_response(),
        Err(problem) => problem.into_response(),
    };
    response.extensions_mut().insert(story);
    response
}

async fn attend(
    api: &Api,
    route: &'static Route,
    (params, request): (Option<RawPathParams>, Request<Body>),
    story: &mut Story,
) -> Result<Answer, Problem> {
    let Some(scope) = route.scope else {
        return public(api, route, params.as_ref());
    };
    let caller = known(api, route, request.headers()).await?;
    story.subject = Some(caller.subject.clone());
    if let Err((why, problem)) = admitted(api, scope, &caller) {
        if let Some(access) = access(api, route, (params.as_ref(), &request), (&caller, why)) {
            calls::turned_away(api, &access).await;
        }
        return Err(problem);
    }
    let params = params.ok_or_else(|| Problem::malformed("the path is not UTF-8"))?;
    let account: Option<AccountId> = id(&params, "account_id")?;
    story.account.clone_from(&account);
    let recording = id(&params, "recording_id")?;
    story.recording.clone_from(&recording);
    let message = number(&params, "message_id")?;
    let hold = number(&params, "hold_id")?;
    let query = Query::read(request.uri().query(), route.query)?;
    if !sees(&caller, route.whose, account.as_ref()) {
        api.metrics.http_denied(HttpDenial::Foreign);
        return Err(Problem::not_found());
    }
    let request_id = request_id(&request);
    let origin = origin(api, &request);
    let headers = request.headers().clone();
    let body = if route.has_body {
        input::body(request).await?
    } else {
        Bytes::new()
    };
    let call = Call {
        route,
        caller,
        account,
        recording,
        message,
        hold,
        query,
        body,
        headers,
        origin,
        request_id,
    };
    let performed = timeout(route.patience, calls::perform(api, &call)).await;
    performed.unwrap_or_else(|_| Err(Problem::late()))
}

/// Whether the caller may ask for what needs this scope, now. What is refused counts as well.
fn admitted(api: &Api, scope: Scope, caller: &Caller) -> Result<(), (AccessRefusal, Problem)> {
    if let Err((why, seconds)) = api.limits.count(caller) {
        api.metrics.http_denied(why);
        let problem = Problem::too_often("this token's subject or account asks too often");
        return Err((AccessRefusal::Rate, problem.again_in(seconds)));
    }
    if !caller.may(scope) {
        api.metrics.http_denied(HttpDenial::Scope);
        return Err((AccessRefusal::Scope, Problem::lacks(scope)));
    }
    Ok(())
}

/// What the access log has of a request to listen that gets no further; nothing where it is about
/// no recording of an account that could be.
fn access(
    api: &Api,
    route: &Route,
    (params, request): (Option<&RawPathParams>, &Request<Body>),
    (caller, why): (&Caller, AccessRefusal),
) -> Option<Access> {
    let params = params.filter(|_| route.listens())?;
    let recording = id::<RecordingId>(params, "recording_id").ok()??;
    let query = Query::read(request.uri().query(), route.query).ok()?;
    let named = query.parsed::<AccountId>("account_id").ok()?;
    let origin = origin(api, request);
    Some(Access {
        request_id: request_id(request),
        subject: caller.subject.clone(),
        token_account: caller.account.clone(),
        account: named.or_else(|| caller.account.clone())?,
        recording,
        address: origin.address,
        via: origin.via,
        outcome: AccessOutcome::Refused(why),
    })
}

/// The request's id, as its answer says it.
fn request_id(request: &Request<Body>) -> Uuid {
    let known = request.extensions().get::<RequestId>();
    known.map_or_else(Uuid::new_v4, |id| id.0)
}

/// What everybody may read: it is the same for all.
fn public(api: &Api, route: &Route, params: Option<&RawPathParams>) -> Result<Answer, Problem> {
    if route.call == HttpRoute::ListReceiptKeys {
        return calls::receipt_keys(api);
    }
    if route.call != HttpRoute::ShowPlayer {
        return Ok(calls::contract());
    }
    let params = params.ok_or_else(|| Problem::malformed("the path is not UTF-8"))?;
    id::<RecordingId>(params, "recording_id")?;
    Ok(calls::page(api.config.allow_http))
}

/// From where it comes. Every connection of ours says whose it is.
fn origin(api: &Api, request: &Request<Body>) -> Origin {
    let peer = request.extensions().get::<Peer>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
    let trusted = api.config.http_trusted_proxies.as_slice();
    Origin::of(peer, request.headers(), trusted)
}

/// Who asks. A browser's player sends no header of ours: playback alone takes a cookie instead.
async fn known(api: &Api, route: &Route, headers: &HeaderMap) -> Result<Caller, Problem> {
    let cookie = (route.call == HttpRoute::PlayRecording).then_some(player::COOKIE);
    let caller = api.verifier.caller(headers, cookie).await;
    caller.map_err(|unknown| match unknown {
        Unknown::Refused(why) => {
            api.metrics.http_token_refused(why);
            Problem::unauthenticated()
        }
        Unknown::NoKeys => Problem::no_keys(),
    })
}

/// Whether things of this kind are the caller's to ask for.
fn sees(caller: &Caller, whose: Whose, account: Option<&AccountId>) -> bool {
    let Some(bound) = &caller.account else {
        return true;
    };
    match whose {
        Whose::Nobodys | Whose::Callers => true,
        Whose::Accounts => account == Some(bound),
        Whose::Platforms => false,
    }
}

/// An id out of the path, if the path has one.
fn id<T: FromStr<Err: ToString>>(params: &RawPathParams, name: &str) -> Result<Option<T>, Problem> {
    let text = params.iter().find(|(known, _)| *known == name);
    let text = text.map(|(_, text)| text);
    let read = |text: &str| {
        text.parse().map_err(|error: T::Err| {
            input::bad(name, &error)
                .hint("a letter or digit, then at most 127 letters, digits and `.`, `_`, `-`")
        })
    };
    text.map(read).transpose()
}

/// The number of a quarantined message or a hold, if the path has one.
fn number(params: &RawPathParams, name: &str) -> Result<Option<i64>, Problem> {
    let found = params.iter().find(|(known, _)| *known == name);
    let Some((_, text)) = found else {
        return Ok(None);
    };
    let is_plain = text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse::<i64>().ok().filter(|_| is_plain);
    number
        .map(Some)
        .ok_or_else(|| input::bad(name, &"must be a number as the list shows it"))
}

impl Call {
    /// The account in the path; every route that asks for it has one.
    pub(super) fn account(&self) -> Result<&AccountId, Problem> {
        let account = self.account.as_ref();
        account.ok_or_else(|| Problem::defect("a route lacks its account"))
    }

    /// The recording in the path; every route that asks for it has one.
    pub(super) fn recording(&self) -> Result<&RecordingId, Problem> {
        let recording = self.recording.as_ref();
        recording.ok_or_else(|| Problem::defect("a route lacks its recording"))
    }

    /// The message in the path; every route that asks for it has one.
    pub(super) fn message(&self) -> Result<i64, Problem> {
        let message = self.message;
        message.ok_or_else(|| Problem::defect("a route lacks its message"))
    }

    /// The hold in the path; every route that asks for it has one.
    pub(super) fn hold(&self) -> Result<i64, Problem> {
        self.hold
            .ok_or_else(|| Problem::defect("a route lacks its hold"))
    }

    /// The one account that is asked about, or all: a bound token's own, whatever is asked for.
    ///
    /// # Errors
    /// A bound token asks for another's: nothing is there.
    pub(super) fn only(
        &self,
        api: &Api,
        asked: Option<AccountId>,
    ) -> Result<Option<AccountId>, Problem> {
        match (&self.caller.account, asked) {
            (None, asked) => Ok(asked),
            (Some(bound), None) => Ok(Some(bound.clone())),
            (Some(bound), Some(asked)) if *bound == asked => Ok(Some(asked)),
            (Some(_), Some(_)) => {
                api.metrics.http_denied(HttpDenial::Foreign);
                Err(Problem::not_found())
            }
        }
    }

    /// Does something that changes something: written down before, and how it ended after. What
    /// could not be written down is not done.
    pub(super) async fn audited(
        &self,
        api: &Api,
        (account, target): (Option<&AccountId>, Option<String>),
        act: impl Future<Output = Result<Answer, Problem>>,
    ) -> Result<Answer, Problem> {
        let action = Action {
            request_id: self.request_id,
            subject: self.caller.subject.clone(),
            token_account: self.caller.account.clone(),
            action: self.route.call.as_str(),
            account: account.cloned(),
            target,
        };
        api.ledger.begin_action(&action).await?;
        let ended = act.await;
        let (outcome, status) = match &ended {
            Ok(answer) => (ActionOutcome::Done, answer.status.as_u16()),
            Err(problem) if problem.status() < 500 => (ActionOutcome::Refused, problem.status()),
            Err(problem) => (ActionOutcome::Failed, problem.status()),
        };
        let noted = api.ledger.end_action(&action, outcome, status).await;
        if let Err(fault) = noted {
            // It is done all the same; the first row says that nobody saw its end.
            tracing::warn!(error = %fault, request.id = %self.request_id,
                "how an action ended could not be written down");
        }
        ended
    }
}
