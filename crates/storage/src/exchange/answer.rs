//! Answers: read whole within bounds, or drained and hashed while they come.

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Limited};
use object_store::client::{HttpResponse, HttpResponseBody};
use recording::{Digests, Fault, ParkReason};
use tokio::time::timeout;

use crate::deadline;
use crate::digest::Hashing;

/// A good answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// The body, unless the request streams.
    pub(crate) body: Bytes,
    /// The body of a request that streams.
    pub(crate) stream: Option<HttpResponseBody>,
}

impl Answer {
    /// A header's text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// An answer that was read, good or not. The body is `None` if it broke off or was too long.
pub(super) struct Read {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
}

/// Reads the whole answer.
pub(super) async fn whole(answer: HttpResponse, most: usize) -> Read {
    let (parts, body) = answer.into_parts();
    let body = Limited::new(body, most).collect().await;
    Read {
        status: parts.status,
        headers: parts.headers,
        body: body.ok().map(http_body_util::Collected::to_bytes),
    }
}

/// Reads a copy's body and hashes it; it must have exactly this size.
///
/// # Errors
/// It broke off, did not end in time, or is longer than the look said.
pub(crate) async fn digest_body(answer: Answer, size_bytes: u64) -> Result<Digests, Fault> {
    let reading = async {
        let mut hashing = Hashing::new();
        let mut left = size_bytes;
        if let Some(body) = answer.stream {
            let mut chunks = body.bytes_stream();
            while let Some(chunk) = chunks.next().await {
                let chunk = chunk.map_err(|_| broke_off())?;
                let len = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                left = left.checked_sub(len).ok_or_else(changed)?;
                hashing.update(&chunk);
            }
        }
        if left == 0 {
            Ok(hashing.finish())
        } else {
            Err(broke_off())
        }
    };
    match timeout(deadline::moving(size_bytes, 1), reading).await {
        Ok(done) => done,
        Err(_) => Err(Fault::new(
            ParkReason::DestinationUnreachable,
            "read_back: did not end in time",
        )),
    }
}

/// The object is another one than the look saw.
pub(crate) fn changed() -> Fault {
    let detail = "read_back: the object changed since the look";
    Fault::new(ParkReason::OutcomeUnknown, detail)
}

fn broke_off() -> Fault {
    let detail = "read_back: the answer broke off";
    Fault::new(ParkReason::DestinationUnreachable, detail)
}
