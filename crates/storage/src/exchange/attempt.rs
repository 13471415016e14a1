//! One attempt at a request, counted however it ends.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method};
use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpRequestBody};
use recording::{Cloud, Fault, Meter, Operation, ParkReason, RequestResult, StoreCode};
use tokio::time::{Instant, timeout_at};

use super::answer::{Answer, Read, whole};
use super::{Answered, Ask, Line, Signer, Trouble};
use crate::connector::address::AddressRefused;

impl Line {
    pub(super) async fn attempt<S: Signer>(
        &self,
        signer: &S,
        ask: &Ask<'_>,
        credential: &S::Credential,
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
        signer
            .sign(&mut request, credential)
            .map_err(Trouble::Never)?;
        // hyper says nothing of a body that is empty, and Azure wants to be told.
        if ask.body.is_empty() && ask.method == Method::PUT {
            let none = HeaderValue::from_static("0");
            request.headers_mut().insert(CONTENT_LENGTH, none);
        }
        let counted = self.counted(ask.operation);
        let ended = self.answered(signer, ask, request, deadline).await;
        if let Err(Trouble::Refused(refusal)) = &ended {
            self.refused(ask.operation, refusal.code.as_deref());
        }
        counted.ended(match &ended {
            Ok(_) => RequestResult::Ok,
            Err(Trouble::Refused(refusal)) => refusal.result(),
            Err(Trouble::Never(fault)) if fault.reason == ParkReason::AddressRefused => {
                RequestResult::Refused
            }
            Err(Trouble::Never(_)) => RequestResult::Unreachable,
            Err(Trouble::Lost(_) | Trouble::Fenced(_)) => RequestResult::Lost,
        });
        ended
    }

    async fn answered<S: Signer>(
        &self,
        signer: &S,
        ask: &Ask<'_>,
        request: HttpRequest,
        deadline: Instant,
    ) -> Result<Answer, Trouble> {
        let lost = |what: &str| Trouble::Lost(format!("{}: {what}", ask.operation.as_str()));
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
        let read = timeout_at(deadline, whole(answer, ask.answer_bytes_max)).await;
        let Ok(Read {
            status,
            headers,
            body,
        }) = read
        else {
            return Err(lost("the answer did not end in time"));
        };
        let good = status.is_success();
        let body = match body {
            Some(body) => body,
            None if good => return Err(lost("the answer broke off")),
            // A refusal is one, whatever became of its text.
            None => Bytes::new(),
        };
        // S3's complete may answer 200 and say in the body that it failed.
        let code = signer.code(&headers, &body);
        if good && code.is_none() {
            return Ok(Answer {
                headers,
                body,
                stream: None,
            });
        }
        let retry_after = headers.get(http::header::RETRY_AFTER);
        let seconds = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        let answered = Answered {
            status: status.as_u16(),
            code,
            retry_after: seconds.map(Duration::from_secs),
        };
        Err(Trouble::Refused(signer.understand(ask, answered)))
    }

    /// Counts the code of a refusal.
    pub(crate) fn refused(&self, operation: Operation, code: Option<&str>) {
        let code = StoreCode::named(self.cloud, code);
        self.meter.store_refused(self.cloud, operation, code);
    }

    /// Begins to count a request. One that is given up half-way counts as lost.
    pub(crate) fn counted(&self, operation: Operation) -> Counted {
        Counted {
            meter: Arc::clone(&self.meter),
            cloud: self.cloud,
            operation,
            result: RequestResult::Lost,
            begun: Instant::now(),
        }
    }
}

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Counted {
    meter: Arc<dyn Meter>,
    cloud: Cloud,
    operation: Operation,
    result: RequestResult,
    begun: Instant,
}

impl Counted {
    /// It ended like this.
    pub(crate) fn ended(mut self, result: RequestResult) {
        self.result = result;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let took = self.begun.elapsed();
        self.meter
            .store_request(self.cloud, self.operation, self.result, took);
    }
}

fn transport(operation: Operation, error: &HttpError) -> Trouble {
    let fault = transport_fault(operation.as_str(), error);
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
        if let Some(refused) = cause.downcast_ref::<AddressRefused>() {
            let detail = format!("{operation}: {refused}");
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
