//! How S3's requests are signed, and its refusals read.

use std::sync::Arc;

use http::{HeaderMap, Method};
use object_store::aws::AwsAuthorizer;
use object_store::client::HttpRequest;
use recording::{Fault, ParkReason};

use super::bucket::Bucket;
use super::classify::{Meaning, refusal};
use super::xml;
use crate::credentials::Issued;
use crate::exchange::{Answer, Answered, Refusal, Signer};

pub(super) use crate::exchange::{Ask, Repeat, Trouble};

/// The code that a refusal gets whose text says that an object is locked. S3 has none: it denies,
/// as it does for want of a permission.
pub(super) const OBJECT_LOCKED: &str = "ObjectLocked";

fn says_locked(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    text.contains("object lock") || text.contains("worm protected")
}

impl Bucket {
    /// Sends a request until there is a good answer or no use in going on.
    pub(super) async fn exchange(&self, ask: &Ask<'_>) -> Result<Answer, Trouble> {
        self.line.exchange(self, ask).await
    }
}

impl Signer for Bucket {
    type Credential = Arc<Issued>;

    async fn credential(&self) -> Result<Arc<Issued>, Fault> {
        self.session.issued().await
    }

    fn sign(&self, request: &mut HttpRequest, issued: &Arc<Issued>) -> Result<(), Fault> {
        // The payload is covered by its checksum, which is a signed header, and by TLS; hashing it
        // again for the signature would cost as much as everything else together.
        AwsAuthorizer::new(&issued.credential, "s3", &self.place.region)
            .with_sign_payload(false)
            .try_authorize(request, None)
            .map_err(|_| {
                let detail = "the request cannot be signed";
                Fault::new(ParkReason::DestinationRefused, detail)
            })
    }

    fn renew(&self, stale: &Arc<Issued>) -> bool {
        self.session.invalidate(stale);
        true
    }

    fn understand(&self, _: &Ask<'_>, answered: Answered) -> Refusal {
        refusal(answered)
    }

    fn code(&self, _: &HeaderMap, body: &[u8]) -> Option<String> {
        let code = xml::code(body)?;
        Some(match says_locked(body) {
            true => OBJECT_LOCKED.to_owned(),
            false => code,
        })
    }

    /// A HEAD's refusal has no body, hence no code: 400 may be an expired token.
    fn is_stale(&self, ask: &Ask<'_>, refusal: &Refusal) -> bool {
        refusal.meaning() == Meaning::Stale || (ask.method == Method::HEAD && refusal.status == 400)
    }
}
