//! The ledger, as far as roles see it: the truth about every recording. Each method that changes
//! a row is one statement with its history row, fenced by the lease's token; "somebody was
//! faster" is an ordinary result.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    AccountId, Announced, CheckReport, Destination, DueCheck, ExpiredCopy, ExpiryReason, Fault,
    HealthAnnouncement, Lease, LeaseLost, LedgerFault, LedgerReading, ObjectKey, ParkReason, Part,
    Queue, Receipt, Recording, RecordingKey, RefusalReason, Staged, StagingPath, State, Stored,
    Upload,
};

/// What a claim found.
#[derive(Debug, Clone)]
pub enum Claimed {
    /// The lease is ours: go on.
    Granted(Box<Granted>),
    /// Nothing to do now and the committed row carries the obligation: somebody else's live
    /// lease, or parked and its time has not come.
    Waits(State),
    /// Beyond the transfer: stored, released or expired.
    Beyond(Recording),
    /// No revision covers it; the same statement parked it.
    NoDestination(Option<Announcement>),
    /// No such account; nothing was written.
    AccountUnknown,
    /// The id was announced before with other content; nothing was written. Names the field.
    Conflict(String),
    /// Another unreleased recording has the same path; nothing was written.
    PathInUse,
    /// A drive for a recording that has no row.
    NoRow,
}

/// A granted claim.
#[derive(Debug, Clone)]
pub struct Granted {
    /// The recording.
    pub staged: Staged,
    /// Our lease.
    pub lease: Lease,
    /// Whether anybody claimed it before: then look before sending.
    pub tried_before: bool,
    /// How many times in a row it was parked: the rung of the ladder.
    pub rungs: u32,
    /// How long ago it was claimed first, by the ledger's clock.
    pub known_for: Duration,
    /// How many leases in a row ran out without an outcome before this one: a suspicion that the
    /// recording takes its process down.
    pub unclean_claims: u32,
    /// An upload in parts that an earlier claim left open.
    pub upload: Option<Upload>,
    /// Why its destination's breaker is open, and this recording is not the one that may try:
    /// it is to be held back, without a request to anybody.
    pub shut: Option<Fault>,
}

/// The result of a compare-and-set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advance<T> {
    /// The row is as asked.
    Done(T),
    /// The lease is no longer ours; nothing was written.
    Overtaken,
}

/// Why a recording is parked, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parking {
    /// Why.
    pub reason: ParkReason,
    /// What was seen, for people.
    pub detail: String,
    /// When it is tried again, from now by the ledger's clock, which also jitters it by ±20 %;
    /// `None` waits for a person.
    pub after: Option<Duration>,
}

/// Why a release is refused, and until when. The recording stays stored.
pub type ReleaseRefusal = Parking;

/// An event that a row owes to the outside, besides the acknowledgment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Which recording.
    pub key: RecordingKey,
    /// The event's id, stable over repetitions.
    pub id: Uuid,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// What happened.
    pub what: Happened,
}

/// What an [`Announcement`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// Parked for a new reason, until then.
    Parked(ParkReason, Option<DateTime<Utc>>),
    /// Released.
    Released,
    /// Its copy is gone, why, and what it was; `None` where no copy was ever proven.
    Expired(ExpiryReason, Option<Box<ExpiredCopy>>),
}

/// What is noted without waiting: losing a note only repeats an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The acknowledgment with this id is confirmed.
    Acknowledged(RecordingKey, Uuid),
    /// The announcement with this id is confirmed.
    Announced(RecordingKey, Uuid),
}

/// What a claim for release found.
#[derive(Debug, Clone)]
pub enum ReleaseClaim {
    /// The lease is ours: go on.
    Granted(Box<ReleaseGranted>),
    /// Somebody else's live lease, or a refused release whose time has not come.
    Waits,
    /// Not stored (any more, or again): the ledger drives it. The path is where its original
    /// belongs, should something of it lie in the trash.
    NotStored(State, StagingPath),
    /// Stored, but with another receipt than the message's.
    OtherReceipt,
    /// No such row.
    NoRow,
}

/// A granted claim for release.
#[derive(Debug, Clone)]
pub struct ReleaseGranted {
    /// The recording.
    pub stored: Stored,
    /// Our lease.
    pub lease: Lease,
    /// How many times in a row its release was refused: the rung of the ladder.
    pub rungs: u32,
}

/// A message for the quarantine table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineEntry {
    /// Why.
    pub reason: RefusalReason,
    /// Names the field and the fix.
    pub detail: String,
    /// The queue it came from, to which it would be returned.
    pub queue: Queue,
    /// The body; the catalog cuts what is over 256 KiB and marks it not requeuable.
    pub body: Bytes,
    /// The content type it came with.
    pub content_type: Option<String>,
    /// The account and path that the message names, if it could be understood that far: what
    /// decides when it is returned by itself.
    pub names: Option<(String, String)>,
}

/// A quarantined message that may go back to its queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requeue {
    /// The row.
    pub id: i64,
    /// The queue it goes to.
    pub queue: Queue,
    /// The message as it came.
    pub message: Queued,
}

/// A message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// The body.
    pub body: Bytes,
    /// The content type it came with.
    pub content_type: Option<String>,
}

/// A destination whose open uploads are to be looked through for one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// Whose uploads.
    pub account: AccountId,
    /// Where.
    pub destination: Destination,
}

/// The upload that a recording may go on with.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownUpload {
    /// What says which keys are its own, whatever destination it is pinned to.
    pub announced: Announced,
    /// Whether its words are erased: then they say of no key any more that it was its own.
    pub erased: bool,
    /// The key of its copy.
    pub object_key: ObjectKey,
    /// Its upload, while its copy is not proven.
    pub upload_id: Option<String>,
}

/// The ledger. Every method may fail with [`LedgerFault`]; after a failed write it is unknown
/// whether it happened, and the next read tells.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Claims a recording by its event: inserts the row if it is new, pins destination and
    /// retention, takes the lease, and says where the recording stands. One statement.
    async fn claim(&self, announced: &Announced) -> Result<Claimed, LedgerFault>;

    /// Claims a recording that the ledger itself drove on.
    async fn claim_due(&self, key: &RecordingKey) -> Result<Claimed, LedgerFault>;

    /// Renews a lease and moves its fence.
    async fn renew(
        &self,
        key: &RecordingKey,
        lease: &Lease,
    ) -> Result<Result<(), LeaseLost>, LedgerFault>;

    /// Remembers an upload in parts before its first part is sent, in place of any other. It also
    /// makes its account's uploads in that destination due for a sweep of leftovers.
    async fn upload_begun(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        upload: &Upload,
    ) -> Result<Advance<()>, LedgerFault>;

    /// Remembers parts that the store took.
    async fn upload_landed(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        parts: &[Part],
    ) -> Result<Advance<()>, LedgerFault>;

    /// Ends a lease without an outcome and without clearing the suspicion, for a process of its
    /// own that claims the recording next. The row is due again when a lease would have ended.
    async fn lend(&self, key: &RecordingKey, lease: &Lease) -> Result<Advance<()>, LedgerFault>;

    /// Notes that the process a recording was lent to died. The third in a row without an outcome
    /// parks it for a person as `kills_worker`. Nothing happens if the recording went on
    /// meanwhile.
    async fn child_died(
        &self,
        key: &RecordingKey,
        how: &str,
    ) -> Result<Option<Announcement>, LedgerFault>;

    /// `Staged → Stored`, with the receipt, the original's identity and the end of the lease. The
    /// destination is healthy from here on; what its breaker held back is made due.
    async fn store(&self, lease: &Lease, stored: &Stored) -> Result<Advance<()>, LedgerFault>;

    /// `Staged → Parked`, with the end of the lease. Parking again for the same reason updates
    /// counters and writes no history; a new reason owes an announcement. The reason may make the
    /// destination unhealthy ([`ParkReason::blame`]), which opens its breaker.
    async fn park(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        parking: &Parking,
    ) -> Result<Advance<Option<Announcement>>, LedgerFault>;

    /// `Staged → Parked` without an attempt, because the destination's breaker is open, for the
    /// destination's reason. It is tried when the breaker closes, or as its probe.
    async fn hold(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        shut: &Fault,
    ) -> Result<Advance<Option<Announcement>>, LedgerFault>;

    /// Ends a lease without an outcome: an orderly shutdown. The row is due at once.
    async fn give_back(
        &self,
        key: &RecordingKey,
        lease: &Lease,
    ) -> Result<Advance<()>, LedgerFault>;

    /// Claims a stored recording for release. With a receipt, only if it is the row's.
    async fn claim_release(
        &self,
        key: &RecordingKey,
        receipt: Option<&Receipt>,
    ) -> Result<ReleaseClaim, LedgerFault>;

    /// `Stored → Released`. `how` goes into the history ("deleted", "already gone").
    async fn release(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        how: &str,
    ) -> Result<Advance<Announcement>, LedgerFault>;

    /// Keeps a recording stored, with the reason why its release is refused.
    async fn refuse_release(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        refusal: &ReleaseRefusal,
    ) -> Result<Advance<()>, LedgerFault>;

    /// `Stored → Parked(copy_lost)`, due at once: the copy is provably gone, the original intact.
    async fn copy_lost(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        detail: &str,
    ) -> Result<Advance<Option<Announcement>>, LedgerFault>;

    /// The recordings that are due for a queue, oldest first, marked driven in the same
    /// statement; due again only without a claim in 10 minutes, doubling to 6 hours. What waits
    /// for a destination whose breaker is open is not among them.
    async fn due(&self, queue: Queue, limit: u32) -> Result<Vec<RecordingKey>, LedgerFault>;

    /// Tends the breakers. Where one is open, the rows that are due are put off, and one
    /// recording at a time is driven as its probe: those are returned, marked driven. Where one
    /// has closed, what it held back is made due, a batch at a time, spread over a minute for
    /// each thousand.
    async fn tend_breakers(&self, limit: u32) -> Result<Vec<(Queue, RecordingKey)>, LedgerFault>;

    /// Destinations whose change of health is to be told, marked so that it is told again in a
    /// minute unless [`Ledger::health_announced`] follows. One that changed back before anybody
    /// was told is not among them.
    async fn health_announcements(
        &self,
        limit: u32,
    ) -> Result<Vec<HealthAnnouncement>, LedgerFault>;

    /// The announcement with this id is confirmed.
    async fn health_announced(&self, revision: i64, id: Uuid) -> Result<(), LedgerFault>;

    /// Destinations in use whose daily check is due, marked so that two replicas do not check the
    /// same; due again in an hour unless [`Ledger::checked`] follows.
    async fn checks(&self, limit: u32) -> Result<Vec<DueCheck>, LedgerFault>;

    /// What a check found: it moves the destination's health, and says when the next is due.
    async fn checked(&self, check: &DueCheck, report: &CheckReport) -> Result<(), LedgerFault>;

    /// Clears the mark of those whose drive was not confirmed.
    async fn undrive(&self, queue: Queue, keys: &[RecordingKey]) -> Result<(), LedgerFault>;

    /// Announcements that are owed for more than 60 s.
    async fn announcements(&self, limit: u32) -> Result<Vec<Announcement>, LedgerFault>;

    /// Notes something without waiting; written in batches.
    fn note(&self, note: Note);

    /// Destinations whose open uploads are due for a sweep, marked so that two replicas do not
    /// sweep the same.
    async fn sweeps(&self, limit: u32) -> Result<Vec<Sweep>, LedgerFault>;

    /// Notes that a sweep ended; `again` if there is something younger than it takes up.
    async fn swept(&self, sweep: &Sweep, again: bool) -> Result<(), LedgerFault>;

    /// What the ledger knows of a recording's upload; `None` if there is no such recording.
    async fn known_upload(&self, key: &RecordingKey) -> Result<Option<KnownUpload>, LedgerFault>;

    /// Deletes quarantined messages that cannot be requeued and are older than 90 days, and
    /// counts them.
    async fn purge_quarantine(&self) -> Result<u64, LedgerFault>;

    /// Deletes the rows of the access log whose own time is over, and counts them.
    async fn purge_accesses(&self) -> Result<u64, LedgerFault>;

    /// Pays what erasures owe when the copy is gone: personal words that are left, and quarantined
    /// messages. Counts the recordings whose words it took.
    async fn finish_erasures(&self) -> Result<u64, LedgerFault>;

    /// Counts what is open, and how old it is.
    async fn reading(&self) -> Result<LedgerReading, LedgerFault>;

    /// Keeps a quarantined message: one row for each reason and body, counted.
    async fn quarantine(&self, entry: &QuarantineEntry) -> Result<(), LedgerFault>;

    /// Quarantined messages that may return by themselves: their account exists now, their path
    /// is free, or their delivery limit's time has come. Marked, so that two replicas do not
    /// return the same; they are due again if [`Ledger::requeued`] does not follow in a minute.
    async fn requeues(&self, limit: u32) -> Result<Vec<Requeue>, LedgerFault>;

    /// A quarantined message is back in its queue, confirmed: its row ends.
    async fn requeued(&self, id: i64) -> Result<(), LedgerFault>;

    /// Asks whether the ledger answers.
    async fn probe(&self) -> Result<(), LedgerFault>;
}
