//! For fuzzing: clouds that answer anything at all. The requests are the real ones, made, signed
//! and understood by the real code; only what comes back is made of the input's bytes.
//!
//! An input is a letter that says what is asked for, a line feed, and answers, divided by the byte
//! 0x1e: a status, headers, an empty line and a body, as in HTTP. The n-th request gets the n-th
//! answer; one without a status, or that is not there, is a connection that breaks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue, Response};
use object_store::client::{
    HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use recording::{
    AccountId, AzureContainer, AzureIdentity, Clock, Cloud, Digests, Fault, Fence, Identity, Look,
    NoMeter, ObjectKey, Original, Outbound, Part, Progress, S3Bucket, Secret, SendFault,
    SendOutcome, StagingFault, Upload, UploadLog,
};

use crate::azure::{self, Container};
use crate::budget::Budget;
use crate::credentials::{Application, Base, BaseIdentity, Entra, Role, Session, Sts};
use crate::digest::Hashing;
use crate::exchange::Line;
use crate::s3::{self, Bucket};

/// What must never be in anything that people read.
const SECRET: &str = "c2VzYW1lLW9wZW4=";
/// Divides answers.
const SEPARATOR: u8 = 0x1e;
/// The key that everything is about.
const KEY: &str = "call/2026/11/22/rec.wav";
/// The original that is sent.
const ORIGINAL: &[u8] = b"abcde";
/// The size of its parts: three of them.
const PART: u64 = 2;
/// More requests than this for one input would be one without an end.
const REQUESTS_MAX: usize = 200;

/// Has a cloud answer with these bytes; the verdict, as one of few words.
///
/// # Panics
/// When the verdict breaks a promise: an absence that the answers do not prove, a success that
/// nobody answered, a secret or foreign text in what people read, requests without an end.
#[must_use]
pub fn answer(input: &[u8]) -> &'static str {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let Ok(runtime) = runtime else {
        return "no runtime";
    };
    let (asked, answers) = match input.split_first() {
        Some((letter, rest)) => (*letter, rest.strip_prefix(b"\n").unwrap_or(rest)),
        None => (b's', input),
    };
    let cloud = Arc::new(Canned::new(answers));
    let verdict = runtime.block_on(ask(asked, &cloud));
    assert!(
        cloud.asked.load(Ordering::Relaxed) <= REQUESTS_MAX,
        "asked without an end"
    );
    verdict
}

async fn ask(asked: u8, cloud: &Arc<Canned>) -> &'static str {
    match asked {
        b'p' | b'm' | b'r' => sent(send(asked, cloud).await, cloud),
        b'w' | b'b' => sent(send_to_azure(asked, cloud).await, cloud),
        b'u' => uploads(cloud).await,
        b'a' => look_at_azure(cloud).await,
        b't' => issued(&Session::new(Box::new(role(cloud)), clock())).await,
        b'e' => {
            let entra = Arc::new(Entra::new(line(cloud, Cloud::Entra), None, clock()));
            let session = entra.session(Application {
                tenant_id: "tenant".to_owned(),
                client_id: "client".to_owned(),
                client_secret: Secret::new(SECRET.to_owned()),
            });
            issued(&session).await
        }
        _ => look_at_s3(cloud).await,
    }
}

async fn send(asked: u8, cloud: &Arc<Canned>) -> Result<SendOutcome, SendFault> {
    let (bucket, sending, budget) = (bucket(cloud), outbound(), budget());
    let earlier = sending.earlier();
    match asked {
        b'p' => bucket.send_whole(&sending.of(None), &budget).await,
        b'm' => bucket.send_parts(&sending.of(None), &budget, PART).await,
        _ => {
            let outbound = sending.of(Some(&earlier));
            bucket.send_parts(&outbound, &budget, PART).await
        }
    }
}

async fn send_to_azure(asked: u8, cloud: &Arc<Canned>) -> Result<SendOutcome, SendFault> {
    let (container, sending, budget) = (container(cloud), outbound(), budget());
    let outbound = sending.of(None);
    match asked {
        b'w' => container.send_whole(&outbound, &budget).await,
        _ => container.send_blocks(&outbound, &budget, PART).await,
    }
}

async fn uploads(cloud: &Arc<Canned>) -> &'static str {
    match bucket(cloud).open_uploads("call/").await {
        Ok(uploads) => {
            // A stranger's listing must not have us abort outside of the prefix.
            let ours = |key: &ObjectKey| key.as_str().starts_with("call/");
            assert!(uploads.iter().all(|upload| ours(&upload.key)));
            "uploads"
        }
        Err(fault) => refused(&fault),
    }
}

async fn look_at_s3(cloud: &Arc<Canned>) -> &'static str {
    let bucket = bucket(cloud);
    match bucket.look(KEY).await {
        Ok(Look::Absent) => {
            // A refusal that may mean absence, and a whole listing without the key.
            let statuses = cloud.statuses();
            let proven = matches!(statuses.as_slice(), [.., 403 | 404, 200..=299]);
            assert!(proven, "absent after {statuses:?}");
            let last = statuses.len().saturating_sub(1);
            assert!(
                cloud.says(last, "ListBucketResult"),
                "absent, and nobody said so"
            );
            "absent"
        }
        Ok(Look::Present(observed)) => read(bucket.read_back(KEY, &observed).await),
        Err(fault) => refused(&fault),
    }
}

async fn look_at_azure(cloud: &Arc<Canned>) -> &'static str {
    let container = container(cloud);
    match container.look(KEY).await {
        Ok(Look::Absent) => {
            // One 404 that says in so many words that the blob is what is missing.
            assert_eq!(cloud.statuses(), [404]);
            assert!(cloud.says(0, "BlobNotFound"), "absent, and nobody said so");
            "absent"
        }
        Ok(Look::Present(observed)) => read(container.read_back(KEY, &observed).await),
        Err(fault) => refused(&fault),
    }
}

/// What people read: our own words, one line, no secret.
fn readable(text: &str) {
    let plain = |letter: char| letter.is_ascii_graphic() || letter == ' ';
    assert!(text.len() <= 500 && text.chars().all(plain), "{text:?}");
    assert!(!text.contains(SECRET), "{text}");
}

fn refused(fault: &Fault) -> &'static str {
    readable(&fault.detail);
    match fault.class() {
        recording::Class::Transient => "a passing refusal",
        recording::Class::Destination => "a refusal",
        recording::Class::Permanent => "a lasting refusal",
    }
}

fn read(read: Result<Digests, Fault>) -> &'static str {
    match read {
        Ok(_) => "present and read",
        Err(fault) => {
            readable(&fault.detail);
            "present"
        }
    }
}

fn sent(outcome: Result<SendOutcome, SendFault>, cloud: &Canned) -> &'static str {
    match outcome {
        Ok(SendOutcome::Sent(found, _)) => {
            assert_eq!(found, digests(ORIGINAL));
            let statuses = cloud.statuses();
            let yes = statuses.iter().any(|status| (200..300).contains(status));
            assert!(yes, "sent, and nobody said so: {statuses:?}");
            "sent"
        }
        Ok(SendOutcome::Unclear(_, why)) => {
            readable(&why);
            "unclear"
        }
        Err(SendFault::Store(fault)) => refused(&fault),
        Err(fault) => {
            readable(&fault.to_string());
            "not sent"
        }
    }
}

async fn issued<C>(session: &Session<C>) -> &'static str {
    match session.issued().await {
        Ok(_) => "a session",
        Err(fault) => refused(&fault),
    }
}

fn digests(bytes: &[u8]) -> Digests {
    let mut hashing = Hashing::new();
    hashing.update(bytes);
    hashing.finish()
}

/// Our own identity, which nobody needs to be asked for.
fn ours() -> Session {
    let identity = BaseIdentity::fixed("AKIDFUZZ", SECRET);
    Session::new(Box::new(Base::new(identity, clock())), clock())
}

fn line(cloud: &Arc<Canned>, which: Cloud) -> Line {
    Line {
        client: HttpClient::new(Shared(Arc::clone(cloud))),
        // What is repeated waits in between, and is asked in the same way again.
        retries: 0,
        cloud: which,
        meter: Arc::new(NoMeter),
    }
}

fn bucket(cloud: &Arc<Canned>) -> Bucket {
    let place = s3::Place::new(&s3_bucket(), false);
    let session = ours();
    Bucket::new(sound(place), Arc::new(session), line(cloud, Cloud::S3))
}

fn container(cloud: &Arc<Canned>) -> Container {
    let identity = AzureIdentity::AccessKey {
        access_key: Secret::new(SECRET.to_owned()),
    };
    let place = azure::Place::new(
        &AzureContainer {
            storage_account: "recordings".to_owned(),
            container: "calls".to_owned(),
            endpoint: Some("https://blob.invalid".to_owned()),
            prefix: String::new(),
            identity,
        },
        false,
    );
    let identity = azure::Identity::AccessKey(Secret::new(SECRET.to_owned()));
    Container::new(sound(place), identity, line(cloud, Cloud::Azure), clock())
}

fn role(cloud: &Arc<Canned>) -> Role {
    let base = Arc::new(ours());
    Role {
        sts: Arc::new(Sts::new(line(cloud, Cloud::Sts), None, base, clock())),
        region: "eu-central-1".to_owned(),
        arn: "arn:aws:iam::123456789012:role/callferry".to_owned(),
        external_id: Some("external".to_owned()),
        policy: "{}".to_owned(),
        session_name: "callferry-write-0123456789ab".to_owned(),
    }
}

fn s3_bucket() -> S3Bucket {
    S3Bucket {
        bucket: "calls".to_owned(),
        region: "eu-central-1".to_owned(),
        role_arn: None,
        endpoint: Some("https://store.invalid".to_owned()),
        prefix: String::new(),
        kms_key: None,
        storage_class: None,
        expected_owner: None,
    }
}

#[expect(
    clippy::expect_used,
    reason = "a target that cannot be set up must not look sound"
)]
fn sound<T>(place: Result<T, Fault>) -> T {
    place.expect("the place is a good one")
}

fn budget() -> Budget {
    Budget::new(1 << 20)
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(Stopped)
}

/// A clock that stands still.
#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }
    fn boot(&self) -> Duration {
        Duration::from_secs(1000)
    }
}

/// The answers, and what was asked for.
#[derive(Debug)]
struct Canned {
    answers: Vec<Vec<u8>>,
    asked: AtomicUsize,
    statuses: Mutex<Vec<u16>>,
}

/// `HttpClient` wants the service itself.
#[derive(Debug)]
struct Shared(Arc<Canned>);

impl Canned {
    fn new(input: &[u8]) -> Self {
        let answers = input.split(|byte| *byte == SEPARATOR);
        Self {
            answers: answers.map(<[u8]>::to_vec).collect(),
            asked: AtomicUsize::new(0),
            statuses: Mutex::default(),
        }
    }

    fn statuses(&self) -> Vec<u16> {
        let statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        statuses.clone()
    }

    /// Whether an answer has this word anywhere.
    fn says(&self, number: usize, word: &str) -> bool {
        let bytes = self
            .answers
            .get(number)
            .map(Vec::as_slice)
            .unwrap_or_default();
        bytes
            .windows(word.len())
            .any(|window| window == word.as_bytes())
    }

    fn next(&self) -> Option<HttpResponse> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let bytes = self.answers.get(number)?;
        let (head, body) = divided(bytes);
        let mut lines = head.split(|byte| *byte == b'\n');
        let status = std::str::from_utf8(lines.next()?)
            .ok()?
            .trim()
            .parse::<u16>()
            .ok()?;
        let mut response = Response::builder().status(status);
        for line in lines {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at_checked(colon)?;
            let name = HeaderName::from_bytes(name).ok()?;
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            response = response.header(name, HeaderValue::from_bytes(value).ok()?);
        }
        let body = HttpResponseBody::from(Bytes::copy_from_slice(body));
        let response = response.body(body).ok()?;
        let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        statuses.push(status);
        Some(response)
    }
}

/// Status and headers, and what comes after the first empty line.
fn divided(bytes: &[u8]) -> (&[u8], &[u8]) {
    let at = bytes.windows(2).position(|two| two == b"\n\n");
    match at.and_then(|at| Some((bytes.get(..at)?, bytes.get(at.saturating_add(2)..)?))) {
        Some(divided) => divided,
        None => (bytes, b""),
    }
}

#[async_trait]
impl HttpService for Shared {
    async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
        let lost = || HttpError::new(HttpErrorKind::Interrupted, std::fmt::Error);
        self.0.next().ok_or_else(lost)
    }
}

/// What a sending needs besides a bucket.
struct Sending {
    account: AccountId,
    key: ObjectKey,
    progress: Progress,
    fence: Fence,
}

#[expect(
    clippy::expect_used,
    reason = "a target that cannot be set up must not look sound"
)]
fn outbound() -> Sending {
    Sending {
        account: "acme".parse().expect("an id"),
        key: ObjectKey::remembered(KEY.to_owned()),
        progress: Progress::default(),
        fence: Fence::new(clock(), Stopped.boot(), Duration::from_secs(30)),
    }
}

impl Sending {
    fn of<'a>(&'a self, earlier: Option<&'a Upload>) -> Outbound<'a> {
        Outbound {
            account: &self.account,
            key: &self.key,
            original: &InMemory,
            size_bytes: u64::try_from(ORIGINAL.len()).unwrap_or_default(),
            sha256: None,
            media_type: "audio/wav",
            metadata: BTreeMap::new(),
            fence: &self.fence,
            progress: &self.progress,
            uploads: &Forgotten,
            earlier,
        }
    }

    /// An upload of the same original that is open, with its first part.
    fn earlier(&self) -> Upload {
        let first = ORIGINAL.get(..2).unwrap_or_default();
        Upload {
            id: "earlier".to_owned(),
            part_bytes: PART,
            identity: InMemory.identity(),
            parts: vec![Part {
                number: 1,
                etag: "\"one\"".to_owned(),
                crc64nvme: digests(first).crc64nvme,
            }],
        }
    }
}

/// An original that is not on any disk.
struct InMemory;

#[async_trait]
impl Original for InMemory {
    fn identity(&self) -> Identity {
        Identity {
            size_bytes: u64::try_from(ORIGINAL.len()).unwrap_or_default(),
            mtime_ns: 1,
            inode: 1,
            entity: None,
        }
    }
    async fn read(&self, offset: u64, len: usize) -> Result<Bytes, StagingFault> {
        let begin = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = ORIGINAL.get(begin..begin.saturating_add(len));
        bytes.map(Bytes::from_static).ok_or(StagingFault::Changed)
    }
    async fn digests(&self) -> Result<Digests, StagingFault> {
        Ok(digests(ORIGINAL))
    }
    async fn still_same(&self) -> Result<(), StagingFault> {
        Ok(())
    }
}

/// A ledger that takes note of everything.
struct Forgotten;

#[async_trait]
impl UploadLog for Forgotten {
    async fn begun(&self, _: &Upload) -> Result<(), SendFault> {
        Ok(())
    }
    async fn landed(&self, _: Part) -> Result<(), SendFault> {
        Ok(())
    }
}
