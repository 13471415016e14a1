//! One request to a service that issues credentials, STS or Entra, and its whole answer.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Limited};
use object_store::client::HttpRequest;
use recording::{Fault, ParkReason};
use tokio::time::timeout;

use crate::deadline;
use crate::exchange::{Line, transport_fault};

const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// An answer, good or not.
pub(super) struct Told {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Asks for `what`, once.
///
/// # Errors
/// Nobody answered whole and in time; whatever the reason, it is none that the customer could
/// repair.
pub(super) async fn ask(line: &Line, what: &str, request: HttpRequest) -> Result<Told, Fault> {
    let passing = |why: &str| Fault::new(ParkReason::DestinationUnreachable, why);
    let exchange = async {
        let answer = line.client.execute(request).await;
        let answer = answer.map_err(|error| passing(&transport_fault(what, &error).detail))?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|_| passing(&format!("{what}: no whole answer")))?;
        Ok(Told {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
        })
    };
    match timeout(deadline::STS, exchange).await {
        Ok(told) => told,
        Err(_) => Err(passing(&format!("{what}: no answer in time"))),
    }
}
