//! The HTTP clients, shared by all accounts: *customer* for buckets, *operator* for STS and Entra,
//! and one for the machine's own metadata service, which knows no TLS.
//!
//! A customer chooses the endpoint, so the customer client trusts nothing about it: no redirects
//! (a redirect would carry the session token along), no proxies, and the resolved address is
//! judged at every connect. All are [`HttpService`]s, which is what `object_store`'s own clients
//! sit on, so everything it or we send goes through here.

pub(crate) mod address;
mod body;
mod resolver;
mod tls;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::BodyExt;
use object_store::client::{
    HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpResponseBody, HttpService,
};
use recording::Progress;

use address::AddressFilter;
use resolver::FilteringResolver;

/// How long a connection may take to be made, TLS included.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept: less than S3 keeps its end, so that a request is seldom
/// written into a connection that is being closed.
const IDLE: Duration = Duration::from_secs(15);
/// Idle connections kept for each host.
const IDLE_PER_HOST: usize = 64;

/// Why the clients could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorFault {
    /// The extra CA file cannot be read, or holds no certificate.
    #[error("the CA file {path} cannot be used: {why}")]
    CaFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(#[from] reqwest::Error),
}

/// The clients.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    /// For customers' endpoints.
    pub(crate) customer: HttpClient,
    /// For STS and Entra.
    pub(crate) operator: HttpClient,
    /// For the token service of the machine that we run on, whatever may be plain http elsewhere.
    pub(crate) machine: HttpClient,
}

impl Clients {
    pub(crate) fn new(
        filter: AddressFilter,
        allow_http: bool,
        extra_ca_file: Option<&Path>,
    ) -> Result<Self, ConnectorFault> {
        let tls = tls::config(extra_ca_file)?;
        let builder = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .https_only(!allow_http)
                .http1_only()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .connect_timeout(CONNECT)
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(IDLE_PER_HOST)
        };
        let filter = Arc::new(filter);
        let resolver = FilteringResolver::new(Arc::clone(&filter));
        let customer = builder().dns_resolver(resolver).build()?;
        let operator = builder().build()?;
        let machine = builder().https_only(false).build()?;
        let client = |http, filter| HttpClient::new(Connector { http, filter });
        Ok(Self {
            customer: client(customer, Some(filter)),
            operator: client(operator, None),
            machine: client(machine, None),
        })
    }
}

/// One client.
#[derive(Debug)]
struct Connector {
    http: reqwest::Client,
    /// Judges hosts that are written as an address, which are never resolved.
    filter: Option<Arc<AddressFilter>>,
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let url = url::Url::parse(&parts.uri.to_string())
            .map_err(|error| HttpError::new(HttpErrorKind::Connect, error))?;
        if let Some(filter) = &self.filter {
            filter
                .check_host(&url)
                .map_err(|refused| HttpError::new(HttpErrorKind::Connect, refused))?;
        }
        let mut outgoing = reqwest::Request::new(parts.method, url);
        *outgoing.headers_mut() = parts.headers;
        *outgoing.body_mut() = Some(outgoing_body(body, parts.extensions.get::<Progress>()));
        let answer = self.http.execute(outgoing).await.map_err(http_error)?;
        let (parts, body) = http::Response::<reqwest::Body>::from(answer).into_parts();
        let body = HttpResponseBody::new(body.map_err(http_error));
        Ok(HttpResponse::from_parts(parts, body))
    }
}

fn outgoing_body(body: HttpRequestBody, progress: Option<&Progress>) -> reqwest::Body {
    match (body.as_bytes(), progress) {
        (Some(bytes), Some(progress)) => {
            reqwest::Body::wrap(body::Counted::new(bytes.clone(), progress.clone()))
        }
        (Some(bytes), None) => bytes.clone().into(),
        (None, _) => reqwest::Body::wrap(body),
    }
}

/// Keeps what matters of a transport error: whether a request can have been sent. The URL is
/// taken out, so that it never reaches a log.
fn http_error(error: reqwest::Error) -> HttpError {
    let kind = if error.is_connect() {
        HttpErrorKind::Connect
    } else if error.is_timeout() {
        HttpErrorKind::Timeout
    } else {
        HttpErrorKind::Interrupted
    };
    HttpError::new(kind, error.without_url())
}
