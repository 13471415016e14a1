//! What every request passes on its way in and out: naming, faults, the record.

use std::sync::Arc;

use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use quick_xml::escape::escape;
use s3s::service::S3Service;
use s3s::{Body, HttpError};
use tokio::time::sleep;

use super::access::claimed_key;
use super::emulator::Spoil;
use super::faults::{Plan, Step};
use super::history::Ticket;
use super::iam;
use super::lab::Lab;
use super::operation::{Operation, Target};
use super::pace::Pace;
use super::signature;
use super::sts;

/// The way in.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) lab: Arc<Lab>,
    pub(crate) s3: S3Service,
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed on purpose, or the request could not be read")]
pub(crate) struct Closed;

impl Front {
    /// Answers one request.
    pub(crate) async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Closed> {
        let (head, body) = request.into_parts();
        let mut target = Target::read(&head.method, &head.uri, &head.headers);
        let is_sts = sts::is_sts(&head.method, &head.uri);
        let mut body = Body::from(body);
        if is_sts {
            let read = Limited::new(body, sts::BODY_BYTES_MAX).collect().await;
            let form = read.map_err(|_| Closed)?.to_bytes();
            target.operation = match sts::parameter(&form, "Action").as_deref() {
                Some("AssumeRole") => Operation::AssumeRole,
                Some(_) | None => Operation::Other,
            };
            target.key = sts::parameter(&form, "RoleArn");
            body = Body::from(form);
        }
        let key = claimed_key(&head.headers, &head.uri);
        let caller = self.lab.directory.caller(key);
        let plan = self.lab.faults.plan(&target);
        let ticket = self
            .lab
            .history
            .begin(target, caller, content_length(&head.headers));
        if is_sts && signature::service(&head.headers) == Some("iam") {
            let form = BodyExt::collect(body).await.map_err(|_| Closed)?.to_bytes();
            let (status, document) = iam::respond(&self.lab.directory, &head.headers, &form);
            return Ok(noted(xml(status, document), ticket));
        }
        let request = Request::from_parts(head, body);
        let response = self.carry_out(request, plan, is_sts).await?;
        Ok(noted(response, ticket))
    }

    async fn carry_out(
        &self,
        mut request: Request<Body>,
        plan: Plan,
        is_sts: bool,
    ) -> Result<Response<Body>, Closed> {
        if let Some(refusal) = happen(plan.before, is_sts).await? {
            // Read to its end, so that the client is not cut off while it still sends.
            let mut body = request.into_body();
            while let Some(Ok(_)) = body.frame().await {}
            return Ok(refusal);
        }
        if let Some(damage) = plan.damage {
            request.extensions_mut().insert(Spoil(damage));
        }
        let own = plan.bytes_per_second.map(Pace::of);
        let shared = Some(self.lab.pace.clone()).filter(Pace::is_slow);
        for pace in own.iter().chain(&shared) {
            request = request.map(|body| pace.keep(body));
        }
        let answered = self.s3.call(request).await;
        let mut response = answered.map_err(|_: HttpError| Closed)?;
        if is_sts {
            response = in_sts_form(response).await?;
        }
        if let Some(refusal) = happen(plan.after, is_sts).await? {
            response = refusal;
        }
        for pace in own.iter().chain(&shared) {
            response = response.map(|body| pace.keep(body));
        }
        Ok(response)
    }
}

/// Lets the steps happen; an answer ends them.
async fn happen(steps: Vec<Step>, is_sts: bool) -> Result<Option<Response<Body>>, Closed> {
    for step in steps {
        match step {
            Step::Wait(time) => sleep(time).await,
            Step::Hang(mut gate) => {
                // A gate that is gone was opened by being cleared.
                if gate.wait_for(|open| *open).await.is_err() {
                    tracing::debug!("the rule a request hung on is gone");
                }
            }
            Step::Close => return Err(Closed),
            Step::Refuse(status, code) => {
                let status = StatusCode::from_u16(status).map_err(|_| Closed)?;
                return Ok(Some(refusal(status, &code, is_sts)));
            }
            Step::RefuseInBody(code) => {
                return Ok(Some(refusal(StatusCode::OK, &code, is_sts)));
            }
        }
    }
    Ok(None)
}

fn refusal(status: StatusCode, code: &str, is_sts: bool) -> Response<Body> {
    const MESSAGE: &str = "the laboratory was told to fail";
    let document = if is_sts {
        sts::error_document(code, MESSAGE)
    } else {
        let code = escape(code);
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <Error><Code>{code}</Code><Message>{MESSAGE}</Message></Error>"
        )
    };
    xml(status, document)
}

fn xml(status: StatusCode, document: String) -> Response<Body> {
    let mut response = Response::new(Body::from(document));
    *response.status_mut() = status;
    let content_type = http::HeaderValue::from_static("application/xml");
    response.headers_mut().insert("content-type", content_type);
    response
}

/// The library refuses signatures in S3's form; STS has another.
async fn in_sts_form(response: Response<Body>) -> Result<Response<Body>, Closed> {
    if response.status().is_success() {
        return Ok(response);
    }
    let (head, body) = response.into_parts();
    let read = BodyExt::collect(body).await;
    let bytes = read.map_err(|_| Closed)?.to_bytes();
    Ok(match sts::translated(head.status, &bytes) {
        Some((status, document)) => xml(status, document),
        None => Response::from_parts(head, Body::from(bytes)),
    })
}

fn noted(response: Response<Body>, ticket: Ticket<'_>) -> Response<Body> {
    let status = response.status();
    let bytes = response.body().bytes();
    let is_error = bytes.as_ref().is_some_and(|it| it.starts_with(b"<"));
    let code = bytes.filter(|_| is_error).and_then(|bytes| {
        let text = String::from_utf8_lossy(&bytes);
        let failed = !status.is_success() || text.contains("<Error>");
        let code = sts::element(&text, "Code").map(ToOwned::to_owned);
        code.filter(|_| failed)
    });
    let size = response.body().size_hint().exact();
    let size = size.unwrap_or_else(|| content_length(response.headers()));
    ticket.answered(status.as_u16(), code, size);
    response
}

fn content_length(headers: &HeaderMap) -> u64 {
    let value = headers.get("content-length");
    let text = value.and_then(|value| value.to_str().ok());
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}
