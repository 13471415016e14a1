//! The public keys that tokens are verified with, from the identity provider's https address: the
//! operator's client, which follows no redirect, with a limit for time and size.

use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use tokio::time::timeout;

use super::Stores;

/// How long the whole answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer. A set of keys has a few kilobytes.
const BYTES_MAX: usize = 256 * 1024;

/// Why the keys could not be read. Says nothing of the address, which may carry a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetFault {
    /// The address is none.
    #[error("its address cannot be asked")]
    Address,
    /// No connection, or it broke off.
    #[error("it was not reached, or broke off: {0}")]
    Unreachable(String),
    /// Too slow.
    #[error("it did not answer in {} s", PATIENCE.as_secs())]
    Slow,
    /// An answer that is none, a redirect for instance.
    #[error("it answered {0}, and redirects are not followed")]
    Status(u16),
    /// Too long, or no text.
    #[error("its answer is no text of at most {BYTES_MAX} bytes")]
    Unreadable,
}

/// An address that publishes a set of public keys.
#[derive(Debug, Clone)]
pub struct KeySetSource {
    client: HttpClient,
    address: String,
}

impl Stores {
    /// The keys that are published at `address`. Nothing is asked yet.
    #[must_use]
    pub fn key_set(&self, address: &str) -> KeySetSource {
        KeySetSource {
            client: self.shared.clients.operator.clone(),
            address: address.to_owned(),
        }
    }
}

impl KeySetSource {
    /// Reads the set as it is now.
    ///
    /// # Errors
    /// It cannot be had.
    pub async fn read(&self) -> Result<String, KeySetFault> {
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = self.address.parse().map_err(|_| KeySetFault::Address)?;
        let wanted = HeaderValue::from_static("application/jwk-set+json, application/json");
        request.headers_mut().insert(header::ACCEPT, wanted);
        let answered = timeout(PATIENCE, self.answered(request)).await;
        answered.unwrap_or(Err(KeySetFault::Slow))
    }

    async fn answered(&self, request: HttpRequest) -> Result<String, KeySetFault> {
        let answer = self.client.execute(request).await;
        let answer = answer.map_err(|error| KeySetFault::Unreachable(error.to_string()))?;
        if answer.status() != StatusCode::OK {
            return Err(KeySetFault::Status(answer.status().as_u16()));
        }
        let body = Limited::new(answer.into_body(), BYTES_MAX).collect().await;
        let bytes = body.map_err(|_| KeySetFault::Unreadable)?.to_bytes();
        String::from_utf8(bytes.to_vec()).map_err(|_| KeySetFault::Unreadable)
    }
}
