//! Entra's tokens: an application in the customer's directory shows its secret and gets a token
//! for Azure Storage, by the client credentials flow of OAuth 2.0.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
use object_store::client::{HttpRequest, HttpRequestBody};
use recording::{Class, Clock, Fault, Operation, ParkReason, RequestResult, Secret};
use serde::Deserialize;
use tokio::time::timeout;

use super::session::{Issued, Session, Source};
use crate::deadline;
use crate::exchange::{Line, encode, transport_fault};

const OPERATION: &str = "token";
/// Microsoft's public cloud.
const AUTHORITY: &str = "https://login.microsoftonline.com";
const SCOPE: &str = "https://storage.azure.com/.default";
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// What is believed of a token's life at most.
const LIFE_MAX: Duration = Duration::from_secs(24 * 3600);

/// An application and its secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Application {
    /// The directory.
    pub(crate) tenant_id: String,
    /// The application.
    pub(crate) client_id: String,
    /// Its secret.
    pub(crate) client_secret: Secret,
}

/// How Entra is reached, and the sessions that are in use.
#[derive(Debug)]
pub(crate) struct Entra {
    line: Line,
    /// An origin.
    authority: String,
    clock: Arc<dyn Clock>,
    /// A token cannot be narrowed, so all buckets of one application share it.
    sessions: Mutex<HashMap<Application, Weak<Session<Secret>>>>,
}

/// One application's tokens.
#[derive(Debug)]
struct Tokens {
    entra: Arc<Entra>,
    application: Application,
}

/// A token, as it is issued. Not `Debug`: it is secret.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Seconds; a text in older answers.
    expires_in: serde_json::Value,
}

/// A refusal. Its prose names tenants and applications and stays unread.
#[derive(Deserialize)]
struct Denied {
    error: String,
    #[serde(default)]
    error_codes: Vec<u32>,
}

impl Entra {
    pub(crate) fn new(line: Line, authority: Option<String>, clock: Arc<dyn Clock>) -> Self {
        let authority = authority.unwrap_or_else(|| AUTHORITY.to_owned());
        Self {
            line,
            authority: authority.trim_end_matches('/').to_owned(),
            clock,
            sessions: Mutex::default(),
        }
    }

    /// The session of an application, shared while anybody uses it.
    pub(crate) fn session(self: &Arc<Self>, application: Application) -> Arc<Session<Secret>> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = sessions.get(&application).and_then(Weak::upgrade) {
            return session;
        }
        sessions.retain(|_, session| session.strong_count() > 0);
        let tokens = Tokens {
            entra: Arc::clone(self),
            application: application.clone(),
        };
        let session = Arc::new(Session::new(Box::new(tokens), Arc::clone(&self.clock)));
        sessions.insert(application, Arc::downgrade(&session));
        session
    }
}

#[async_trait]
impl Source<Secret> for Tokens {
    async fn issue(&self) -> Result<Issued<Secret>, Fault> {
        let request = self.request()?;
        let counted = self.entra.line.counted(Operation::Token);
        let asked = self.exchange(request).await;
        counted.ended(match &asked {
            Ok(_) => RequestResult::Ok,
            Err(fault) if fault.reason == ParkReason::Throttled => RequestResult::Throttled,
            Err(fault) if fault.class() == Class::Destination => RequestResult::Denied,
            Err(_) => RequestResult::Unreachable,
        });
        asked
    }
}

impl Tokens {
    async fn exchange(&self, request: HttpRequest) -> Result<Issued<Secret>, Fault> {
        let asked_at = self.entra.clock.boot();
        let exchange = async {
            let answer = self.entra.line.client.execute(request).await;
            let answer =
                answer.map_err(|error| passing(&transport_fault(OPERATION, &error).detail))?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|_| passing("token: no whole answer"))?;
            Ok((parts.status, body.to_bytes()))
        };
        let Ok(answered) = timeout(deadline::STS, exchange).await else {
            return Err(passing("token: no answer in time"));
        };
        let (status, body) = answered?;
        if !status.is_success() {
            let code = denied(&body).map(|denied| denied.error);
            self.entra.line.refused(Operation::Token, code.as_deref());
            return Err(refusal(status, &body));
        }
        let granted: Option<Granted> = serde_json::from_slice(&body).ok();
        let granted = granted.and_then(|granted| {
            let life = seconds(&granted.expires_in)?;
            Some((Secret::new(granted.access_token), life.min(LIFE_MAX)))
        });
        match granted {
            Some((token, life)) => Ok(Issued::new(token, asked_at, life)),
            None => Err(passing("token: the answer cannot be understood")),
        }
    }

    fn request(&self) -> Result<HttpRequest, Fault> {
        let Application {
            tenant_id,
            client_id,
            client_secret,
        } = &self.application;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
        let is_dots = tenant_id.bytes().all(|b| b == b'.');
        if is_dots || !tenant_id.bytes().all(plain) {
            let detail = "the tenant's id is none";
            return Err(Fault::new(ParkReason::CredentialRefused, detail));
        }
        let secret = client_secret
            .reveal()
            .map_err(|locked| Fault::new(ParkReason::SecretLocked, locked.to_string()))?;
        let form = format!(
            "grant_type=client_credentials&client_id={}&scope={}&client_secret={}",
            encode(client_id),
            encode(SCOPE),
            encode(secret),
        );
        let url = format!("{}/{tenant_id}/oauth2/v2.0/token", self.entra.authority);
        let mut request = HttpRequest::new(HttpRequestBody::from(Bytes::from(form)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() =
            Uri::try_from(url).map_err(|_| passing("the authority's endpoint is no URL"))?;
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        Ok(request)
    }
}

fn seconds(value: &serde_json::Value) -> Option<Duration> {
    let seconds = match value {
        serde_json::Value::Number(number) => number.as_u64(),
        serde_json::Value::String(text) => text.parse().ok(),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => None,
    };
    seconds.map(Duration::from_secs)
}

/// Not the customer's fault: Entra, or the way to it.
fn passing(detail: &str) -> Fault {
    Fault::new(ParkReason::DestinationUnreachable, detail)
}

/// A refusal that names itself by a word.
fn denied(body: &[u8]) -> Option<Denied> {
    let word = |text: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        text.len() <= 64 && text.bytes().all(plain)
    };
    let denied: Option<Denied> = serde_json::from_slice(body).ok();
    denied.filter(|denied| word(&denied.error))
}

/// What Entra's refusal means: about the application, or about the moment.
fn refusal(status: StatusCode, body: &[u8]) -> Fault {
    let denied = denied(body);
    let mut detail = format!("{OPERATION}: {}", status.as_u16());
    if let Some(denied) = &denied {
        detail = format!("{detail} {}", denied.error);
        if let Some(code) = denied.error_codes.first() {
            detail = format!("{detail} AADSTS{code}");
        }
    }
    let error = denied.map(|denied| denied.error).unwrap_or_default();
    let reason = match (status.as_u16(), error.as_str()) {
        (429, _) => ParkReason::Throttled,
        (
            400 | 401 | 403,
            "invalid_client"
            | "unauthorized_client"
            | "invalid_request"
            | "invalid_grant"
            | "invalid_scope"
            | "invalid_resource"
            | "access_denied"
            | "interaction_required",
        ) => ParkReason::CredentialRefused,
        // Entra is broken, or somebody else answered in its place.
        _ => ParkReason::DestinationUnreachable,
    };
    Fault::new(reason, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_tell_the_application_from_the_moment_and_repeat_no_prose() {
        use ParkReason::{CredentialRefused, DestinationUnreachable, Throttled};
        let table = [
            (401, "invalid_client", CredentialRefused),
            (400, "unauthorized_client", CredentialRefused),
            (400, "invalid_request", CredentialRefused),
            (400, "temporarily_unavailable", DestinationUnreachable),
            (503, "temporarily_unavailable", DestinationUnreachable),
            (429, "", Throttled),
            (404, "", DestinationUnreachable),
        ];
        for (status, error, reason) in table {
            let body = format!(
                "{{\"error\":\"{error}\",\"error_description\":\"prose\",\
                 \"error_codes\":[7000215]}}"
            );
            let status = StatusCode::from_u16(status).unwrap();
            let fault = refusal(status, body.as_bytes());
            assert_eq!(fault.reason, reason, "{status} {error}");
            assert!(!fault.detail.contains("prose"));
        }
        let fault = refusal(
            StatusCode::UNAUTHORIZED,
            br#"{"error":"invalid_client","error_codes":[7000222]}"#,
        );
        assert_eq!(fault.detail, "token: 401 invalid_client AADSTS7000222");
        let html = refusal(StatusCode::BAD_GATEWAY, b"<html>");
        assert_eq!(html.reason, DestinationUnreachable);
    }

    #[test]
    fn a_tokens_life_is_a_number_or_a_text() {
        let life = |json: &str| seconds(&serde_json::from_str(json).unwrap());
        assert_eq!(life("3599"), Some(Duration::from_secs(3599)));
        assert_eq!(life("\"3599\""), Some(Duration::from_secs(3599)));
        assert_eq!(life("null"), None);
    }
}
