//! A database of one test's own, and recordings to put into it.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use callferry_tests::scratch::Scratch;
use callferry_tests::servers::Postgres;
use catalog::{AdminFault, Catalog, DestinationView, Settings};
use chrono::{DateTime, Utc};
use recording::{
    Advance, Announced, AnnouncedOriginal, Claimed, Clock, Crc64Nvme, DestinationOwner, Digests,
    Expected, Granted, Identity, Kind, Ledger, Observed, ParkReason, Parking, RecordingKey,
    ReleaseClaim, ReleaseGranted, S3Bucket, Sha256, StagingPath, Store, Stored, object_metadata,
};
use tokio::sync::Mutex;
use uuid::Uuid;

/// A clock that starts with the test; a wall clock that stands still.
#[derive(Debug)]
pub(crate) struct Watch(Instant);

impl Watch {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Instant::now()))
    }
}

impl Clock for Watch {
    fn now(&self) -> DateTime<Utc> {
        at("2024-05-01T12:00:00Z")
    }
    fn boot(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A server that the tests running at this moment share.
struct Server {
    postgres: Mutex<Postgres>,
    // After the server: fields go in this order.
    _scratch: Scratch,
}

async fn shared() -> Arc<Server> {
    static RUNNING: Mutex<Weak<Server>> = Mutex::const_new(Weak::new());
    let mut running = RUNNING.lock().await;
    if let Some(server) = running.upgrade() {
        return server;
    }
    let scratch = Scratch::new("ledger").unwrap();
    let postgres = Postgres::obtain(scratch.path()).await.unwrap();
    let server = Arc::new(Server {
        postgres: Mutex::new(postgres),
        _scratch: scratch,
    });
    *running = Arc::downgrade(&server);
    server
}

/// A database of one test's own.
pub(crate) struct World {
    pub(crate) catalog: Catalog,
    pub(crate) url: String,
    database: String,
    server: Arc<Server>,
}

impl World {
    /// A migrated database.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let world = Self::empty(change).await;
        world.catalog.migrate().await.unwrap();
        world
    }

    /// A database without tables.
    pub(crate) async fn empty(change: impl FnOnce(&mut Settings)) -> Self {
        let server = shared().await;
        let database = format!("t{}", Uuid::new_v4().simple());
        let url = {
            let mut postgres = server.postgres.lock().await;
            postgres.create_database(&database).await.unwrap()
        };
        let mut settings = Settings::new(&url);
        change(&mut settings);
        Self {
            catalog: Catalog::connect(settings, Watch::new()).unwrap(),
            url,
            database,
            server,
        }
    }

    /// A migrated database with the account `acme` and a destination for it.
    pub(crate) async fn settled() -> Self {
        Self::settled_with(|_| {}).await
    }

    /// The same with other settings.
    pub(crate) async fn settled_with(change: impl FnOnce(&mut Settings)) -> Self {
        let world = Self::with(change).await;
        world.account("acme").await;
        world.destination("acme", "acme-bucket").await;
        world
    }

    /// Makes an account.
    pub(crate) async fn account(&self, name: &str) {
        let account = name.parse().unwrap();
        self.catalog.create_account(&account, None).await.unwrap();
    }

    /// Sets a destination from when the ledger says, and returns its revision.
    pub(crate) async fn destination(&self, owner: &str, name: &str) -> i64 {
        self.set(owner, &bucket(name)).await.unwrap().revision
    }

    /// The same where it may be refused.
    pub(crate) async fn set(
        &self,
        owner: &str,
        bucket: &S3Bucket,
    ) -> Result<DestinationView, AdminFault> {
        self.set_store(owner, &Store::S3(bucket.clone())).await
    }

    /// The same for either cloud.
    pub(crate) async fn set_store(
        &self,
        owner: &str,
        store: &Store,
    ) -> Result<DestinationView, AdminFault> {
        let owner = self::owner(owner);
        self.catalog.set_destination(&owner, store, None).await
    }

    /// A second catalog over the same database.
    pub(crate) fn another(&self, change: impl FnOnce(&mut Settings)) -> Catalog {
        let mut settings = Settings::new(&self.url);
        change(&mut settings);
        Catalog::connect(settings, Watch::new()).unwrap()
    }

    /// Waits for the lease to be over, as the database sees it.
    pub(crate) async fn run_out(&self, key: &RecordingKey) {
        self.force(key, "lease_until = now(), due_at = now()").await;
    }

    /// Runs SQL of a test's own.
    pub(crate) async fn sql(&self, statement: &str) -> String {
        self.try_sql(statement).await.unwrap()
    }

    /// The same where it may be refused.
    pub(crate) async fn try_sql(&self, statement: &str) -> anyhow::Result<String> {
        let postgres = self.server.postgres.lock().await;
        postgres.sql(&self.database, statement).await
    }

    /// Claims and must be granted.
    pub(crate) async fn granted(&self, announced: &Announced) -> Granted {
        granted(self.catalog.claim(announced).await.unwrap())
    }

    /// Claims what the ledger drove, and must be granted.
    pub(crate) async fn granted_due(&self, key: &RecordingKey) -> Granted {
        granted(self.catalog.claim_due(key).await.unwrap())
    }

    /// Brings a recording to stored.
    pub(crate) async fn stored(&self, announced: &Announced) -> Stored {
        let granted = self.granted(announced).await;
        let stored = proven(&granted);
        let advance = self.catalog.store(&granted.lease, &stored).await.unwrap();
        assert_eq!(advance, Advance::Done(()));
        stored
    }

    /// Claims for release and must be granted.
    pub(crate) async fn release_granted(&self, key: &RecordingKey) -> ReleaseGranted {
        match self.catalog.claim_release(key, None).await.unwrap() {
            ReleaseClaim::Granted(granted) => *granted,
            other => panic!("{other:?}"),
        }
    }

    /// Why, in each row of history.
    pub(crate) async fn reasons(&self, key: &RecordingKey) -> Vec<String> {
        let shown = self
            .catalog
            .show_recording(Some(&key.account_id), &key.recording_id)
            .await
            .unwrap();
        let steps = shown.first().unwrap().history.iter();
        steps.map(|step| step.why.clone()).collect()
    }

    /// The transitions that history shows, as `from>to`.
    pub(crate) async fn history(&self, key: &RecordingKey) -> Vec<String> {
        let shown = self
            .catalog
            .show_recording(Some(&key.account_id), &key.recording_id)
            .await
            .unwrap();
        let steps = shown.first().unwrap().history.iter().map(|step| {
            let from = step.from.map_or("", recording::State::as_str);
            format!("{from}>{}", step.to.as_str())
        });
        steps.collect()
    }

    /// One column of a recording.
    pub(crate) async fn column(&self, key: &RecordingKey, expression: &str) -> String {
        self.sql(&format!(
            "select {expression} from recordings where account_id = '{}' and recording_id = '{}'",
            key.account_id, key.recording_id
        ))
        .await
    }

    /// Changes a recording behind the catalog's back.
    pub(crate) async fn force(&self, key: &RecordingKey, change: &str) {
        self.try_force(key, change).await.unwrap();
    }

    /// The same where it may be refused.
    pub(crate) async fn try_force(&self, key: &RecordingKey, change: &str) -> anyhow::Result<()> {
        let statement = format!(
            "update recordings set {change} where account_id = '{}' and recording_id = '{}'",
            key.account_id, key.recording_id
        );
        self.try_sql(&statement).await.map(drop)
    }
}

/// A point in time.
pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The owner of a word.
pub(crate) fn owner(word: &str) -> DestinationOwner {
    match word {
        "default" => DestinationOwner::Default,
        account => DestinationOwner::Account(account.parse().unwrap()),
    }
}

/// A bucket.
pub(crate) fn bucket(name: &str) -> S3Bucket {
    S3Bucket {
        bucket: name.to_owned(),
        region: "eu-central-1".to_owned(),
        role_arn: Some("arn:aws:iam::123456789012:role/callferry".to_owned()),
        endpoint: None,
        prefix: String::new(),
        kms_key: None,
        storage_class: None,
        expected_owner: Some("123456789012".to_owned()),
    }
}

/// A recording of `acme`.
pub(crate) fn announced(recording: &str) -> Announced {
    announced_of("acme", recording)
}

/// A recording, complete on 2024-05-01 at ten, with nanoseconds that the ledger cannot keep.
pub(crate) fn announced_of(account: &str, recording: &str) -> Announced {
    let key = RecordingKey {
        account_id: account.parse().unwrap(),
        recording_id: recording.parse().unwrap(),
    };
    let path = format!("{account}/2024/{recording}.wav");
    Announced {
        interaction_id: "call-1".parse().unwrap(),
        kind: Kind::Call,
        media_type: "audio/wav".to_owned(),
        started_at: at("2024-05-01T09:58:00.123456789Z"),
        completed_at: at("2024-05-01T10:00:00.987654321Z"),
        duration_ms: Some(120_000),
        original: AnnouncedOriginal {
            path: StagingPath::new(&key.account_id, &path).unwrap(),
            size_bytes: 480_044,
            sha256: Some(Sha256::new([7; 32])),
        },
        attributes: BTreeMap::from([("queue".to_owned(), "sales \"ä\"".to_owned())]),
        key,
    }
}

/// The grant in a claim's answer.
pub(crate) fn granted(claimed: Claimed) -> Granted {
    match claimed {
        Claimed::Granted(granted) => *granted,
        other => panic!("{other:?}"),
    }
}

/// A stored recording, proven as far as a test can.
pub(crate) fn proven(granted: &Granted) -> Stored {
    let staged = granted.staged.clone();
    let announced = staged.announced();
    let digests = Digests {
        size_bytes: 480_044,
        sha256: Sha256::new([7; 32]),
        crc64nvme: Crc64Nvme::new(42),
    };
    let observed = Observed {
        size_bytes: digests.size_bytes,
        crc64nvme: Some(digests.crc64nvme),
        etag: "\"e-1\"".to_owned(),
        version_id: None,
        content_md5: None,
        blocks: None,
        metadata: object_metadata(announced, staged.destination(), staged.retain_until(), None),
        read_back: None,
    };
    let expected = Expected {
        digests,
        sent: None,
        first_look: None,
    };
    let proof = expected.verify(announced, observed).unwrap();
    let identity = Identity {
        size_bytes: 480_044,
        mtime_ns: 1_714_557_600_000_000_001,
        inode: -5,
        entity: Some("\"o\" v-1".to_owned()),
    };
    staged.stored(
        &proof,
        identity,
        Uuid::new_v4(),
        at("2024-05-01T12:00:00.123456789Z"),
    )
}

/// A parking that is tried again after an hour.
pub(crate) fn parking(reason: ParkReason) -> Parking {
    Parking {
        reason,
        detail: "seen\0 so".to_owned(),
        after: Some(Duration::from_secs(3600)),
    }
}
