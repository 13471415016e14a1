//! Staging of every kind, opened as the service does it, with the recorder's own hand in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use callferry_tests::s3::{Identity as Known, Policy, S3Lab};
use callferry_tests::scratch::Scratch;
use callferry_tests::servers::Azurite;
use callferry_tests::servers::azurite::Wire;
use recording::{
    AzureIdentity, Clock, Digests, Erasers, Expected, Fence, Identity, LEASE, Lease, Method,
    ObjectKey, Observed, Original, Originals, Receipt, Record, Recording, Releasable, Secret,
    StagingFault, Trash,
};
use storage::{
    BucketOriginals, BucketStaging, BucketTrash, LocalTrash, StagingPlace, StagingStore,
};
use uuid::Uuid;

use super::setting::{
    Clocks, OWNER, STAGING, Staging, announced, clocks, destination, settings, staging_path, stores,
};

/// The bucket or container that staging is, and what leads all its keys.
pub(crate) const BUCKET: &str = "incoming";
pub(crate) const PREFIX: &str = "in/box";
const STORAGE_ACCOUNT: &str = "platformblobs";
/// What staging's documentation says that cleanup must be allowed, and everybody else needs less.
pub(crate) const CLEANUP_MAY: [&str; 5] = [
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:PutObject",
];

/// What staging is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Folder,
    S3,
    /// A bucket that keeps versions.
    Versioned,
    Azure,
}

/// The recorder's hand, and somebody else's.
pub(crate) enum Hand {
    Folder(Staging),
    S3(Box<S3Lab>),
    Azure(Box<Azurite>),
}

/// One staging, opened.
pub(crate) struct Yard {
    pub(crate) originals: Arc<dyn Originals>,
    pub(crate) trash: Arc<dyn Trash>,
    pub(crate) erasers: Arc<dyn Erasers>,
    /// Where it is a bucket.
    pub(crate) bucket: Option<BucketStaging>,
    pub(crate) hand: Hand,
    /// After the server that lives in it.
    _scratch: Option<Scratch>,
}

fn s3_place(lab: &S3Lab) -> StagingPlace {
    StagingPlace {
        store: StagingStore::S3 {
            bucket: BUCKET.to_owned(),
            region: "eu-central-1".to_owned(),
            endpoint: Some(lab.endpoint()),
        },
        prefix: PREFIX.to_owned(),
    }
}

/// Allows our own identity these actions in staging, and listing it.
pub(crate) fn allow(lab: &S3Lab, actions: &[&str]) {
    let policy = Policy::bucket(BUCKET, "", actions);
    let ours = Known::new("AKIDPLATFORM", "platform-secret").named("callferry");
    lab.put_identity(ours.allowed(policy));
}

/// A laboratory with staging in it that nobody has marked yet.
pub(crate) async fn s3(versioned: bool) -> (S3Lab, BucketStaging) {
    let lab = S3Lab::start().await.unwrap();
    match versioned {
        true => lab.create_versioned_bucket(BUCKET, OWNER).unwrap(),
        false => lab.create_bucket(BUCKET, OWNER).unwrap(),
    }
    allow(&lab, &CLEANUP_MAY);
    let stores = stores(settings(&lab.endpoint()));
    let staging = stores.staging(&s3_place(&lab)).unwrap();
    (lab, staging)
}

impl Yard {
    /// `None` where it cannot be had here.
    pub(crate) async fn start(kind: Kind) -> Option<Self> {
        let mut scratch = None;
        let (staging, hand) = match kind {
            Kind::Folder => {
                let staging = Staging::new();
                let root = staging.folder.path();
                let trash = Arc::new(LocalTrash::open(root, STAGING).unwrap());
                return Some(Self {
                    originals: Arc::new(staging.originals.clone()),
                    trash: Arc::<LocalTrash>::clone(&trash),
                    erasers: trash,
                    bucket: None,
                    hand: Hand::Folder(staging),
                    _scratch: None,
                });
            }
            Kind::S3 | Kind::Versioned => {
                let (lab, staging) = s3(kind == Kind::Versioned).await;
                (staging, Hand::S3(Box::new(lab)))
            }
            Kind::Azure => {
                let folder = Scratch::new("staging-azure").unwrap();
                let azurite = Azurite::start(folder.path(), Wire::Http, &[STORAGE_ACCOUNT]).await;
                let azurite = azurite.unwrap()?;
                scratch = Some(folder);
                let made = azurite.create_container(STORAGE_ACCOUNT, BUCKET).await;
                made.unwrap();
                let place = StagingPlace {
                    store: StagingStore::Azure {
                        storage_account: STORAGE_ACCOUNT.to_owned(),
                        container: BUCKET.to_owned(),
                        endpoint: Some(azurite.endpoint(STORAGE_ACCOUNT)),
                        identity: AzureIdentity::AccessKey {
                            access_key: Secret::new(azurite.key(STORAGE_ACCOUNT).to_owned()),
                        },
                    },
                    prefix: PREFIX.to_owned(),
                };
                let stores = stores(settings("http://127.0.0.1:1"));
                let staging = stores.staging(&place).unwrap();
                (staging, Hand::Azure(Box::new(azurite)))
            }
        };
        staging.write_marker(STAGING).await.unwrap();
        let trash = BucketTrash::open(&staging, STAGING).await.unwrap();
        trash.prove_conditions().await.unwrap();
        let trash = Arc::new(trash);
        Some(Self {
            originals: Arc::new(BucketOriginals::open(&staging, STAGING).await.unwrap()),
            trash: Arc::<BucketTrash>::clone(&trash),
            erasers: trash,
            bucket: Some(staging),
            hand,
            _scratch: scratch,
        })
    }

    pub(crate) fn lab(&self) -> &S3Lab {
        match &self.hand {
            Hand::S3(lab) => lab,
            Hand::Folder(_) | Hand::Azure(_) => panic!("no laboratory"),
        }
    }

    /// The recorder puts a file or object there, over whatever is.
    pub(crate) async fn put(&self, path: &str, bytes: &[u8]) {
        match &self.hand {
            Hand::Folder(staging) => {
                drop(staging.put(path.strip_prefix("acme/").unwrap(), bytes));
            }
            Hand::S3(lab) => lab
                .overwrite_object(BUCKET, &format!("{PREFIX}/{path}"), bytes)
                .unwrap(),
            Hand::Azure(azurite) if bytes.is_empty() => {
                let key = format!("{PREFIX}/{path}");
                let put = azurite.commit_nothing(STORAGE_ACCOUNT, BUCKET, &key);
                put.await.unwrap();
            }
            Hand::Azure(azurite) => {
                let key = format!("{PREFIX}/{path}");
                let put = azurite.overwrite(STORAGE_ACCOUNT, BUCKET, &key, bytes);
                put.await.unwrap();
            }
        }
    }

    /// What is there, seen by others.
    pub(crate) async fn read(&self, path: &str) -> Option<Vec<u8>> {
        match &self.hand {
            Hand::Folder(staging) => std::fs::read(staging.at(path)).ok(),
            Hand::S3(lab) => {
                let read = lab.read_object(BUCKET, &format!("{PREFIX}/{path}"));
                read.unwrap().map(|stored| stored.bytes)
            }
            Hand::Azure(azurite) => {
                let key = format!("{PREFIX}/{path}");
                azurite.read(STORAGE_ACCOUNT, BUCKET, &key).await.unwrap()
            }
        }
    }

    /// Somebody takes it away.
    pub(crate) async fn remove(&self, path: &str) {
        match &self.hand {
            Hand::Folder(staging) => std::fs::remove_file(staging.at(path)).unwrap(),
            Hand::S3(lab) => {
                let removed = lab.delete_object(BUCKET, &format!("{PREFIX}/{path}"));
                assert!(removed.unwrap());
            }
            Hand::Azure(azurite) => {
                let key = format!("{PREFIX}/{path}");
                let gone = azurite.delete(STORAGE_ACCOUNT, BUCKET, &key);
                gone.await.unwrap();
            }
        }
    }

    /// Somebody takes the marker away, as an unmounted volume or another bucket looks.
    pub(crate) async fn unmark(&self) {
        let marker = match self.hand {
            Hand::Folder(_) => ".callferry-staging",
            Hand::S3(_) | Hand::Azure(_) => ".callferry/staging",
        };
        self.remove(marker).await;
    }

    pub(crate) async fn open(&self, path: &str) -> Result<Box<dyn Original>, StagingFault> {
        self.originals.open(&staging_path(path)).await
    }

    /// An original that is there, as transfer would remember it.
    pub(crate) async fn copied(&self, path: &str) -> Copied {
        let original = self.open(path).await.unwrap();
        Copied {
            path: path.to_owned(),
            identity: original.identity(),
            digests: original.digests().await.unwrap(),
        }
    }
}

/// An original that was copied.
#[derive(Debug, Clone)]
pub(crate) struct Copied {
    pub(crate) path: String,
    pub(crate) identity: Identity,
    pub(crate) digests: Digests,
}

impl Copied {
    /// The permission that a good second look under this token gives.
    pub(crate) fn permission(&self, token: u128) -> Releasable {
        self.permission_for(token, LEASE)
    }

    /// The same under a lease that has so long to go.
    pub(crate) fn permission_for(&self, token: u128, ttl: Duration) -> Releasable {
        let size = usize::try_from(self.digests.size_bytes).unwrap();
        let mut announced = announced("rec", size);
        announced.original.path = staging_path(&self.path);
        let receipt = Receipt {
            size_bytes: self.digests.size_bytes,
            sha256: self.digests.sha256,
            etag: "\"e\"".to_owned(),
            version_id: None,
            checksum: format!("crc64nvme:{}", self.digests.crc64nvme),
            content_md5: None,
            method: Method::ReportedChecksum,
            stored_at: chrono::DateTime::UNIX_EPOCH,
        };
        let record = Record::Stored {
            announced: announced.clone(),
            destination: destination("http://127.0.0.1:1"),
            key: ObjectKey::remembered("call/2026/11/22/rec.wav".to_owned()),
            receipt,
            identity: self.identity.clone(),
            acknowledgment_id: Uuid::nil(),
            released: false,
        };
        #[expect(clippy::disallowed_methods, reason = "a test plays the ledger")]
        let recalled = Recording::recall(record);
        let Recording::Stored(stored) = recalled else {
            panic!("not stored");
        };
        let observed = Observed {
            size_bytes: self.digests.size_bytes,
            crc64nvme: Some(self.digests.crc64nvme),
            etag: "\"e\"".to_owned(),
            version_id: None,
            content_md5: None,
            blocks: None,
            metadata: BTreeMap::from([
                ("callferry-account".to_owned(), "acme".to_owned()),
                ("callferry-recording".to_owned(), "rec".to_owned()),
            ]),
            read_back: None,
        };
        let expected = Expected {
            digests: self.digests,
            sent: None,
            first_look: None,
        };
        let proof = expected.verify(&announced, observed).unwrap();
        let lease = Lease {
            token: Uuid::from_u128(token),
            fence: Fence::new(clocks(), Clocks.boot(), ttl),
        };
        stored.releasable(&proof, &lease).unwrap()
    }
}
