//! AssumeRole: a request of our own, signed with the base identity.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpRequest, HttpRequestBody};
use recording::{Class, Clock, Fault, Operation, ParkReason, RequestResult};

use super::service::{self, Told};
use super::session::{Issued, Session, Source};
use crate::exchange::{Line, encode};
use crate::s3::{AssumedRole, error_code, is_throttling, parse};

const OPERATION: &str = "assume role";
/// What is asked for; more is refused to an identity that is a role itself.
const LIFE: Duration = Duration::from_secs(3600);
/// What is asked for of a role whose sessions must be shorter: the least that STS gives.
const LIFE_SHORT: Duration = Duration::from_secs(900);

/// How STS is reached.
#[derive(Debug)]
pub(crate) struct Sts {
    pub(super) line: Line,
    /// An origin; `None` means AWS's own for the region.
    endpoint: Option<String>,
    base: Arc<Session>,
    clock: Arc<dyn Clock>,
}

/// One role, assumed for one purpose.
#[derive(Debug)]
pub(crate) struct Role {
    /// How STS is reached.
    pub(crate) sts: Arc<Sts>,
    /// Region of the STS endpoint.
    pub(crate) region: String,
    /// The role.
    pub(crate) arn: String,
    /// The external id that we minted for the account.
    pub(crate) external_id: Option<String>,
    /// What the session is narrowed to.
    pub(crate) policy: String,
    /// The session's name.
    pub(crate) session_name: String,
    /// Whether the role is known to give short sessions only.
    pub(crate) short: AtomicBool,
}

/// STS's refusal, or no answer.
enum Refused {
    /// Our own token has run out: worth one renewal.
    Stale,
    /// The role's sessions must be shorter than was asked for.
    TooLong(Fault),
    Fault(Fault),
}

impl Refused {
    fn result(&self) -> RequestResult {
        match self {
            Self::Stale | Self::TooLong(_) => RequestResult::Denied,
            Self::Fault(fault) if fault.reason == ParkReason::Throttled => RequestResult::Throttled,
            Self::Fault(fault) if fault.class() == Class::Destination => RequestResult::Denied,
            Self::Fault(_) => RequestResult::Unreachable,
        }
    }
}

impl Sts {
    pub(crate) fn new(
        line: Line,
        endpoint: Option<String>,
        base: Arc<Session>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            line,
            endpoint,
            base,
            clock,
        }
    }

    /// Our own identity, for destinations without a role.
    pub(crate) fn base(&self) -> Arc<Session> {
        Arc::clone(&self.base)
    }

    pub(super) fn uri(&self, region: &str) -> Result<Uri, Fault> {
        let url = match &self.endpoint {
            Some(origin) => format!("{}/", origin.trim_end_matches('/')),
            None if region.starts_with("cn-") => format!("https://sts.{region}.amazonaws.com.cn/"),
            None => format!("https://sts.{region}.amazonaws.com/"),
        };
        Uri::try_from(url).map_err(|_| passing("the STS endpoint is no URL"))
    }
}

#[async_trait]
impl Source for Role {
    async fn issue(&self) -> Result<Issued, Fault> {
        let (mut renewed, mut shortened) = (false, false);
        loop {
            let base = self.sts.base.issued().await?;
            match self.ask(&base.credential).await {
                Ok(issued) => return Ok(issued),
                Err(Refused::Stale) if !renewed => {
                    renewed = true;
                    self.sts.base.invalidate(&base);
                }
                Err(Refused::TooLong(_)) if !shortened => {
                    shortened = true;
                    self.short.store(true, Ordering::Relaxed);
                }
                Err(Refused::Stale) => {
                    return Err(passing("assume role: our own identity is refused"));
                }
                Err(Refused::TooLong(fault) | Refused::Fault(fault)) => return Err(fault),
            }
        }
    }
}

impl Role {
    async fn ask(&self, base: &AwsCredential) -> Result<Issued, Refused> {
        let request = self.request(base).map_err(Refused::Fault)?;
        let counted = self.sts.line.counted(Operation::Token);
        let asked = self.exchange(request).await;
        counted.ended(match &asked {
            Ok(_) => RequestResult::Ok,
            Err(refused) => refused.result(),
        });
        asked
    }

    async fn exchange(&self, request: HttpRequest) -> Result<Issued, Refused> {
        let asked_at = self.sts.clock.boot();
        let told = service::ask(&self.sts.line, OPERATION, request).await;
        let Told {
            status,
            headers,
            body,
        } = told.map_err(Refused::Fault)?;
        if !status.is_success() {
            let code = error_code(&body);
            self.sts.line.refused(Operation::Token, code.as_deref());
            return Err(refusal(status, &body));
        }
        let unclear = || Refused::Fault(passing("assume role: the answer cannot be understood"));
        let assumed: AssumedRole = parse(&body).ok_or_else(unclear)?;
        let granted = assumed.result.credentials;
        let end = DateTime::parse_from_rfc3339(&granted.expiration).map_err(|_| unclear())?;
        // By the server's own clock, where it tells it: ours may be wrong.
        let now = server_time(&headers).unwrap_or_else(|| self.sts.clock.now());
        let life = end.with_timezone(&Utc).signed_duration_since(now);
        let life = life.to_std().unwrap_or_default().min(LIFE);
        let credential = AwsCredential {
            key_id: granted.access_key_id,
            secret_key: granted.secret_access_key,
            token: Some(granted.session_token),
        };
        Ok(Issued::new(credential, asked_at, life))
    }

    fn request(&self, base: &AwsCredential) -> Result<HttpRequest, Fault> {
        let life = match self.short.load(Ordering::Relaxed) {
            true => LIFE_SHORT,
            false => LIFE,
        };
        let seconds = life.as_secs().to_string();
        let mut form = String::from("Action=AssumeRole&Version=2011-06-15");
        let mut field = |name: &str, value: &str| {
            form.push('&');
            form.push_str(name);
            form.push('=');
            form.push_str(&encode(value));
        };
        field("RoleArn", &self.arn);
        field("RoleSessionName", &self.session_name);
        field("DurationSeconds", &seconds);
        field("Policy", &self.policy);
        if let Some(external_id) = &self.external_id {
            field("ExternalId", external_id);
        }
        let mut request = HttpRequest::new(HttpRequestBody::from(Bytes::from(form)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.sts.uri(&self.region)?;
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        AwsAuthorizer::new(base, "sts", &self.region)
            .try_authorize(&mut request, None)
            .map_err(|_| passing("assume role: the request cannot be signed"))?;
        Ok(request)
    }
}

fn server_time(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let date = headers.get(header::DATE)?.to_str().ok()?;
    let date = DateTime::parse_from_rfc2822(date).ok()?;
    Some(date.with_timezone(&Utc))
}

/// Not the customer's fault: STS, the way to it, or our own identity.
fn passing(detail: &str) -> Fault {
    Fault::new(ParkReason::DestinationUnreachable, detail)
}

/// What STS's refusal means: about the role, about us, or about the moment.
fn refusal(status: StatusCode, body: &[u8]) -> Refused {
    let code = error_code(body).unwrap_or_default();
    let detail = format!("{OPERATION}: {} {code}", status.as_u16());
    let reason = match code.as_str() {
        "ExpiredToken" | "ExpiredTokenException" => return Refused::Stale,
        code if is_throttling(code) => ParkReason::Throttled,
        "AccessDenied"
        | "AccessDeniedException"
        | "ValidationError"
        | "NoSuchEntity"
        | "MalformedPolicyDocument"
        | "PackedPolicyTooLarge"
        | "RegionDisabledException" => ParkReason::RoleNotAssumable,
        // Our own keys are unknown or wrong, our clock is, STS is broken, or somebody else answered
        // in its place: nothing the customer could repair.
        _ => ParkReason::DestinationUnreachable,
    };
    let fault = Fault::new(reason, detail);
    // The role's own limit, which is told apart by STS's prose only.
    if code == "ValidationError" && contains(body, b"DurationSeconds") {
        return Refused::TooLong(fault);
    }
    Refused::Fault(fault)
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(status: u16, code: &str) -> Option<ParkReason> {
        let body = format!("<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>");
        match refusal(StatusCode::from_u16(status).unwrap(), body.as_bytes()) {
            Refused::Stale => None,
            Refused::TooLong(fault) | Refused::Fault(fault) => Some(fault.reason),
        }
    }

    #[test]
    fn a_role_of_short_sessions_is_told_from_one_that_cannot_be_assumed() {
        let refused = |message: &str| {
            let body = format!(
                "<ErrorResponse><Error><Code>ValidationError</Code>\
                 <Message>{message}</Message></Error></ErrorResponse>"
            );
            refusal(StatusCode::BAD_REQUEST, body.as_bytes())
        };
        let long =
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
        assert!(matches!(refused(long), Refused::TooLong(_)));
        assert!(matches!(refused("RoleArn is invalid"), Refused::Fault(_)));
    }

    #[test]
    fn refusals_tell_the_role_from_us_and_from_the_moment() {
        use ParkReason::{DestinationUnreachable, RoleNotAssumable, Throttled};
        let table = [
            (403, "AccessDenied", Some(RoleNotAssumable)),
            (400, "ValidationError", Some(RoleNotAssumable)),
            (400, "PackedPolicyTooLarge", Some(RoleNotAssumable)),
            (403, "RegionDisabledException", Some(RoleNotAssumable)),
            (403, "InvalidClientTokenId", Some(DestinationUnreachable)),
            (403, "SignatureDoesNotMatch", Some(DestinationUnreachable)),
            (400, "Throttling", Some(Throttled)),
            (503, "ServiceUnavailable", Some(DestinationUnreachable)),
            (403, "", Some(DestinationUnreachable)),
            (500, "InternalFailure", Some(DestinationUnreachable)),
            (403, "ExpiredToken", None),
            (400, "ExpiredTokenException", None),
        ];
        for (status, code, expected) in table {
            assert_eq!(reason(status, code), expected, "{status} {code}");
        }
    }

    #[test]
    fn the_servers_own_time_is_read_from_its_answer() {
        let mut headers = HeaderMap::new();
        assert_eq!(server_time(&headers), None);
        let date = HeaderValue::from_static("Sun, 22 Nov 2026 10:00:00 GMT");
        headers.insert(header::DATE, date);
        let time = server_time(&headers).unwrap();
        assert_eq!(time.to_rfc3339(), "2026-11-22T10:00:00+00:00");
    }
}
