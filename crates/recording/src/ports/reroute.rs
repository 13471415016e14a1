//! Giving a recording that is not stored yet another revision: what must be known of it, and the
//! one write that does it.

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    Advance, Announced, Destination, LedgerFault, ObjectKey, ParkReason, RecordingKey, State,
    object_key,
};

/// How long after somebody worked on a recording a write of its may still be on its way.
///
/// A PUT or a complete is given up five minutes after it was signed at the latest, and the store
/// may end what it has read by then.
///
/// What no wait covers is a process that froze between signing and sending, for longer than this,
/// and then wakes: its request still creates the copy at the old key, until the signature or the
/// session ends. That is a second copy of the same bytes in the same customer's old bucket, and
/// nothing else: the ledger refuses whatever that process wants to write down.
pub const REROUTE_QUIET: Duration = Duration::from_secs(360);

/// What a recording's row says about moving it to another revision.
#[derive(Debug, Clone)]
pub enum Reroutable {
    /// There is no such recording.
    NoRow,
    /// It is beyond the transfer: its copy stays where it is.
    Beyond(State),
    /// It waits for a destination, and setting one is all it needs.
    Unpinned,
    /// The account has no such revision, and neither has the platform.
    NoTarget,
    /// It may be moved, if nothing lies at its key.
    May(Box<RerouteCandidate>),
}

/// A recording that may be moved.
#[derive(Debug, Clone)]
pub struct RerouteCandidate {
    /// The event's data.
    pub announced: Announced,
    /// The revision it is pinned to.
    pub from: Destination,
    /// The revision it would be given.
    pub to: Destination,
    /// Whether both write into the same bucket or container.
    pub same_bucket: bool,
    /// Claims so far: a move after another claim is refused.
    pub claims: u64,
    /// Whether somebody works on it now.
    pub leased: bool,
    /// How long ago somebody last worked on it; `None` if nobody ever did.
    pub worked_on: Option<Duration>,
    /// Why it is parked.
    pub parked: Option<ParkReason>,
    /// An upload in parts that may be open under the old key.
    pub upload_id: Option<String>,
}

impl RerouteCandidate {
    /// Its copy's key now.
    #[must_use]
    pub fn old_key(&self) -> ObjectKey {
        object_key(&self.announced, &self.from)
    }

    /// Whether the copy would lie at the very same place: another role or secret, another class
    /// of storage. Then there is nothing to prove, since every attempt after the first looks
    /// there before it sends.
    #[must_use]
    pub fn stays_in_place(&self) -> bool {
        self.same_bucket && self.old_key() == object_key(&self.announced, &self.to)
    }
}

/// One move. It is written only if the row is still as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rerouting {
    /// Which recording.
    pub key: RecordingKey,
    /// The revision it is pinned to.
    pub from: i64,
    /// The revision it is given: the account's own, or the platform's.
    pub to: i64,
    /// Claims when it was looked at.
    pub claims: u64,
    /// Nobody may have worked on it for this long.
    pub quiet: Duration,
    /// For the history: what was seen, and why.
    pub why: String,
    /// Whether leftovers of an upload are to be looked for under the new revision too.
    pub same_bucket: bool,
}

/// What the rerouting of recordings asks of the ledger.
#[async_trait]
pub trait RerouteLedger: Send + Sync {
    /// What a recording's row says. Without a revision: the one in force now.
    async fn reroutable(
        &self,
        key: &RecordingKey,
        to: Option<i64>,
    ) -> Result<Reroutable, LedgerFault>;

    /// Gives it the other revision, makes it due and begins its ladder anew, in one statement
    /// with its history row; never while a lease is live, nor after another claim. An upload in
    /// parts is forgotten, and its leftovers are due for a sweep.
    async fn reroute(&self, rerouting: &Rerouting) -> Result<Advance<()>, LedgerFault>;

    /// Makes a parked recording due now. `false`: it is not parked any more.
    async fn due_now(&self, key: &RecordingKey) -> Result<bool, LedgerFault>;
}
