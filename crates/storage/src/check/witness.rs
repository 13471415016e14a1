//! Stands between a check and the connector and notes of each answer what the requests themselves
//! have no use for: dates, versions, encryption, and which words that we know a refusal says.
//!
//! **Decision.** Of a store's prose only known words are kept. **Because** findings are kept and
//! shown, and an endpoint that a customer chose could echo our own headers, which hold a session's
//! token. **Instead of** quoting it, however short.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, Method, header};
use http_body_util::{BodyExt, Limited};
use object_store::client::{
    HttpClient, HttpError, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use recording::{Clock, Permission};

/// Of a refusal's body, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What is known of the answers so far. Cheap to clone: all clones know the same.
#[derive(Debug, Clone)]
pub(super) struct Witness {
    notes: Arc<Mutex<Notes>>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct Notes {
    /// Nothing while a request is on its way, or if it came to no answer.
    last: Glance,
    /// Headers of the last success.
    success: HeaderMap,
    /// Versions that were made since they were asked for last.
    versions: Vec<String>,
    /// How far the other side's clock is ahead of ours, by its first answer with a date.
    skew: Option<TimeDelta>,
}

/// What an answer says.
#[derive(Debug, Clone, Default)]
pub(super) struct Glance {
    /// HTTP status; 0 before the first answer.
    pub(super) status: u16,
    /// Its headers.
    pub(super) headers: HeaderMap,
    /// The action that a refusal names, if it is one of ours.
    pub(super) action: Option<Permission>,
    /// The kind of policy that a refusal names.
    policy: Option<&'static str>,
    /// Whether something denies explicitly.
    explicit: bool,
    /// Whether a refusal speaks of a lock.
    pub(super) locked: bool,
    /// The region that a refusal names.
    pub(super) region: Option<String>,
}

impl Witness {
    pub(super) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self {
            notes: Arc::default(),
            clock: Arc::clone(clock),
        }
    }

    /// A client that sends by another and tells this witness.
    pub(super) fn beside(&self, client: &HttpClient) -> HttpClient {
        HttpClient::new(Beside {
            client: client.clone(),
            witness: self.clone(),
        })
    }

    /// The last answer.
    pub(super) fn last(&self) -> Glance {
        self.lock().last.clone()
    }

    /// Forgets the last answer: until there is another one, nothing is known.
    pub(super) fn forget_last(&self) {
        self.lock().last = Glance::default();
    }

    /// What time the other side had it when it last did what was asked; ours if it did not say.
    pub(super) fn server_time(&self) -> DateTime<Utc> {
        self.time("date").unwrap_or_else(|| self.clock.now())
    }

    /// How old the object is that the last success was about.
    pub(super) fn age(&self) -> Option<TimeDelta> {
        Some(self.server_time() - self.time("last-modified")?)
    }

    fn time(&self, header: &str) -> Option<DateTime<Utc>> {
        let time = DateTime::parse_from_rfc2822(&self.header(header)?).ok()?;
        Some(time.with_timezone(&Utc))
    }

    /// A header of the last success.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let notes = self.lock();
        let value = notes.success.get(name)?.to_str().ok()?;
        // What goes into findings is short and plain.
        let plain = |c: char| c.is_ascii_graphic() || c == ' ';
        Some(value.chars().filter(|c| plain(*c)).take(200).collect())
    }

    /// The versions that were made since this was asked last.
    pub(super) fn take_versions(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().versions)
    }

    /// How far the other side's clock is ahead of ours.
    pub(super) fn skew(&self) -> Option<TimeDelta> {
        self.lock().skew
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, made: bool, glance: Glance) {
        let date = glance.headers.get(header::DATE);
        let date = date.and_then(|date| DateTime::parse_from_rfc2822(date.to_str().ok()?).ok());
        let skew = date.map(|date| date.with_timezone(&Utc) - self.clock.now());
        let mut notes = self.lock();
        notes.skew = notes.skew.or(skew);
        if (200..300).contains(&glance.status) {
            notes.success = glance.headers.clone();
            let version = glance.headers.get("x-amz-version-id");
            let version = version.and_then(|version| version.to_str().ok());
            if let Some(version) = version.filter(|version| made && *version != "null") {
                notes.versions.push(version.to_owned());
            }
        }
        notes.last = glance;
    }
}

impl Glance {
    /// What a refusal says besides its code, in our words.
    pub(super) fn said(&self) -> Option<String> {
        let mut said = match (self.action, self.locked) {
            (Some(action), _) => format!("the store says: not authorized to perform {action}"),
            (None, true) => return Some("the store says: the object is locked".to_owned()),
            (None, false) => return None,
        };
        match (self.policy, self.explicit) {
            (Some(policy), true) => said.push_str(&format!(", denied explicitly by a {policy}")),
            (Some(policy), false) => said.push_str(&format!(", no {policy} allows it")),
            (None, true) => said.push_str(", something denies it explicitly"),
            (None, false) => {}
        }
        Some(said)
    }

    fn read(status: u16, headers: HeaderMap, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let lower = text.to_ascii_lowercase();
        let named = |permission: &&Permission| {
            let phrase = format!("not authorized to perform: {}", permission.action());
            let rest = text.split_once(&phrase).map(|(_, rest)| rest);
            // Not the beginning of a longer one.
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
        };
        let policies = [
            "session policy",
            "permissions boundary",
            "service control policy",
            "resource control policy",
            "VPC endpoint policy",
            "identity-based policy",
            "resource-based policy",
        ];
        let mut policies = policies.into_iter();
        let region = text
            .split_once("<Region>")
            .and_then(|(_, rest)| rest.split_once("</Region>"))
            .map(|(region, _)| region)
            .filter(|region| is_region(region));
        Self {
            status,
            action: Permission::ALL.iter().find(named).copied(),
            policy: policies.find(|it| lower.contains(&it.to_ascii_lowercase())),
            explicit: lower.contains("explicit deny"),
            locked: lower.contains("object lock") || lower.contains("worm protected"),
            region: region
                .map(ToOwned::to_owned)
                .or_else(|| bucket_region(&headers)),
            headers,
        }
    }
}

/// The region that the headers of an answer name.
fn bucket_region(headers: &HeaderMap) -> Option<String> {
    let region = headers.get("x-amz-bucket-region")?.to_str().ok()?;
    is_region(region).then(|| region.to_owned())
}

fn is_region(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=32).contains(&text.len()) && text.bytes().all(plain)
}

/// The client that tells.
#[derive(Debug)]
struct Beside {
    client: HttpClient,
    witness: Witness,
}

#[async_trait]
impl HttpService for Beside {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let made = matches!(
            *request.method(),
            Method::PUT | Method::POST | Method::DELETE
        );
        self.witness.forget_last();
        let answer = self.client.execute(request).await?;
        let status = answer.status();
        if status.is_success() {
            let glance = Glance {
                status: status.as_u16(),
                headers: answer.headers().clone(),
                ..Glance::default()
            };
            self.witness.note(made, glance);
            return Ok(answer);
        }
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
        // A refusal is one, whatever became of its text.
        let body = body.map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
        let glance = Glance::read(status.as_u16(), parts.headers.clone(), &body);
        self.witness.note(made, glance);
        Ok(HttpResponse::from_parts(
            parts,
            HttpResponseBody::from(body),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str) -> Option<String> {
        let body = format!("<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>");
        Glance::read(403, HeaderMap::new(), body.as_bytes()).said()
    }

    #[test]
    fn only_words_that_we_know_are_kept_of_a_refusal() {
        let aws = "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: \
                   s3:PutObject on resource: \"arn:aws:s3:::b/k\" because no session policy \
                   allows the s3:PutObject action";
        let expected = "the store says: not authorized to perform s3:PutObject, no session policy \
                        allows it";
        assert_eq!(said(aws).as_deref(), Some(expected));
        let tagging = "not authorized to perform: s3:PutObjectTagging on resource: x with an \
                       explicit deny in a resource-based policy";
        let text = said(tagging).unwrap();
        assert!(
            text.contains("s3:PutObjectTagging, denied explicitly by a resource"),
            "{text}"
        );
        let lock = "Access Denied because object protected by object lock.";
        assert!(said(lock).unwrap().contains("locked"));
        assert_eq!(said("Access Denied"), None);
        assert_eq!(said("canary is not authorized to perform: s3:Canary"), None);
    }

    /// Answers once, and is not reached after that.
    #[derive(Debug, Default)]
    struct Once(std::sync::atomic::AtomicBool);

    #[async_trait]
    impl HttpService for Once {
        async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
            if self.0.swap(true, std::sync::atomic::Ordering::SeqCst) {
                let kind = object_store::client::HttpErrorKind::Connect;
                return Err(HttpError::new(kind, std::io::Error::other("cut")));
            }
            Ok(HttpResponse::new(HttpResponseBody::from(Bytes::new())))
        }
    }

    #[derive(Debug)]
    struct Epoch;

    impl Clock for Epoch {
        fn now(&self) -> DateTime<Utc> {
            DateTime::UNIX_EPOCH
        }
        fn boot(&self) -> std::time::Duration {
            std::time::Duration::ZERO
        }
    }

    #[tokio::test]
    async fn a_request_without_an_answer_is_not_judged_by_the_one_before_it() {
        let clock: Arc<dyn Clock> = Arc::new(Epoch);
        let witness = Witness::new(&clock);
        let client = witness.beside(&HttpClient::new(Once::default()));
        let ask = || HttpRequest::new(object_store::client::HttpRequestBody::empty());
        assert!(client.execute(ask()).await.is_ok());
        assert_eq!(witness.last().status, 200);
        assert!(client.execute(ask()).await.is_err());
        assert_eq!(witness.last().status, 0);
    }

    #[test]
    fn a_region_is_read_from_body_or_header() {
        let body = b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region>\
                     </Error>";
        let glance = Glance::read(400, HeaderMap::new(), body);
        assert_eq!(glance.region.as_deref(), Some("eu-west-1"));
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-bucket-region", "us-east-2".parse().unwrap());
        let glance = Glance::read(301, headers, b"");
        assert_eq!(glance.region.as_deref(), Some("us-east-2"));
        let odd = Glance::read(400, HeaderMap::new(), b"<Region>canary secret</Region>");
        assert_eq!(odd.region, None);
    }
}
