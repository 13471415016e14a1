//! Requests without any credential of ours: knocking at an endpoint, and following a signed URL as
//! a customer's browser does.

use http::{HeaderMap, HeaderValue, Method, Uri, header};
use object_store::client::HttpRequest;
use recording::{Fault, Operation};

use crate::exchange::{Answer, Answered, Ask, Line, Refusal, Signer, Trouble};
use crate::s3::{error_code, plain_code};

/// How a cloud's refusals are understood.
pub(super) type Understand = fn(Answered) -> Refusal;

/// Nobody.
struct Nobody(Understand);

impl Signer for Nobody {
    type Credential = ();

    async fn credential(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn sign(&self, _: &mut HttpRequest, (): &()) -> Result<(), Fault> {
        Ok(())
    }

    fn renew(&self, (): &()) -> bool {
        false
    }

    fn understand(&self, _: &Ask<'_>, answered: Answered) -> Refusal {
        (self.0)(answered)
    }

    fn code(&self, headers: &HeaderMap, body: &[u8]) -> Option<String> {
        let named = headers.get("x-ms-error-code");
        match named.and_then(|code| code.to_str().ok()) {
            Some(code) => plain_code(code.to_owned()),
            None => error_code(body),
        }
    }
}

/// Asks whether anybody answers. Any refusal is an answer: some stores break at a request without
/// a credential.
///
/// # Errors
/// Nobody answers.
pub(super) async fn knock(line: &Line, uri: Uri, understand: Understand) -> Result<(), Fault> {
    let ask = Ask::new(Operation::Look, Method::HEAD, uri, HeaderMap::new());
    match line.exchange(&Nobody(understand), &ask).await {
        Ok(_) | Err(Trouble::Refused(_)) => Ok(()),
        Err(trouble) => Err(trouble.fault(Operation::Look)),
    }
}

/// Follows a signed URL for the first `bytes` bytes.
pub(super) async fn follow(
    line: &Line,
    uri: Uri,
    bytes: usize,
    understand: Understand,
) -> Result<Answer, Trouble> {
    let mut headers = HeaderMap::new();
    let range = format!("bytes=0-{}", bytes.saturating_sub(1));
    if let Ok(range) = HeaderValue::from_str(&range) {
        headers.insert(header::RANGE, range);
    }
    let ask = Ask::new(Operation::ReadBack, Method::GET, uri, headers);
    line.exchange(&Nobody(understand), &ask).await
}
