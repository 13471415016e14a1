//! A laboratory of Microsoft's token services: Entra's endpoint, for applications that know their
//! secret or show an assertion of another issuer, and the metadata service of a machine that has a
//! managed identity.
//!
//! It gives tokens as Azurite takes them, and misbehaves to order. It is an emulator, written from
//! the documentation of the client credentials flow and of the metadata service; never checked
//! against Microsoft's own.

mod answer;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const FORM_BYTES_MAX: usize = 64 * 1024;
/// Where the metadata service is, below the address.
const METADATA: &str = "/metadata/identity/oauth2/token";

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

/// What an application shows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Proof {
    Secret(String),
    /// A secret that was right and has run out.
    Expired(String),
    /// A token of another issuer, as it must be shown.
    Assertion(String),
}

/// An application in a directory: tenant and client.
type Name = (String, String);

#[derive(Debug)]
struct State {
    applications: BTreeMap<Name, Proof>,
    /// Identities that the machine has, the first being the one without a name.
    managed: Vec<String>,
    /// What the metadata service wants to be shown, where it is one of App Service's kind.
    header: Option<String>,
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
            managed: Vec::new(),
            header: None,
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

    /// What to set as the identity endpoint.
    #[must_use]
    pub fn identity_endpoint(&self) -> String {
        format!("http://{}{METADATA}", self.address)
    }

    /// Makes an application known, or changes its secret.
    pub fn register(&self, tenant: &str, client: &str, secret: &str) {
        self.know(tenant, client, Proof::Secret(secret.to_owned()));
    }

    /// The secret of an application runs out.
    pub fn expire(&self, tenant: &str, client: &str, secret: &str) {
        self.know(tenant, client, Proof::Expired(secret.to_owned()));
    }

    /// Makes an application known that trusts this very assertion of another issuer, or changes
    /// which one it trusts.
    pub fn trust(&self, tenant: &str, client: &str, assertion: &str) {
        self.know(tenant, client, Proof::Assertion(assertion.to_owned()));
    }

    /// Forgets an application.
    pub fn forget(&self, tenant: &str, client: &str) {
        let name = (tenant.to_owned(), client.to_owned());
        locked(&self.state).applications.remove(&name);
    }

    /// The machine has exactly these identities from now on; the first is the one that needs no
    /// name.
    pub fn assign(&self, identities: &[&str]) {
        let identities = identities.iter().map(|name| (*name).to_owned());
        locked(&self.state).managed = identities.collect();
    }

    /// The metadata service is one of App Service's kind, and wants to be shown this.
    pub fn want_header(&self, header: &str) {
        locked(&self.state).header = Some(header.to_owned());
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

    fn know(&self, tenant: &str, client: &str, proof: Proof) {
        let name = (tenant.to_owned(), client.to_owned());
        locked(&self.state).applications.insert(name, proof);
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
    let service = service_fn(move |request| respond(request, Arc::clone(&state)));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn respond(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, FORM_BYTES_MAX).collect().await;
    let form = body
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let (status, text) = answer::decide(&head, &form, &mut locked(&state));
    let mut response = Response::new(Full::new(Bytes::from(text.to_string())));
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert("content-type", kind);
    Ok(response)
}

/// The wall clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a server for clients in other processes keeps real time; nothing here is simulated"
)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}
