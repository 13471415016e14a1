//! What the tests start from: a customer's bucket and role in the laboratory, staging with an
//! account's files, and the stores of one process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeZone, Utc};
use recording::{
    Announced, AnnouncedOriginal, Clock, Destination, DestinationOwner, Digests, Expected, Fence,
    Kind, LEASE, Look, Lookers, NoMeter, ObjectKey, Original, Originals, Outbound, Part, Progress,
    RecordingKey, S3Bucket, S3Options, SendFault, SendOutcome, Sha256, StagingPath, Store, Upload,
    UploadLog, Verified, Writers, object_key, object_metadata,
};
use rustix::time::{ClockId, clock_gettime};
use storage::{BaseIdentity, BucketWriters, LocalStaging, StoreSettings, Stores, write_marker};
use tempfile::TempDir;
use uuid::Uuid;

use callferry_tests::s3::{Identity, LabOptions, Policy, Role, S3Lab};

pub(crate) const OWNER: &str = "111122223333";
pub(crate) const BUCKET: &str = "calls";
pub(crate) const ROLE: &str = "arn:aws:iam::111122223333:role/recordings";
pub(crate) const EXTERNAL_ID: &str = "cf-4711";
pub(crate) const STAGING: Uuid = Uuid::from_u128(0x57a6);
pub(crate) const MIB: usize = 1024 * 1024;
/// All that a customer grants.
pub(crate) const GRANTED: [&str; 5] = [
    "s3:PutObject",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
];

/// The machine's clocks.
#[derive(Debug)]
pub(crate) struct Clocks;

impl Clock for Clocks {
    fn now(&self) -> DateTime<Utc> {
        let now = clock_gettime(ClockId::Realtime);
        let nanoseconds = u32::try_from(now.tv_nsec).unwrap();
        Utc.timestamp_opt(now.tv_sec, nanoseconds).unwrap()
    }
    fn boot(&self) -> Duration {
        let boot = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(boot.tv_sec).unwrap();
        Duration::new(seconds, u32::try_from(boot.tv_nsec).unwrap())
    }
}

/// The machine's clocks, that boot time can be moved on by hand.
#[derive(Debug, Default)]
pub(crate) struct Movable(AtomicU64);

impl Movable {
    pub(crate) fn move_on(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::SeqCst);
    }
}

impl Clock for Movable {
    fn now(&self) -> DateTime<Utc> {
        Clocks.now()
    }
    fn boot(&self) -> Duration {
        Clocks.boot() + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) fn clocks() -> Arc<dyn Clock> {
    Arc::new(Clocks)
}

/// Bytes that repeat late and hash like anything else.
pub(crate) fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Staging in a temporary folder.
pub(crate) struct Staging {
    pub(crate) folder: TempDir,
    pub(crate) originals: LocalStaging,
}

impl Staging {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_marker(folder.path(), STAGING).unwrap();
        let originals = LocalStaging::open(folder.path(), STAGING).unwrap();
        Self { folder, originals }
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Writes a file below `acme/`.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.at("acme").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

pub(crate) fn staging_path(path: &str) -> StagingPath {
    StagingPath::new(&"acme".parse().unwrap(), path).unwrap()
}

/// An event's data for `acme/<recording>.wav`.
pub(crate) fn announced(recording: &str, size_bytes: usize) -> Announced {
    let at = Utc.with_ymd_and_hms(2026, 11, 22, 9, 58, 0).unwrap();
    Announced {
        key: RecordingKey {
            account_id: "acme".parse().unwrap(),
            recording_id: recording.parse().unwrap(),
        },
        interaction_id: "call-19".parse().unwrap(),
        kind: Kind::Call,
        media_type: "audio/wav".to_owned(),
        started_at: at,
        completed_at: at,
        duration_ms: None,
        original: AnnouncedOriginal {
            path: staging_path(&format!("acme/{recording}.wav")),
            size_bytes: u64::try_from(size_bytes).unwrap(),
            sha256: None,
        },
        attributes: BTreeMap::new(),
    }
}

/// Remembers uploads as the ledger would, or refuses to.
#[derive(Default)]
pub(crate) struct Uploads {
    pub(crate) ids: Mutex<Vec<String>>,
    /// The upload as the row holds it.
    pub(crate) known: Mutex<Option<Upload>>,
    pub(crate) refusing: bool,
}

impl Uploads {
    /// What the next claim is told.
    pub(crate) fn remembered(&self) -> Option<Upload> {
        self.known.lock().unwrap().clone()
    }
}

#[async_trait]
impl UploadLog for Uploads {
    async fn begun(&self, upload: &Upload) -> Result<(), SendFault> {
        self.ids.lock().unwrap().push(upload.id.clone());
        if self.refusing {
            return Err(recording::LeaseLost.into());
        }
        *self.known.lock().unwrap() = Some(upload.clone());
        Ok(())
    }

    async fn landed(&self, part: Part) -> Result<(), SendFault> {
        let mut known = self.known.lock().unwrap();
        let parts = &mut known.as_mut().unwrap().parts;
        parts.retain(|it| it.number != part.number);
        parts.push(part);
        parts.sort_by_key(|it| it.number);
        Ok(())
    }
}

/// How one sending differs from the usual.
#[derive(Default)]
pub(crate) struct Wish {
    pub(crate) sha256: Option<Sha256>,
    pub(crate) lease_lost: bool,
    pub(crate) earlier: Option<Upload>,
    /// How long the lease lasts, where it is not the usual.
    pub(crate) lease: Option<Duration>,
    pub(crate) uploads: Uploads,
    pub(crate) progress: Progress,
}

/// The laboratory with a customer, and the stores of one process.
pub(crate) struct Setting {
    pub(crate) lab: S3Lab,
    pub(crate) staging: Staging,
    pub(crate) stores: Stores,
    pub(crate) destination: Destination,
}

pub(crate) fn settings(endpoint: &str) -> StoreSettings {
    StoreSettings {
        part_size_bytes: 5 * 1024 * 1024,
        allow_http: true,
        allowed_private_ranges: vec!["127.0.0.0/8".parse().unwrap()],
        sts_endpoint: Some(endpoint.to_owned()),
        base_identity: BaseIdentity::fixed("AKIDPLATFORM", "platform-secret"),
        ..StoreSettings::default()
    }
}

pub(crate) fn register(lab: &S3Lab) {
    lab.create_bucket(BUCKET, OWNER).unwrap();
    lab.put_identity(Identity::new("AKIDPLATFORM", "platform-secret").named("callferry"));
    let role = Role::new(ROLE, Policy::bucket(BUCKET, "", &GRANTED));
    lab.put_role(role.external_id(EXTERNAL_ID).trusting("callferry"));
}

pub(crate) fn destination(endpoint: &str) -> Destination {
    Destination {
        owner: DestinationOwner::Account("acme".parse().unwrap()),
        revision: 7,
        credential_revision: 7,
        store: Store::S3(S3Bucket {
            bucket: BUCKET.to_owned(),
            region: "eu-central-1".to_owned(),
            role_arn: Some(ROLE.to_owned()),
            endpoint: Some(endpoint.to_owned()),
            prefix: String::new(),
            kms_key: None,
            storage_class: None,
            expected_owner: None,
            options: S3Options::default(),
        }),
        external_id: Some(EXTERNAL_ID.to_owned()),
        account_leads_key: false,
    }
}

/// The S3 part of a destination that has one.
pub(crate) fn s3(destination: &mut Destination) -> &mut S3Bucket {
    match &mut destination.store {
        Store::S3(s3) => s3,
        Store::Azure(_) => panic!("no S3 bucket"),
    }
}

/// The stores of a process with these settings.
pub(crate) fn stores(settings: StoreSettings) -> Stores {
    Stores::new(settings, clocks(), Arc::new(NoMeter)).unwrap()
}

impl Setting {
    pub(crate) async fn start() -> Self {
        Self::start_with(LabOptions::default()).await
    }

    pub(crate) async fn start_with(options: LabOptions) -> Self {
        let lab = S3Lab::start_with(options).await.unwrap();
        register(&lab);
        let endpoint = lab.endpoint();
        Self {
            staging: Staging::new(),
            stores: stores(settings(&endpoint)),
            destination: destination(&endpoint),
            lab,
        }
    }

    pub(crate) fn key(&self, recording: &str) -> ObjectKey {
        object_key(&announced(recording, 0), &self.destination)
    }

    /// Stages `bytes` and sends them as the recording.
    pub(crate) async fn send(
        &self,
        recording: &str,
        bytes: &[u8],
    ) -> Result<SendOutcome, SendFault> {
        self.send_as(recording, bytes, &Wish::default()).await
    }

    pub(crate) async fn send_as(
        &self,
        recording: &str,
        bytes: &[u8],
        wish: &Wish,
    ) -> Result<SendOutcome, SendFault> {
        self.staging.put(&format!("{recording}.wav"), bytes);
        let announced = announced(recording, bytes.len());
        let opened = self.staging.originals.open(&announced.original.path).await;
        self.send_from(&announced, &*opened.unwrap(), wish).await
    }

    pub(crate) async fn send_from(
        &self,
        announced: &Announced,
        original: &dyn Original,
        wish: &Wish,
    ) -> Result<SendOutcome, SendFault> {
        let writers = self.stores.writers();
        send(&writers, &self.destination, announced, original, wish).await
    }

    pub(crate) async fn look(&self, recording: &str) -> Result<Look, recording::Fault> {
        let key = self.key(recording);
        let account = "acme".parse().unwrap();
        let lookers = self.stores.lookers();
        lookers.look(&self.destination, &account, &key).await
    }

    /// Looks and compares with what was read.
    pub(crate) async fn prove(
        &self,
        recording: &str,
        digests: Digests,
    ) -> Result<Verified, recording::Mismatch> {
        let Ok(Look::Present(observed)) = self.look(recording).await else {
            panic!("nothing to see of {recording}");
        };
        let announced = announced(recording, usize::try_from(digests.size_bytes).unwrap());
        let expected = Expected {
            digests,
            sent: None,
            first_look: None,
        };
        expected.verify(&announced, observed)
    }

    /// What is really stored.
    pub(crate) fn stored(&self, recording: &str) -> Option<Vec<u8>> {
        let key = self.key(recording);
        let read = self.lab.read_object(BUCKET, key.as_str()).unwrap();
        read.map(|stored| stored.bytes)
    }
}

pub(crate) async fn send(
    writers: &BucketWriters,
    destination: &Destination,
    announced: &Announced,
    original: &dyn Original,
    wish: &Wish,
) -> Result<SendOutcome, SendFault> {
    let fence = Fence::new(clocks(), Clocks.boot(), wish.lease.unwrap_or(LEASE));
    if wish.lease_lost {
        fence.lost();
    }
    let key = object_key(announced, destination);
    let outbound = Outbound {
        account: &announced.key.account_id,
        key: &key,
        original,
        size_bytes: announced.original.size_bytes,
        sha256: wish.sha256,
        media_type: &announced.media_type,
        metadata: object_metadata(announced, destination, None, wish.sha256),
        fence: &fence,
        progress: &wish.progress,
        uploads: &wish.uploads,
        earlier: wish.earlier.as_ref(),
    };
    writers.send(destination, outbound).await
}

pub(crate) fn sent(outcome: Result<SendOutcome, SendFault>) -> Digests {
    match outcome {
        Ok(SendOutcome::Sent(digests, _)) => digests,
        other => panic!("not sent: {other:?}"),
    }
}

pub(crate) fn unclear(outcome: Result<SendOutcome, SendFault>) -> Digests {
    match outcome {
        Ok(SendOutcome::Unclear(digests, _)) => digests,
        other => panic!("not unclear: {other:?}"),
    }
}

pub(crate) fn refused(outcome: Result<SendOutcome, SendFault>) -> recording::Fault {
    match outcome {
        Err(SendFault::Store(fault)) => fault,
        other => panic!("not refused: {other:?}"),
    }
}
