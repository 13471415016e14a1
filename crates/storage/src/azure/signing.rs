//! How Azure's requests are authorized, and its refusals read.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderValue, Uri, header};
use object_store::client::HttpRequest;
use recording::{Fault, Locked, Operation, ParkReason, Secret};

use super::classify::refusal;
use super::container::{Blob, Identity};
use super::sas::{self, Grant};
use crate::credentials::Issued;
use crate::exchange::{Answered, Ask, Meaning, Refusal, Signer, unusable};
use crate::s3::{error_code, plain_code};

/// What one request is authorized with.
pub(super) enum Credential {
    /// What the query ends with.
    Query(Secret),
    /// A token.
    Bearer(Arc<Issued<Secret>>),
}

pub(super) fn locked(locked: &Locked) -> Fault {
    Fault::new(ParkReason::SecretLocked, locked.to_string())
}

/// Authorizes a request with a token.
pub(super) fn bearer(
    request: &mut HttpRequest,
    issued: &Issued<Secret>,
    now: DateTime<Utc>,
) -> Result<(), Fault> {
    let cannot = || unusable("the request cannot be signed");
    let token = issued.credential.reveal().map_err(|it| locked(&it))?;
    let value = HeaderValue::from_str(&format!("Bearer {token}"));
    let mut value = value.map_err(|_| cannot())?;
    value.set_sensitive(true);
    request.headers_mut().insert(header::AUTHORIZATION, value);
    let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let date = HeaderValue::from_str(&date).map_err(|_| cannot())?;
    request.headers_mut().insert("x-ms-date", date);
    Ok(())
}

/// Azure names its codes in a header, so that a HEAD has one too.
pub(super) fn code(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let named = headers.get("x-ms-error-code");
    match named.and_then(|code| code.to_str().ok()) {
        Some(code) => plain_code(code.to_owned()),
        None => error_code(body),
    }
}

impl Signer for Blob<'_> {
    type Credential = Credential;

    async fn credential(&self) -> Result<Credential, Fault> {
        let container = self.container;
        match &container.identity {
            Identity::AccessKey(key) => {
                let key = key.reveal().map_err(|it| locked(&it))?;
                let now = container.clock.now();
                let minted = sas::mint(&container.place, self.key, self.grant, key, now)?;
                Ok(Credential::Query(minted))
            }
            Identity::Sas(token) => {
                let token = token.reveal().map_err(|it| locked(&it))?;
                let token = sas::given(token)?;
                Ok(Credential::Query(Secret::new(token.to_owned())))
            }
            Identity::Token(session) => session.issued().await.map(Credential::Bearer),
        }
    }

    fn sign(&self, request: &mut HttpRequest, credential: &Credential) -> Result<(), Fault> {
        let cannot = || unusable("the request cannot be signed");
        match credential {
            Credential::Query(query) => {
                let query = query.reveal().map_err(|it| locked(&it))?;
                let between = match request.uri().query() {
                    Some(_) => '&',
                    None => '?',
                };
                let signed = format!("{}{between}{query}", request.uri());
                *request.uri_mut() = Uri::try_from(signed).map_err(|_| cannot())?;
            }
            Credential::Bearer(issued) => bearer(request, issued, self.container.clock.now())?,
        }
        Ok(())
    }

    fn renew(&self, stale: &Credential) -> bool {
        match (&self.container.identity, stale) {
            (Identity::Token(session), Credential::Bearer(issued)) => {
                session.invalidate(issued);
                true
            }
            // A key or a signature that is refused stays so.
            (Identity::AccessKey(_) | Identity::Sas(_) | Identity::Token(_), _) => false,
        }
    }

    fn understand(&self, ask: &Ask<'_>, answered: Answered) -> Refusal {
        let mut refusal = refusal(answered);
        let code = refusal.code.as_deref().unwrap_or_default();
        match &self.container.identity {
            // Our own signature allows all that the request needs, but to overwrite.
            Identity::AccessKey(_)
                if self.grant == Grant::Create
                    && ask.operation == Operation::Put
                    && code == "AuthorizationPermissionMismatch" =>
            {
                refusal.meaning = Meaning::Taken;
            }
            Identity::Sas(token) if matches!(refusal.status, 401 | 403) => {
                let end = token.reveal().ok().and_then(sas::expiry);
                if let Some(end) = end.filter(|end| *end <= self.container.clock.now()) {
                    refusal.meaning = Meaning::Refused(ParkReason::CredentialRefused);
                    refusal.hint = Some(format!("(the SAS expired at {})", end.to_rfc3339()));
                }
            }
            Identity::AccessKey(_) | Identity::Sas(_) | Identity::Token(_) => {}
        }
        refusal
    }

    fn code(&self, headers: &HeaderMap, body: &[u8]) -> Option<String> {
        code(headers, body)
    }

    fn is_stale(&self, _: &Ask<'_>, refusal: &Refusal) -> bool {
        refusal.meaning() == Meaning::Refused(ParkReason::CredentialRefused)
    }
}
