//! The handle a test or the demo holds.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use super::clock::locked;
use super::faults::{FaultId, FaultRule, Faults};
use super::history::{History, Seen};
use super::identity::{Directory, Identity, Role};
use super::operation::Operation;
use super::pace::Pace;
use super::server::Listening;
use super::store::Store;

/// How to start.
#[derive(Clone, Debug, Default)]
pub struct LabOptions {
    /// Where buckets lie; none: a temporary directory that goes with the handle.
    pub data_dir: Option<PathBuf>,
    /// Loopback port; 0: a free one.
    pub port: u16,
    /// `ETags` that are no MD5, as under KMS. Saves the server most of its processor time, for
    /// measurements of the clients.
    pub opaque_etags: bool,
}

/// Ways in which stores that call themselves S3 differ from S3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// Writes happen whatever `If-None-Match` and `If-Match` say.
    pub ignores_conditions: bool,
    /// DELETE happens whatever `If-Match` says.
    pub deletes_unconditionally: bool,
    /// HEAD and GET never report a checksum. (Claimed checksums are still verified.)
    pub reports_no_checksum: bool,
    /// Completing an upload in parts happens whatever its conditions say; a PUT heeds them.
    pub ignores_conditions_on_complete: bool,
}

/// What a bucket's owner arranged besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arranged {
    /// Whoever writes or reads under a KMS key must be allowed to use it, by a role's `kms:`
    /// actions on the key as the request names it.
    pub guards_keys: bool,
    /// Object Lock: no version may be deleted, markers excepted.
    pub locks_versions: bool,
}

/// A laboratory server. Dropping it cuts every connection and ends it.
pub struct S3Lab {
    lab: Arc<Lab>,
    root: PathBuf,
    address: SocketAddr,
    listening: Mutex<Option<Listening>>,
    /// Keeps a temporary directory alive.
    _temporary: Option<TempDir>,
}

/// What requests share with the handle.
pub(crate) struct Lab {
    pub(crate) directory: Directory,
    pub(crate) faults: Faults,
    pub(crate) history: History,
    /// The line that all bodies share.
    pub(crate) pace: Pace,
    store: Mutex<Arc<Store>>,
    quirks: Mutex<BTreeMap<String, Quirks>>,
    arranged: Mutex<BTreeMap<String, Arranged>>,
    opaque_etags: bool,
}

impl Lab {
    /// The store as opened last.
    pub(crate) fn store(&self) -> Arc<Store> {
        Arc::clone(&locked(&self.store))
    }

    pub(crate) fn quirks(&self, bucket: &str) -> Quirks {
        let quirks = locked(&self.quirks);
        quirks.get(bucket).copied().unwrap_or_default()
    }

    pub(crate) fn arranged(&self, bucket: &str) -> Arranged {
        let arranged = locked(&self.arranged);
        arranged.get(bucket).copied().unwrap_or_default()
    }

    pub(crate) fn opaque_etags(&self) -> bool {
        self.opaque_etags
    }
}

impl S3Lab {
    /// Starts on a free loopback port with a temporary directory.
    ///
    /// # Errors
    /// When the directory cannot be made or the port not be bound.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(LabOptions::default()).await
    }

    /// Starts; a data directory used before brings its buckets, objects and uploads back.
    /// Identities and roles are the caller's to register again.
    ///
    /// # Errors
    /// When the directory cannot be read or the port not be bound.
    pub async fn start_with(options: LabOptions) -> io::Result<Self> {
        let (root, temporary) = match options.data_dir {
            Some(root) => (root, None),
            None => {
                let temporary = tempfile::Builder::new().prefix("s3-lab-").tempdir()?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let store = Arc::new(Store::open(&root)?);
        let lab = Arc::new(Lab {
            directory: Directory::default(),
            faults: Faults::default(),
            history: History::default(),
            pace: Pace::default(),
            store: Mutex::new(Arc::clone(&store)),
            quirks: Mutex::default(),
            arranged: Mutex::default(),
            opaque_etags: options.opaque_etags,
        });
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
        let listening = Listening::start(address, Arc::clone(&lab), store).await?;
        Ok(Self {
            lab,
            root,
            address: listening.address,
            listening: Mutex::new(Some(listening)),
            _temporary: temporary,
        })
    }

    /// The URL of both S3 (path style) and STS.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the data lies.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.root
    }

    /// Cuts every connection and closes the port, as a crash does. When it returns, no request is
    /// being worked on. Identities, roles, sessions, faults and history stay.
    pub async fn stop(&self) {
        let listening = locked(&self.listening).take();
        if let Some(listening) = listening {
            listening.stop().await;
        }
        self.lab.store().settle().await;
    }

    /// Opens the same port again, over what the data directory says.
    ///
    /// # Errors
    /// When the directory cannot be read, or the port is taken (also by this server still running).
    pub async fn start_again(&self) -> io::Result<()> {
        if locked(&self.listening).is_some() {
            return Err(io::Error::from(io::ErrorKind::AddrInUse));
        }
        let store = Arc::new(Store::open(&self.root)?);
        *locked(&self.lab.store) = Arc::clone(&store);
        let lab = Arc::clone(&self.lab);
        let listening = Listening::start(self.address, lab, store).await?;
        *locked(&self.listening) = Some(listening);
        Ok(())
    }

    /// Makes a bucket that belongs to an account (12 digits).
    ///
    /// # Errors
    /// When it exists already, or the journal cannot be written.
    pub fn create_bucket(&self, name: &str, owner: &str) -> io::Result<()> {
        self.make_bucket(name, owner, (false, false))
    }

    /// Makes a bucket that keeps versions.
    ///
    /// # Errors
    /// When it exists already, or the journal cannot be written.
    pub fn create_versioned_bucket(&self, name: &str, owner: &str) -> io::Result<()> {
        self.make_bucket(name, owner, (true, false))
    }

    /// Makes a bucket that keeps versions and has a default retention of Object Lock: it takes no
    /// object and no part without a checksum, and none of its versions can be deleted.
    ///
    /// # Errors
    /// When it exists already, or the journal cannot be written.
    pub fn create_locking_bucket(&self, name: &str, owner: &str) -> io::Result<()> {
        self.make_bucket(name, owner, (true, true))
    }

    /// Has a bucket keep versions from now on, as its owner may at any time: what lies in it has
    /// the version id `null` then. False when there is none.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn enable_versioning(&self, name: &str) -> io::Result<bool> {
        self.lab.store().keep_versions(name)
    }

    /// Removes a bucket with everything in it; false when there is none.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn delete_bucket(&self, name: &str) -> io::Result<bool> {
        self.lab.store().delete_bucket(name)
    }

    /// Makes a bucket differ from S3; [`Quirks::default`] makes it S3 again.
    pub fn set_quirks(&self, bucket: &str, quirks: Quirks) {
        locked(&self.lab.quirks).insert(bucket.to_owned(), quirks);
    }

    /// Arranges a bucket as its owner may.
    pub fn arrange(&self, bucket: &str, arranged: Arranged) {
        locked(&self.lab.arranged).insert(bucket.to_owned(), arranged);
    }

    /// Registers a base identity, or replaces the one with its access key.
    pub fn put_identity(&self, identity: Identity) {
        self.lab.directory.put_identity(identity);
    }

    /// Forgets a base identity; false when there is none with this key.
    pub fn remove_identity(&self, access_key_id: &str) -> bool {
        self.lab.directory.remove_identity(access_key_id)
    }

    /// Registers a role, or replaces the one with its ARN. Sessions feel it at once.
    pub fn put_role(&self, role: Role) {
        self.lab.directory.put_role(role);
    }

    /// Removes a role; its sessions may do nothing more. False when there is none.
    pub fn remove_role(&self, arn: &str) -> bool {
        self.lab.directory.remove_role(arn)
    }

    /// Changes a role in place: other external id, denied action, other trust. Sessions feel it at
    /// once. False when there is none.
    pub fn change_role(&self, arn: &str, change: impl FnOnce(&mut Role)) -> bool {
        self.lab.directory.change_role(arn, change)
    }

    /// Gives every session to come this lifetime, whatever is asked; none: as asked.
    pub fn force_session_lifetime(&self, lifetime: Option<Duration>) {
        self.lab.directory.force_lifetime(lifetime);
    }

    /// Ends every session now.
    pub fn expire_sessions(&self) {
        self.lab.directory.expire_sessions();
    }

    /// Makes requests go wrong from now on. Rules apply in the order they were armed.
    pub fn arm(&self, rule: FaultRule) -> FaultId {
        self.lab.faults.arm(rule)
    }

    /// Removes a rule; requests hanging on it go on.
    pub fn clear_fault(&self, id: FaultId) {
        self.lab.faults.clear(id);
    }

    /// Removes every rule and the latency.
    pub fn clear_faults(&self) {
        self.lab.faults.clear_all();
    }

    /// Lets go the requests that hang on a rule now.
    pub fn release(&self, id: FaultId) {
        self.lab.faults.release(id);
    }

    /// How often a rule struck.
    #[must_use]
    pub fn struck(&self, id: FaultId) -> u64 {
        self.lab.faults.struck(id)
    }

    /// Makes every request take at least this long.
    pub fn set_latency(&self, latency: Duration) {
        self.lab.faults.set_latency(latency);
    }

    /// Lets the bodies of all requests and answers together move no faster than this; none: as
    /// fast as it goes. Requests that have begun feel a change only if there was a limit before.
    pub fn set_bandwidth(&self, bytes_per_second: Option<u64>) {
        self.lab.pace.set(bytes_per_second.unwrap_or_default());
    }

    /// Every request so far, in the order in which they ended.
    #[must_use]
    pub fn history(&self) -> Vec<Seen> {
        self.lab.history.all()
    }

    /// How many requests of each operation ended.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Operation, u64> {
        self.lab.history.counts()
    }

    /// How many requests of one operation ended.
    #[must_use]
    pub fn count(&self, operation: Operation) -> u64 {
        self.counts().get(&operation).copied().unwrap_or_default()
    }

    /// Forgets the history and the counts.
    pub fn clear_history(&self) {
        self.lab.history.clear();
    }

    pub(crate) fn store(&self) -> Arc<Store> {
        self.lab.store()
    }

    fn make_bucket(&self, name: &str, owner: &str, keeps: (bool, bool)) -> io::Result<()> {
        let digits = owner.len() == 12 && owner.bytes().all(|byte| byte.is_ascii_digit());
        if !digits {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        if self.lab.store().create_bucket(name, owner, keeps)? {
            Ok(())
        } else {
            Err(io::Error::from(io::ErrorKind::AlreadyExists))
        }
    }
}

impl std::fmt::Debug for S3Lab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Lab")
            .field("address", &self.address)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}
