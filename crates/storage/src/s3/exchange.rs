//! One request and its answer: signed, sent, repeated where that is safe, understood.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use http_body_util::{BodyExt, Limited};
use object_store::aws::AwsAuthorizer;
use object_store::client::{
    HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody,
};
use recording::{Fault, Fence, LeaseLost, ParkReason, Progress};
use tokio::time::{Instant, sleep, timeout_at};

use super::bucket::Bucket;
use super::classify::{Meaning, Refusal};
use super::xml;
use crate::connector::address::AddressRefused;
use crate::credentials::Issued;

/// The largest answer that is read into memory, in bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// A wish to wait longer than this is not for us to fulfil: the ladder does.
const WAIT_HERE_MAX: Duration = Duration::from_secs(2);

/// When a request may be repeated without asking anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Always: doing it twice is doing it once.
    Always,
    /// Only after an answer, or when it was never sent. A lost answer is for a look.
    Answered,
}

/// A request, unsigned.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    /// Its name in details and logs.
    pub(super) operation: &'static str,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Told of every byte of the body sent.
    pub(super) progress: Option<&'a Progress>,
    /// Asked right before each signing.
    pub(super) fence: Option<&'a Fence>,
    /// How long all attempts together may take.
    pub(super) patience: Duration,
    pub(super) repeat: Repeat,
    /// Whether a good answer's body is left to the caller to read.
    pub(super) streams: bool,
}

/// A good answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    /// The body, unless the request streams.
    pub(super) body: Bytes,
    /// The body of a request that streams.
    pub(super) stream: Option<HttpResponseBody>,
}

/// No good answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The store answered otherwise.
    Refused(Refusal),
    /// The request was never sent.
    Never(Fault),
    /// It was sent, or may have been, and no usable answer came.
    Lost(String),
    /// The lease ended before it could be signed.
    Fenced(LeaseLost),
}

impl Trouble {
    /// The fault, for a request whose effect does not matter.
    pub(super) fn fault(self, operation: &str) -> Fault {
        match self {
            Self::Refused(refusal) => refusal.fault(operation),
            Self::Never(fault) => fault,
            Self::Lost(why) => Fault::new(ParkReason::DestinationUnreachable, why),
            Self::Fenced(lost) => Fault::new(ParkReason::Interrupted, lost.to_string()),
        }
    }
}

impl Bucket {
    /// Sends a request until there is a good answer or no use in going on.
    pub(super) async fn exchange(&self, ask: &Ask<'_>) -> Result<Answer, Trouble> {
        let mut deadline = None;
        let mut delays = self.policy().delays();
        let mut renewed = false;
        loop {
            let issued = self.session.issued().await.map_err(Trouble::Never)?;
            // Waiting for STS is not the store's time.
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + ask.patience);
            let trouble = match self.attempt(ask, &issued, deadline).await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            let wait = if is_stale(ask, &trouble) {
                self.session.invalidate(&issued);
                let first = !renewed;
                renewed = true;
                first.then_some(Duration::ZERO)
            } else if may_repeat(ask, &trouble) {
                delays.next_delay()
            } else {
                None
            };
            match wait {
                Some(wait) if Instant::now() + wait < deadline => {
                    tracing::debug!(operation = ask.operation, ?trouble, "request is repeated");
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

    async fn attempt(
        &self,
        ask: &Ask<'_>,
        issued: &Issued,
        deadline: Instant,
    ) -> Result<Answer, Trouble> {
        let mut request = HttpRequest::new(HttpRequestBody::from(ask.body.clone()));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = ask.uri.clone();
        *request.headers_mut() = ask.headers.clone();
        if let Some(progress) = ask.progress {
            request.extensions_mut().insert(progress.clone());
        }
        if let Some(fence) = ask.fence {
            fence.check().map_err(Trouble::Fenced)?;
        }
        // The payload is covered by its checksum, which is a signed header, and by TLS; hashing it
        // again for the signature would cost as much as everything else together.
        AwsAuthorizer::new(&issued.credential, "s3", &self.place.region)
            .with_sign_payload(false)
            .try_authorize(&mut request, None)
            .map_err(|_| never("the request cannot be signed"))?;
        let lost = |what: &str| Trouble::Lost(format!("{}: {what}", ask.operation));
        let answer = match timeout_at(deadline, self.client.execute(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(transport(ask.operation, &error)),
            Err(_) => return Err(lost("no answer in time")),
        };
        if ask.streams && answer.status().is_success() {
            let (parts, body) = answer.into_parts();
            return Ok(Answer {
                headers: parts.headers,
                body: Bytes::new(),
                stream: Some(body),
            });
        }
        match timeout_at(deadline, whole(answer)).await {
            Ok(understood) => understood.map_err(|trouble| match trouble {
                Some(refusal) => Trouble::Refused(refusal),
                None => lost("the answer broke off"),
            }),
            Err(_) => Err(lost("the answer did not end in time")),
        }
    }
}

/// Reads the whole answer; `None`: a success that broke off.
async fn whole(answer: HttpResponse) -> Result<Answer, Option<Refusal>> {
    let (parts, body) = answer.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes);
    let good = parts.status.is_success();
    let body = match body {
        Ok(body) => body,
        Err(_) if good => return Err(None),
        // A refusal is one, whatever became of its text.
        Err(_) => Bytes::new(),
    };
    // Complete may answer 200 and say in the body that it failed.
    let code = xml::code(&body);
    if good && code.is_none() {
        return Ok(Answer {
            headers: parts.headers,
            body,
            stream: None,
        });
    }
    let retry_after = parts.headers.get(http::header::RETRY_AFTER);
    let seconds = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
    Err(Some(Refusal {
        status: parts.status.as_u16(),
        code,
        retry_after: seconds.map(Duration::from_secs),
    }))
}

/// A HEAD's refusal has no body, hence no code: 400 may be an expired token.
fn is_stale(ask: &Ask<'_>, trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Refused(refusal) => {
            refusal.meaning() == Meaning::Stale
                || (ask.method == Method::HEAD && refusal.status == 400)
        }
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

fn never(what: &str) -> Trouble {
    Trouble::Never(Fault::new(ParkReason::DestinationRefused, what))
}

fn transport(operation: &str, error: &HttpError) -> Trouble {
    let fault = transport_fault(operation, error);
    if error.kind() == HttpErrorKind::Connect {
        Trouble::Never(fault)
    } else {
        Trouble::Lost(fault.detail)
    }
}

/// What a transport error says, by its innermost cause: the outer ones only say that something
/// failed.
pub(crate) fn transport_fault(operation: &str, error: &HttpError) -> Fault {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    loop {
        if cause.downcast_ref::<AddressRefused>().is_some() {
            let detail = format!("{operation}: {AddressRefused}");
            return Fault::new(ParkReason::AddressRefused, detail);
        }
        match cause.source() {
            Some(source) => cause = source,
            None => break,
        }
    }
    let what = if error.kind() == HttpErrorKind::Connect {
        "cannot connect"
    } else {
        "the connection broke"
    };
    let detail = format!("{operation}: {what}: {cause}");
    Fault::new(ParkReason::DestinationUnreachable, detail)
}
