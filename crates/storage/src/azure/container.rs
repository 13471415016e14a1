//! One container as one account reaches it for one purpose, and one blob in it.

use std::sync::Arc;
use std::sync::atomic::AtomicU8;

use http::{HeaderMap, HeaderValue, Method};
use recording::{Clock, Fault, Operation, Outbound, Secret};

use super::delegation::{Delegation, DelegationKey};
use super::place::Place;
use super::sas::{Grant, VERSION};
use crate::credentials::Session;
use crate::exchange::{Answer, Ask, Line, Trouble, put_header};
use crate::shown::ShownOnce;

/// Who we are to the container.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    /// The storage account's key, which a signature is made from for each request.
    AccessKey(Secret),
    /// The customer's signature.
    Sas(Secret),
    /// An application's token.
    Token(Arc<Session<Secret>>),
}

/// Made once for each (revision, account, purpose) and shared by all its requests.
#[derive(Debug)]
pub(crate) struct Container {
    pub(super) place: Place,
    pub(super) identity: Identity,
    pub(super) line: Line,
    pub(super) clock: Arc<dyn Clock>,
    /// What signs URLs for an identity of tokens.
    pub(super) delegation: Option<Session<DelegationKey>>,
    /// Whether it is known that the store refuses a conditional Put Blob to a name that is taken.
    pub(super) creates_only: ShownOnce,
    /// Whether the store refuses bytes that do not fit their checksum: see `put`.
    pub(super) checks: AtomicU8,
}

/// One blob, and what a request about it may do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blob<'a> {
    pub(super) container: &'a Container,
    pub(super) key: &'a str,
    pub(super) grant: Grant,
}

impl Container {
    pub(crate) fn new(place: Place, identity: Identity, line: Line, clock: Arc<dyn Clock>) -> Self {
        let delegation = match &identity {
            Identity::Token(tokens) => Some(Delegation::session(&place, tokens, &line, &clock)),
            Identity::AccessKey(_) | Identity::Sas(_) => None,
        };
        Self {
            delegation,
            creates_only: ShownOnce::new(place.is_azure),
            checks: AtomicU8::default(),
            place,
            identity,
            line,
            clock,
        }
    }

    pub(super) fn blob<'a>(&'a self, key: &'a str, grant: Grant) -> Blob<'a> {
        Blob {
            container: self,
            key,
            grant,
        }
    }
}

impl Blob<'_> {
    /// A request with the standing headers, no body, and a look's patience.
    pub(super) fn ask(
        &self,
        operation: Operation,
        method: Method,
        query: &str,
    ) -> Result<Ask<'static>, Fault> {
        let mut headers = HeaderMap::with_capacity(24);
        headers.insert("x-ms-version", HeaderValue::from_static(VERSION));
        let uri = self.container.place.url(self.key, query)?;
        Ok(Ask::new(operation, method, uri, headers))
    }

    /// Sends a request until there is a good answer or no use in going on.
    pub(super) async fn exchange(&self, ask: &Ask<'_>) -> Result<Answer, Trouble> {
        self.container.line.exchange(self, ask).await
    }
}

/// The headers that say what the blob is. Azure takes no hyphens in names of metadata.
pub(super) fn describe(
    headers: &mut HeaderMap,
    outbound: &Outbound<'_>,
    sha256: recording::Sha256,
) -> Result<(), Fault> {
    put_header(headers, "x-ms-blob-content-type", outbound.media_type)?;
    for (name, value) in &outbound.metadata {
        let name = name.replace('-', "_");
        put_header(headers, &format!("x-ms-meta-{name}"), value)?;
    }
    let sha256 = sha256.to_string();
    put_header(headers, "x-ms-meta-callferry_sha256", &sha256)
}
