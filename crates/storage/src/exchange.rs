//! One request and its answer, of whatever cloud: signed, sent, repeated where that is safe,
//! understood, counted. What differs between clouds is a [`Signer`].

mod answer;
mod attempt;
mod form;
mod refusal;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use object_store::client::{HttpClient, HttpRequest};
use recording::{Cloud, Fault, Fence, Meter, Operation, ParkReason, Progress};
use tokio::time::{Instant, sleep};

pub(crate) use self::answer::{Answer, changed, digest_body};
pub(crate) use self::attempt::transport_fault;
pub(crate) use self::form::{encode, encode_key, put_header, unusable};
pub(crate) use self::refusal::{Meaning, Refusal, Trouble, unless_refused};
use crate::deadline;

/// The largest answer that is read into memory, in bytes, unless more is asked for.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// A wish to wait longer than this is not for us to fulfil: the ladder does.
const WAIT_HERE_MAX: Duration = Duration::from_secs(2);

/// When a request may be repeated without asking anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Always: doing it twice is doing it once.
    Always,
    /// Only after an answer, or when it was never sent. A lost answer is for a look.
    Answered,
}

/// A request, unsigned.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    /// What it does; its name in details and logs, and what it is counted as.
    pub(crate) operation: Operation,
    /// The method.
    pub(crate) method: Method,
    /// The URL, without anything that authorizes.
    pub(crate) uri: Uri,
    /// The headers, without those that authorize.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
    /// Told of every byte of the body sent.
    pub(crate) progress: Option<&'a Progress>,
    /// Asked right before each signing.
    pub(crate) fence: Option<&'a Fence>,
    /// How long all attempts together may take.
    pub(crate) patience: Duration,
    /// When it may be repeated.
    pub(crate) repeat: Repeat,
    /// Whether a good answer's body is left to the caller to read.
    pub(crate) streams: bool,
    /// The largest answer that is read into memory, in bytes.
    pub(crate) answer_bytes_max: usize,
}

impl Ask<'_> {
    /// A request without a body, that may be repeated, with a look's patience.
    pub(crate) fn new(operation: Operation, method: Method, uri: Uri, headers: HeaderMap) -> Self {
        Self {
            operation,
            method,
            uri,
            headers,
            body: Bytes::new(),
            progress: None,
            fence: None,
            patience: deadline::LOOK,
            repeat: Repeat::Always,
            streams: false,
            answer_bytes_max: ANSWER_BYTES_MAX,
        }
    }
}

/// What is special about one cloud's requests: who we are there, and what its refusals mean.
pub(crate) trait Signer: Sync {
    /// What a request is signed with.
    type Credential: Send + Sync;

    /// A credential that is good for the longest that the request may take.
    fn credential(&self) -> impl Future<Output = Result<Self::Credential, Fault>> + Send;

    /// Signs the request.
    ///
    /// # Errors
    /// It cannot be signed; it was not sent.
    fn sign(&self, request: &mut HttpRequest, credential: &Self::Credential) -> Result<(), Fault>;

    /// Gives up a credential that the store does not take any more. Whether there may be another.
    fn renew(&self, stale: &Self::Credential) -> bool;

    /// What a refusal of this request means.
    fn understand(&self, ask: &Ask<'_>, answered: Answered) -> Refusal;

    /// The code of a refusal that came in an answer's body; also of one that came with a success.
    fn code(&self, headers: &HeaderMap, body: &[u8]) -> Option<String>;

    /// Whether a refusal may be of the credential only.
    fn is_stale(&self, _: &Ask<'_>, refusal: &Refusal) -> bool {
        refusal.meaning() == Meaning::Stale
    }
}

/// A refusal, as it came.
#[derive(Debug)]
pub(crate) struct Answered {
    /// HTTP status.
    pub(crate) status: u16,
    /// The store's code, if it named one.
    pub(crate) code: Option<String>,
    /// How long it asks us to wait.
    pub(crate) retry_after: Option<Duration>,
}

/// The way to one store, and who counts what goes over it.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The client.
    pub(crate) client: HttpClient,
    /// Repetitions of one request at most.
    pub(crate) retries: u32,
    /// Which cloud is at the other end.
    pub(crate) cloud: Cloud,
    /// Counts.
    pub(crate) meter: Arc<dyn Meter>,
}

impl Line {
    /// Sends a request until there is a good answer or no use in going on.
    pub(crate) async fn exchange<S: Signer>(
        &self,
        signer: &S,
        ask: &Ask<'_>,
    ) -> Result<Answer, Trouble> {
        let mut deadline = None;
        let mut delays = self.policy().delays();
        let mut renewed = false;
        loop {
            let credential = signer.credential().await.map_err(Trouble::Never)?;
            // Waiting for a token service is not the store's time.
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + ask.patience);
            let trouble = match self.attempt(signer, ask, &credential, deadline).await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            let wait = if is_stale(signer, ask, &trouble) {
                let another = signer.renew(&credential) && !renewed;
                renewed = true;
                another.then_some(Duration::ZERO)
            } else if may_repeat(ask, &trouble) {
                delays.next_delay()
            } else {
                None
            };
            match wait {
                Some(wait) if Instant::now() + wait < deadline => {
                    let operation = ask.operation.as_str();
                    tracing::debug!(operation, ?trouble, "request is repeated");
                    sleep(wait).await;
                }
                Some(_) | None => return Err(trouble),
            }
        }
    }

    fn policy(&self) -> retry::Policy {
        retry::Policy {
            initial: Duration::from_millis(200),
            cap: WAIT_HERE_MAX,
            jitter: 1.0,
            attempts: Some(self.retries.saturating_add(1)),
            patience: None,
        }
    }
}

fn is_stale<S: Signer>(signer: &S, ask: &Ask<'_>, trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Refused(refusal) => signer.is_stale(ask, refusal),
        Trouble::Never(_) | Trouble::Lost(_) | Trouble::Fenced(_) => false,
    }
}

fn may_repeat(ask: &Ask<'_>, trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Refused(refusal) => {
            let soon = refusal.retry_after.is_none_or(|wish| wish <= WAIT_HERE_MAX);
            refusal.is_passing() && soon
        }
        Trouble::Never(fault) => fault.reason == ParkReason::DestinationUnreachable,
        Trouble::Lost(_) => ask.repeat == Repeat::Always,
        Trouble::Fenced(_) => false,
    }
}
