//! The end of a copy: what retention or an erasure asks of the ledger and of customers' buckets.
//!
//! **Order of effects.** The ledger grants a deletion and writes the intent down, under the row's
//! lock, only if the time has come and no legal hold is on the recording. Then every version of the
//! copy is deleted, and a new request looks. Only a look that finds nothing of it makes a [`Gone`],
//! and only with a [`Gone`] does the ledger call the recording expired.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Absence, AccountId, Advance, Announcement, Destination, Fault, Fence, Lease, LedgerFault,
    ObjectKey, Observed, RecordingKey, Released, Withdrawn,
};

/// Why a copy goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryReason {
    /// Its retention has ended.
    Retention,
    /// Somebody asked for its erasure.
    Erasure,
}

impl ExpiryReason {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Retention, Self::Erasure];

    /// The word, in the ledger, in events and in receipts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Erasure => "erasure",
        }
    }
}

/// Why a copy is still there although its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Retained {
    /// A legal hold is on the recording.
    Held,
    /// We may not delete it.
    Denied,
    /// It is locked at the store: Object Lock, an immutability policy, a hold or a lease there.
    Locked,
    /// It is not known whether it is gone.
    Unclear,
}

impl Retained {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Held, Self::Denied, Self::Locked, Self::Unclear];

    /// The word, in the ledger, on the command line and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Denied => "denied",
            Self::Locked => "locked",
            Self::Unclear => "unclear",
        }
    }

    /// Whether it is the customer's bucket that keeps it.
    #[must_use]
    pub fn by_customer(self) -> bool {
        match self {
            Self::Denied | Self::Locked => true,
            Self::Held | Self::Unclear => false,
        }
    }
}

/// Which copy: where it lies, and what it is known by.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyOf {
    /// Whose.
    pub key: RecordingKey,
    /// Where.
    pub destination: Destination,
    /// Its key there.
    pub object_key: ObjectKey,
    /// Its size.
    pub size_bytes: u64,
    /// Its entity tag when it was proved; `None`: it never was, so only its own metadata tells
    /// that something is it.
    pub etag: Option<String>,
    /// Its version then, in a bucket that kept versions.
    pub version_id: Option<String>,
}

impl CopyOf {
    /// The copy of a released recording.
    #[must_use]
    pub fn of(released: &Released) -> Self {
        let stored = released.stored();
        let receipt = stored.receipt();
        Self {
            key: stored.announced().key.clone(),
            destination: stored.destination().clone(),
            object_key: stored.object_key().clone(),
            size_bytes: receipt.size_bytes,
            etag: Some(receipt.etag.clone()),
            version_id: receipt.version_id.clone(),
        }
    }

    /// What may lie at the key of a recording that was erased before a copy of it was proven;
    /// `None`: it was never pinned to a destination.
    #[must_use]
    pub fn unproven(withdrawn: &Withdrawn) -> Option<Self> {
        let (destination, object_key) = withdrawn.place()?;
        Some(Self {
            key: withdrawn.key().clone(),
            destination: destination.clone(),
            object_key: object_key.clone(),
            size_bytes: withdrawn.size_bytes(),
            etag: None,
            version_id: None,
        })
    }

    /// Whether something that lies at the key is this copy, by what is listed of it: the version
    /// that was proved, or the very bytes.
    #[must_use]
    pub fn is_listed_as(&self, version_id: Option<&str>, etag: &str, size_bytes: u64) -> bool {
        let plain = |etag: &str| etag.trim_matches('"').to_owned();
        let same_version = version_id.is_some() && version_id == self.version_id.as_deref();
        let same_bytes = self
            .etag
            .as_ref()
            .is_some_and(|known| plain(known) == plain(etag));
        same_version || (same_bytes && size_bytes == self.size_bytes)
    }

    /// Whether what was seen at the key is this copy: by the above, or because its metadata names
    /// this recording of this account (another writer's version of the same recording, or the copy
    /// after its customer changed its class or its key).
    #[must_use]
    pub fn is(&self, observed: &Observed) -> bool {
        let says = |name: &str| observed.metadata.get(name).map(String::as_str);
        let named = says("callferry-account") == Some(self.key.account_id.as_str())
            && says("callferry-recording") == Some(self.key.recording_id.as_str());
        let (version, etag) = (observed.version_id.as_deref(), observed.etag.as_str());
        named || self.is_listed_as(version, etag, observed.size_bytes)
    }
}

/// The permission to delete one copy, made by [`Expiring::removable`] only. It is not `Clone`.
#[derive(Debug)]
pub struct Removable {
    copy: CopyOf,
    fence: Fence,
}

impl Removable {
    /// Which copy may go.
    #[must_use]
    pub fn copy(&self) -> &CopyOf {
        &self.copy
    }

    /// The local check of the lease, to be asked right before each request that deletes.
    #[must_use]
    pub fn fence(&self) -> &Fence {
        &self.fence
    }
}

/// A released recording whose copy is to go, leased to us.
#[derive(Debug)]
pub struct Expiring {
    key: RecordingKey,
    copy: Option<CopyOf>,
    upload_id: Option<String>,
    unproven: bool,
    lease: Lease,
    why: ExpiryReason,
    attempts: u32,
    granted: bool,
}

impl Expiring {
    /// What the ledger granted. Without `granted`, a hold came after a deletion may have been
    /// sent: all that may be done is to look.
    #[must_use]
    pub fn new(
        released: &Released,
        lease: Lease,
        why: ExpiryReason,
        (attempts, granted): (u32, bool),
    ) -> Self {
        let copy = CopyOf::of(released);
        Self {
            key: copy.key.clone(),
            copy: Some(copy),
            upload_id: None,
            unproven: false,
            lease,
            why,
            attempts,
            granted,
        }
    }

    /// The same of a recording that was erased before a copy of it was proven.
    #[must_use]
    pub fn unproven(
        withdrawn: &Withdrawn,
        lease: Lease,
        why: ExpiryReason,
        (attempts, granted): (u32, bool),
    ) -> Self {
        Self {
            key: withdrawn.key().clone(),
            copy: CopyOf::unproven(withdrawn),
            upload_id: withdrawn.upload_id().map(ToOwned::to_owned),
            unproven: true,
            lease,
            why,
            attempts,
            granted,
        }
    }

    /// Whose.
    #[must_use]
    pub fn key(&self) -> &RecordingKey {
        &self.key
    }

    /// Which copy; `None`: it was never pinned to a destination, so that there is nowhere to look.
    #[must_use]
    pub fn copy(&self) -> Option<&CopyOf> {
        self.copy.as_ref()
    }

    /// Whether no copy of it was ever proven: then uploads in parts may be open at its key too.
    #[must_use]
    pub fn is_unproven(&self) -> bool {
        self.unproven
    }

    /// The upload in parts that the ledger knows of.
    #[must_use]
    pub fn upload_id(&self) -> Option<&str> {
        self.upload_id.as_deref()
    }

    /// The proof that there is nothing of it anywhere, where it had no destination.
    #[must_use]
    pub fn nowhere(&self) -> Option<Gone> {
        (self.unproven && self.copy.is_none() && self.granted).then_some(Gone {
            absence: Absence::NeverPinned,
        })
    }

    /// Our lease.
    #[must_use]
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Why it goes.
    #[must_use]
    pub fn why(&self) -> ExpiryReason {
        self.why
    }

    /// Deletions begun, this one included.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether the ledger gave a permission to delete it, and counted an attempt.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        self.granted
    }

    /// The permission to delete it, if the ledger gave one.
    #[must_use]
    pub fn removable(&self) -> Option<Removable> {
        let copy = self.copy.clone().filter(|_| self.granted)?;
        Some(Removable {
            copy,
            fence: self.lease.fence.clone(),
        })
    }
}

/// What became of the deletions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// The store took each of them; how many versions. A look must follow.
    Asked(u32),
    /// The store keeps it locked, and until when where it says so.
    Locked(Option<DateTime<Utc>>, String),
    /// One may have been carried out or not: a look tells.
    Unclear(String),
}

/// What a look found at a copy's key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remains {
    /// Versions that are this copy.
    pub versions: u32,
    /// Whether something else lies there, which is not ours to touch.
    pub others: bool,
    /// Whether the place keeps versions, and all of them were looked at.
    pub versioned: bool,
}

/// The proof that nothing of a copy is there any more: made by [`Remains::gone`] only, from a look
/// that could see all of the key, or by [`Expiring::nowhere`], and not kept.
#[derive(Debug)]
pub struct Gone {
    absence: Absence,
}

impl Remains {
    /// The proof, if nothing is left.
    #[must_use]
    pub fn gone(&self) -> Option<Gone> {
        (self.versions == 0).then_some(Gone {
            absence: match (self.versioned, self.others) {
                (true, false) => Absence::NoVersionAtTheKey,
                (true, true) => Absence::OtherVersionsAtTheKey,
                (false, false) => Absence::NothingAtTheKey,
                (false, true) => Absence::AnotherObjectAtTheKey,
            },
        })
    }
}

impl Gone {
    /// How it was seen.
    #[must_use]
    pub fn absence(&self) -> Absence {
        self.absence
    }
}

/// Deletes copies. Its sessions cannot write.
#[async_trait]
pub trait Removers: Send + Sync {
    /// Deletes every version that is this copy, and nothing else, asking the fence before each
    /// request. Nothing there is fine.
    ///
    /// # Errors
    /// It was refused, or could not be asked; nothing more was deleted.
    async fn remove(&self, removable: &Removable) -> Result<Removal, Fault>;

    /// Looks, in new requests, what is left of a copy. Unknown is an error, never absence.
    ///
    /// # Errors
    /// It could not be seen.
    async fn remains(&self, copy: &CopyOf) -> Result<Remains, Fault>;
}

/// Why a copy, or an original that is to be erased, stays for now, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Why.
    pub why: Retained,
    /// What was seen, for people.
    pub detail: String,
    /// When the store's lock ends, where it says so.
    pub lock_until: Option<DateTime<Utc>>,
    /// When it is tried again, from now by the ledger's clock, which also jitters it.
    pub after: Duration,
}

/// What a turn of the sweep was given.
#[derive(Debug, Default)]
pub struct ExpiryTurn {
    /// Leased to us.
    pub begun: Vec<Expiring>,
    /// Accounts for which the sweep stopped in this very turn, and why.
    pub stopped: Vec<(AccountId, String)>,
    /// Recordings that are due and that a hold keeps; they are looked at again later.
    pub held: u64,
}

/// What the ledger says about retention, for the operators' gauges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RetentionReading {
    /// Copies whose time has come, by why they are still there.
    pub retained: Vec<(Retained, u64)>,
    /// Stops that wait for a person.
    pub stops: u64,
    /// How long the longest of them has waited.
    pub stopped_for: Duration,
    /// How long the account whose turn has waited longest has waited for it.
    pub overdue: Duration,
    /// Erasures that are not over, without those that a hold keeps.
    pub erasures: u64,
    /// How long ago the oldest of them was asked for.
    pub erasing_for: Duration,
}

/// What the sweep asks of the ledger.
#[async_trait]
pub trait RetentionLedger: Send + Sync {
    /// The ledger's own time.
    async fn ledger_time(&self) -> Result<DateTime<Utc>, LedgerFault>;

    /// Takes the turn of up to `accounts` accounts and leases up to `batch` due recordings of
    /// each, the intent to delete written down. Nothing of an account whose sweep stopped, or
    /// looks wrong: that stops it.
    async fn begin_expiries(&self, accounts: u32, batch: u32) -> Result<ExpiryTurn, LedgerFault>;

    /// `Released → Expired`, with the proof in its history row. `versions` were deleted.
    async fn expire(
        &self,
        expiring: &Expiring,
        gone: Gone,
        versions: u32,
    ) -> Result<Advance<Announcement>, LedgerFault>;

    /// Keeps a recording released, with the reason why its copy is still there.
    async fn keep_copy(&self, expiring: &Expiring, kept: &Kept)
    -> Result<Advance<()>, LedgerFault>;

    /// Gives back what was granted and not begun: no attempt is counted, and no deletion may have
    /// been sent.
    async fn not_begun(&self, expiring: &Expiring) -> Result<(), LedgerFault>;

    /// Puts the next turn of an account off for `by`, or (without one) of the account whose turn
    /// it is now.
    async fn put_off(&self, account: Option<&AccountId>, by: Duration) -> Result<(), LedgerFault>;

    /// Stops the sweep of every account until a person confirms: the clocks contradict each other.
    async fn stop_retention(&self, detail: &str) -> Result<(), LedgerFault>;

    /// Notes, without waiting, that the event of an expiry is confirmed.
    fn expiry_told(&self, key: &RecordingKey, id: Uuid);

    /// Counts what is kept and what has stopped.
    async fn retention_reading(&self) -> Result<RetentionReading, LedgerFault>;
}
