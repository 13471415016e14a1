//! A laboratory of Entra's token endpoint, for applications that know their secret.
//!
//! It gives tokens as Azurite takes them, and misbehaves to order. It is an emulator, written from
//! the documentation of the client credentials flow; never checked against Entra itself.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What may be asked for.
const SCOPE: &str = "https://storage.azure.com/.default";
const FORM_BYTES_MAX: usize = 64 * 1024;

/// How it misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Not at all.
    Well,
    /// It asks to slow down (429).
    Throttling,
    /// It is broken (503).
    Broken,
    /// It gives tokens that say they are good and have run out (seen by whoever reads the token).
    Stale,
}

/// A running token endpoint. Dropping it cuts every connection.
#[derive(Debug)]
pub struct Entra {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct State {
    /// Secrets by (tenant, application).
    applications: BTreeMap<(String, String), String>,
    mood: Mood,
    life: Duration,
    asked: u64,
    issued: u64,
}

impl Entra {
    /// Starts it on a free loopback port, over plain http.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State {
            applications: BTreeMap::new(),
            mood: Mood::Well,
            life: Duration::from_secs(3599),
            asked: 0,
            issued: 0,
        }));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            _tasks: tasks,
        })
    }

    /// What to set as the authority.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes an application known, or changes its secret.
    pub fn register(&self, tenant: &str, client: &str, secret: &str) {
        let name = (tenant.to_owned(), client.to_owned());
        let mut state = locked(&self.state);
        state.applications.insert(name, secret.to_owned());
    }

    /// Changes how it behaves from now on.
    pub fn behave(&self, mood: Mood) {
        locked(&self.state).mood = mood;
    }

    /// How long tokens are good from now on.
    pub fn issue_for(&self, life: Duration) {
        locked(&self.state).life = life;
    }

    /// How often it was asked.
    #[must_use]
    pub fn asked(&self) -> u64 {
        locked(&self.state).asked
    }

    /// How many tokens it gave.
    #[must_use]
    pub fn issued(&self) -> u64 {
        locked(&self.state).issued
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, Arc::clone(&state)));
                }
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&state)));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = Limited::new(request.into_body(), FORM_BYTES_MAX)
        .collect()
        .await;
    let form = body
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let (status, text) = decide(&path, &form, &mut locked(&state));
    let mut response = Response::new(Full::new(Bytes::from(text.to_string())));
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert("content-type", kind);
    Ok(response)
}

fn decide(path: &str, form: &[u8], state: &mut State) -> (StatusCode, Value) {
    state.asked += 1;
    match state.mood {
        Mood::Throttling => return (StatusCode::TOO_MANY_REQUESTS, json!({})),
        Mood::Broken => {
            let error = refusal("temporarily_unavailable", 90_033);
            return (StatusCode::SERVICE_UNAVAILABLE, error);
        }
        Mood::Well | Mood::Stale => {}
    }
    let fields: BTreeMap<String, String> = url::form_urlencoded::parse(form).into_owned().collect();
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let tenant = path
        .strip_prefix('/')
        .and_then(|rest| rest.strip_suffix("/oauth2/v2.0/token"));
    let Some(tenant) = tenant else {
        return (StatusCode::NOT_FOUND, json!({}));
    };
    if field("grant_type") != "client_credentials" || field("scope") != SCOPE {
        return (StatusCode::BAD_REQUEST, refusal("invalid_scope", 70_011));
    }
    let name = (tenant.to_owned(), field("client_id").to_owned());
    let Some(secret) = state.applications.get(&name) else {
        let error = refusal("unauthorized_client", 700_016);
        return (StatusCode::BAD_REQUEST, error);
    };
    if secret != field("client_secret") {
        let error = refusal("invalid_client", 7_000_215);
        return (StatusCode::UNAUTHORIZED, error);
    }
    state.issued += 1;
    let token = token(&name, state);
    let seconds = state.life.as_secs();
    let granted = json!({
        "token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds,
        "access_token": token,
    });
    (StatusCode::OK, granted)
}

/// The wall clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a server for clients in other processes keeps real time; nothing here is simulated"
)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// The prose is what must get into no log.
fn refusal(error: &str, code: u32) -> Value {
    let prose = format!("AADSTS{code}: prose-canary of the directory");
    json!({"error": error, "error_description": prose, "error_codes": [code]})
}

/// Unsigned: Azurite reads the claims and does not check a signature.
fn token((tenant, client): &(String, String), state: &State) -> String {
    let now = now().timestamp();
    let life = i64::try_from(state.life.as_secs()).unwrap_or(i64::MAX);
    let end = match state.mood {
        Mood::Stale => now.saturating_sub(1),
        Mood::Well | Mood::Throttling | Mood::Broken => now.saturating_add(life),
    };
    let begin = now.saturating_sub(300);
    let header = json!({"alg": "none", "typ": "JWT"});
    let claims = json!({
        "aud": "https://storage.azure.com", "iss": format!("https://sts.windows.net/{tenant}/"),
        "iat": begin, "nbf": begin, "exp": end, "appid": client, "tid": tenant,
        "oid": format!("object-of-{client}"), "jti": state.issued,
    });
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(&header), part(&claims))
}
