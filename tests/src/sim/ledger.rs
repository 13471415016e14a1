//! The simulated ledger: the port's documented semantics over rows in memory. An illegal
//! transition, which the real one refuses, ends the run.

mod claims;
mod driving;
mod health;
mod outcomes;
mod port;
mod quarantine;
mod rerouting;
mod uploads;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use recording::{
    AccountId, Announced, Announcement, Destination, Identity, LEASE, ObjectKey, ParkReason,
    Receipt, RecordingKey, State, Upload,
};
use uuid::Uuid;

use super::mix::Mix;
use super::side::SimClock;
use super::world::Moment;

use health::Health;
pub(crate) use port::LedgerPort;
pub(crate) use quarantine::Kept;

/// Who claims: what a lease's holder must know to count its time.
#[derive(Debug, Clone)]
pub(crate) struct Claimant {
    /// The process.
    pub(crate) process: usize,
    /// Its boot clock.
    pub(crate) clock: Arc<SimClock>,
    /// When the claim was sent, by that clock.
    pub(crate) sent_at: Duration,
}

/// A lease, as the row knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// Whose it is.
    pub(crate) token: Uuid,
    /// The process that holds it.
    pub(crate) process: usize,
    /// When it ends, by the ledger's clock.
    pub(crate) ends_at: Duration,
}

/// A proven copy, as the row knows it.
#[derive(Debug, Clone)]
pub(crate) struct CopyRow {
    /// The object's key.
    pub(crate) key: ObjectKey,
    /// The evidence.
    pub(crate) receipt: Receipt,
    /// The original that was copied.
    pub(crate) identity: Identity,
    /// The id of its acknowledgment.
    pub(crate) acknowledgment_id: Uuid,
    /// When it was recorded.
    pub(crate) stored_at: Duration,
    /// When its acknowledgment was noted.
    pub(crate) acknowledged_at: Option<Duration>,
}

/// One recording's row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// The event's data.
    pub(crate) announced: Announced,
    /// The pinned revision.
    pub(crate) destination: Option<i64>,
    /// Where it stands.
    pub(crate) state: State,
    /// Why it is parked and when it is tried again.
    pub(crate) parked: Option<(ParkReason, Option<Duration>)>,
    /// Who works on it.
    pub(crate) lease: Option<Held>,
    /// How many claims were granted.
    pub(crate) claims: u64,
    /// How many times in a row it was parked.
    pub(crate) rungs: u32,
    /// When it was first claimed.
    pub(crate) known_since: Duration,
    /// When somebody last wrote anything about it under a lease.
    pub(crate) touched: Duration,
    /// Leases in a row that ran out without an outcome.
    pub(crate) unclean: u32,
    /// Processes of its own that died in a row.
    pub(crate) child_deaths: u32,
    /// An upload that was begun.
    pub(crate) upload: Option<Upload>,
    /// The proven copy.
    pub(crate) copy: Option<CopyRow>,
    /// Why its release is refused and when it is tried again.
    pub(crate) refused: Option<(ParkReason, Option<Duration>)>,
    /// How many times in a row its release was refused.
    pub(crate) release_rungs: u32,
    /// When it was last driven, and how often without a claim.
    pub(crate) driven: Option<(Duration, u32)>,
    /// Events it owes, and since when.
    pub(crate) owed: Vec<(Announcement, Duration)>,
    /// When it was released.
    pub(crate) released_at: Option<Duration>,
    /// Under which token the last outcome was written.
    pub(crate) last_token: Option<Uuid>,
    /// When it last moved, or stayed for a reason.
    pub(crate) moved_at: Duration,
    /// Where it came from: every transition.
    pub(crate) history: Vec<(State, State, String)>,
}

impl Row {
    /// Whether somebody works on it.
    pub(crate) fn is_held(&self, now: Duration) -> bool {
        self.lease.is_some_and(|held| held.ends_at > now)
    }
}

/// An account's destinations.
#[derive(Debug, Clone, Default)]
pub(crate) struct Owned {
    /// Its own revisions, oldest first.
    pub(crate) revisions: Vec<i64>,
}

/// The ledger.
#[derive(Debug)]
pub(crate) struct Rows {
    /// The recordings.
    pub(crate) rows: BTreeMap<RecordingKey, Row>,
    /// The accounts.
    pub(crate) accounts: BTreeMap<AccountId, Owned>,
    /// The platform's own revisions, oldest first.
    pub(crate) default: Vec<i64>,
    /// Every revision.
    pub(crate) destinations: BTreeMap<i64, Destination>,
    /// How each revision is.
    pub(crate) health: BTreeMap<i64, Health>,
    /// A breaker that is open stays so, by a mutant.
    pub(crate) never_probes: bool,
    /// How often each revision is checked.
    pub(crate) check_every: Duration,
    /// Quarantined messages.
    pub(crate) kept: BTreeMap<i64, Kept>,
    /// Transitions that the real ledger would refuse.
    pub(crate) illegal: Vec<String>,
    /// Notes that are not written yet: when they will be, whose they are.
    pub(crate) notes: Vec<(Duration, usize, u64, recording::Note)>,
    /// Rows whose fencing is switched off, by a mutant.
    pub(crate) unfenced: bool,
    /// A quarantine row ends although its message was refused again, by a mutant.
    pub(crate) forgetful: bool,
    /// Whose uploads are to be looked through where, and when.
    pub(crate) sweeps: BTreeMap<(AccountId, i64), Duration>,
    /// A recording is given another revision whoever works on it, by a mutant.
    pub(crate) hasty: bool,
    /// Uploads that were ever written down.
    pub(crate) begun: BTreeSet<String>,
    /// An account's uploads are looked through this long after the last was begun.
    pub(crate) sweep_after: Duration,
    strict_expiry: bool,
    remembers: bool,
    next_quarantine: i64,
}

impl Rows {
    pub(crate) fn new(mix: &Mix) -> Self {
        Self {
            rows: BTreeMap::new(),
            accounts: BTreeMap::new(),
            default: Vec::new(),
            destinations: BTreeMap::new(),
            health: BTreeMap::new(),
            never_probes: false,
            check_every: mix.check_every,
            kept: BTreeMap::new(),
            illegal: Vec::new(),
            notes: Vec::new(),
            unfenced: false,
            forgetful: false,
            hasty: false,
            sweeps: BTreeMap::new(),
            begun: BTreeSet::new(),
            sweep_after: mix.leftover_age,
            strict_expiry: mix.strict_expiry,
            remembers: mix.remembers,
            next_quarantine: 0,
        }
    }

    /// The row, if this very token brought it into this state before: the answer was lost, and
    /// it is asked for again.
    fn done_before(&self, key: &RecordingKey, token: Uuid, state: State) -> Option<&Row> {
        let row = self.rows.get(key).filter(|_| self.remembers)?;
        (row.last_token == Some(token) && row.state == state).then_some(row)
    }

    /// The row, if this token may write it.
    fn fenced(&mut self, key: &RecordingKey, token: Uuid, now: Duration) -> Option<&mut Row> {
        let (strict, unfenced) = (self.strict_expiry, self.unfenced);
        let row = self.rows.get_mut(key)?;
        let held = row.lease.is_some_and(|held| held.token == token);
        let live = row.lease.is_some_and(|held| held.ends_at > now);
        let may = unfenced || (held && (live || !strict));
        if may {
            row.touched = now;
        }
        may.then_some(row)
    }

    /// A transition: written into the history, and refused if there is no such one.
    fn advance(illegal: &mut Vec<String>, row: &mut Row, to: State, why: &str) {
        let from = row.state;
        let lost_copy = why == ParkReason::CopyLost.as_str();
        let legal = match (from, to) {
            (State::Staged, State::Parked | State::Stored)
            | (State::Parked, State::Staged | State::Stored)
            | (State::Stored, State::Released)
            | (State::Released, State::Expired) => true,
            (State::Parked, State::Parked) => true,
            (State::Stored, State::Parked) => lost_copy,
            (
                State::Staged | State::Parked | State::Stored | State::Released | State::Expired,
                State::Staged | State::Parked | State::Stored | State::Released | State::Expired,
            ) => false,
        };
        if !legal {
            let (from, to) = (from.as_str(), to.as_str());
            let key = &row.announced.key;
            illegal.push(format!("{key} was to go from {from} to {to} ({why})"));
        }
        row.history.push((from, to, why.to_owned()));
        row.state = to;
    }

    /// Takes the row's lease for a claimant.
    fn take(row: &mut Row, who: &Claimant, moment: Moment) -> recording::Lease {
        // A token that nobody took away means that its lease ran out.
        if row.lease.is_some() {
            row.unclean = row.unclean.saturating_add(1);
        }
        row.lease = Some(Held {
            token: moment.fresh,
            process: who.process,
            ends_at: moment.now + LEASE,
        });
        row.claims = row.claims.saturating_add(1);
        row.touched = moment.now;
        row.driven = None;
        let clock: Arc<dyn recording::Clock> = Arc::<SimClock>::clone(&who.clock);
        recording::Lease {
            token: moment.fresh,
            fence: recording::Fence::new(clock, who.sent_at, LEASE),
        }
    }

    /// Paths of recordings that are not released, but for one.
    fn path_is_taken(&self, announced: &Announced) -> bool {
        self.rows.values().any(|row| {
            row.announced.key.account_id == announced.key.account_id
                && row.announced.key != announced.key
                && row.announced.original.path == announced.original.path
                && !matches!(row.state, State::Released | State::Expired)
        })
    }

    /// The revision that covers a new recording of the account.
    pub(crate) fn covering(&self, account: &AccountId) -> Option<i64> {
        let own = self.accounts.get(account)?.revisions.last();
        own.or(self.default.last()).copied()
    }

    /// Sets a destination: a revision of the account, or of the platform. Parked rows that it
    /// covers are pinned and due.
    pub(crate) fn set_destination(
        &mut self,
        owner: Option<&AccountId>,
        destination: Destination,
        now: Duration,
    ) {
        let revision = destination.revision;
        self.destinations.insert(revision, destination);
        self.health.insert(revision, Health::default());
        match owner.and_then(|account| self.accounts.get_mut(account)) {
            Some(owned) => owned.revisions.push(revision),
            None => self.default.push(revision),
        }
        let waiting: Vec<RecordingKey> = self
            .rows
            .iter()
            .filter(|(_, row)| row.destination.is_none())
            .map(|(key, _)| key.clone())
            .collect();
        for key in waiting {
            let pinned = self.covering(&key.account_id);
            if let (Some(row), Some(_)) = (self.rows.get_mut(&key), pinned) {
                row.destination = pinned;
                row.parked = row.parked.map(|(reason, _)| (reason, Some(now)));
                row.moved_at = now;
            }
        }
    }
}
