//! The HTTP interface on `CALLFERRY_HTTP_ADDR`: playback with its player page, and the
//! administration API.
//!
//! Every request goes one way (`call`), over a table of operations (`routes`), and around all of
//! them lies what every answer has: an id, headers that keep browsers from guessing and storing, a
//! line in the log, and its count.
//!
//! **Limits.** Connections, their headers, how slowly anybody may send or take (`connections`),
//! bodies (`input`), how often (`limits`), how long (`routes`), how many checks and previews
//! (`checks`): each is bounded.
//!
//! **Shutdown.** Nothing new is taken on; requests that are being answered end, within the drain.
//!
//! No cross-origin request is ever allowed: there is no CORS header, so that no page of somebody
//! else's can use a token that a browser has.

mod call;
mod calls;
mod checks;
mod connections;
mod input;
mod limits;
mod origin;
mod page;
mod player;
mod problem;
mod routes;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::MethodRouter;
use catalog::Catalog;
use custody::ReceiptKeys;
use recording::{Checker, Clock};
use storage::BucketPlayers;
use telemetry::{HttpRoute, Metrics};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use call::{RequestId, Story};
use checks::Checks;
pub(crate) use connections::{bind, serve};
use limits::{EachMinute, Limits};
use problem::Problem;
use routes::ROUTES;
use token::Verifier;
pub(crate) use token::{Keys, Source};

use crate::config::{Config, Tokens};

/// The answer's id, for whoever asks about it.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How often idle callers are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// What the operations work with.
pub(crate) struct Api {
    ledger: Arc<Catalog>,
    config: Config,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    checker: Arc<dyn Checker>,
    receipt_keys: Option<ReceiptKeys>,
    players: BucketPlayers,
    verifier: Verifier,
    limits: Limits,
    /// Whose rate refusals are written into the access log, by subject.
    turned_away: EachMinute<String>,
    /// Where what signs is given up because a listener was refused, by place.
    given_up: EachMinute<String>,
    checks: Checks,
    /// Who looks at everything that falls due of an account.
    previews: Checks,
    /// Who counts everything holds it: one at a time.
    counting: Semaphore,
}

/// What the interface reaches.
pub(crate) struct ApiPorts {
    /// The ledger.
    pub(crate) ledger: Arc<Catalog>,
    /// Time.
    pub(crate) clock: Arc<dyn Clock>,
    /// The process's metrics.
    pub(crate) metrics: Arc<Metrics>,
    /// Checks destinations.
    pub(crate) checker: Arc<dyn Checker>,
    /// The keys of custody receipts, whose public halves are published.
    pub(crate) receipt_keys: Option<ReceiptKeys>,
    /// Signs URLs of recordings.
    pub(crate) players: BucketPlayers,
}

impl Api {
    /// The interface over its ports.
    pub(crate) fn new(
        ports: ApiPorts,
        config: &Config,
        tokens: &Tokens,
        keys: Arc<Keys>,
    ) -> Arc<Self> {
        Arc::new(Self {
            verifier: Verifier::new(tokens, keys, Arc::clone(&ports.clock)),
            limits: Limits::new(config.http_subject_rate, config.http_account_rate),
            turned_away: EachMinute::new(),
            given_up: EachMinute::new(),
            checks: Checks::new(checks::DESTINATIONS),
            previews: Checks::new(checks::PREVIEWS),
            counting: Semaphore::new(1),
            config: config.clone(),
            ledger: ports.ledger,
            clock: ports.clock,
            metrics: ports.metrics,
            checker: ports.checker,
            receipt_keys: ports.receipt_keys,
            players: ports.players,
        })
    }

    /// Forgets idle callers, again and again, until `stop` fires.
    pub(crate) async fn forget_idle(&self, stop: CancellationToken) {
        let forgetting = async {
            loop {
                sleep(FORGET_EVERY).await;
                self.limits.forget_idle();
                self.turned_away.forget_idle();
                self.given_up.forget_idle();
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = forgetting => {}
        }
    }
}

/// Everything that is answered.
pub(crate) fn router(api: &Arc<Api>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let handler =
            move |State(api): State<Arc<Api>>,
                  params: Result<RawPathParams, RawPathParamsRejection>,
                  request: Request| { call::answer(api, route, params.ok(), request) };
        let method = MethodRouter::new().on(route.verb.filter(), handler);
        router = router.route(route.template, method);
    }
    let around = middleware::from_fn_with_state(Arc::clone(api), around);
    router
        .fallback(async |request: Request| nowhere(request.uri().path()))
        .method_not_allowed_fallback(async || {
            Problem::no_method("this place knows other methods: see `Allow`")
        })
        .layer(around)
        .with_state(Arc::clone(api))
}

/// What is no place of ours. A path that climbs is no path at all.
fn nowhere(path: &str) -> Problem {
    let plain = path.to_ascii_lowercase().replace("%2e", ".");
    let plain = plain.replace("%2f", "/").replace(['\\'], "/");
    if plain.split('/').any(|part| part == "." || part == "..") {
        return Problem::malformed("the path climbs").hint("ids have neither slashes nor `..`");
    }
    Problem::not_found()
}

/// What every request and every answer has.
async fn around(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let (id, begun) = (Uuid::new_v4(), Instant::now());
    let method = request.method().clone();
    request.extensions_mut().insert(RequestId(id));
    let in_flight = InFlight::new(&api.metrics);
    let mut response = next.run(request).await;
    drop(in_flight);
    let story = response.extensions_mut().remove::<Story>();
    guard(&mut response, id);
    tell(
        &api.metrics,
        &method,
        &response,
        (story, id, begun.elapsed()),
    );
    response
}

/// Counted as being answered for as long as it lives, however it ends.
struct InFlight<'a>(&'a Metrics);

impl<'a> InFlight<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        metrics.http_begun();
        Self(metrics)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.http_ended();
    }
}

/// Nothing is stored, unless the operation says that it may be; nothing is guessed, framed or told
/// to the next page.
fn guard(response: &mut Response, id: Uuid) {
    let headers = response.headers_mut();
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A page of ours says what it needs.
    let nothing = "default-src 'none'; frame-ancestors 'none'";
    let policy = headers.entry(header::CONTENT_SECURITY_POLICY);
    policy.or_insert(HeaderValue::from_static(nothing));
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
}

/// One line in the log, and the counts. The path is told as its template: what stands in it may be
/// anything.
fn tell(
    metrics: &Metrics,
    method: &Method,
    response: &Response,
    (story, id, took): (Option<Story>, Uuid, Duration),
) {
    let story = story.unwrap_or_default();
    let (route, template) = story.route.unwrap_or((HttpRoute::Unmatched, "-"));
    let status = response.status().as_u16();
    metrics.http_answered(route, status, took);
    tracing::info!(
        http.method = method_word(method),
        http.route = template,
        http.status = status,
        took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        request.id = %id,
        subject = story.subject.unwrap_or_default(),
        account.id = story.account.map(|account| account.to_string()),
        recording.id = story.recording.map(|recording| recording.to_string()),
        "answered"
    );
}

/// A method may be any word that a stranger chose.
fn method_word(method: &Method) -> &'static str {
    let known = [
        (Method::GET, "GET"),
        (Method::HEAD, "HEAD"),
        (Method::POST, "POST"),
        (Method::PUT, "PUT"),
        (Method::DELETE, "DELETE"),
        (Method::OPTIONS, "OPTIONS"),
        (Method::PATCH, "PATCH"),
    ];
    let found = known.into_iter().find(|(known, _)| known == method);
    found.map_or("other", |(_, word)| word)
}
