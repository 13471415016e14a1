//! Claims: for transfer by event or by drive, for cleanup by receipt or by drive.

use std::time::Duration;

use recording::{
    Announced, Announcement, Claimed, Granted, Happened, ParkReason, Receipt, Record, Recording,
    RecordingKey, ReleaseClaim, ReleaseGranted, Staged, State, Stored,
};

use super::{Claimant, Row, Rows};
use crate::sim::world::{Moment, wall_at};

/// A row as the state it is in.
#[expect(
    clippy::disallowed_methods,
    reason = "the simulated ledger stands where the catalog does, and only it remembers"
)]
fn recall(record: Record) -> Recording {
    Recording::recall(record)
}

impl Rows {
    pub(super) fn staged(&self, row: &Row) -> Option<Staged> {
        let destination = self.destinations.get(&row.destination?)?.clone();
        let record = Record::Staged {
            announced: row.announced.clone(),
            destination,
            retain_until: None,
        };
        match recall(record) {
            Recording::Staged(staged) => Some(*staged),
            Recording::Parked(_)
            | Recording::Stored(_)
            | Recording::Released(_)
            | Recording::Withdrawn(_)
            | Recording::Expired(_) => None,
        }
    }

    fn stored(&self, row: &Row) -> Option<Recording> {
        let destination = self.destinations.get(&row.destination?)?.clone();
        let copy = row.copy.as_ref()?;
        Some(recall(Record::Stored {
            announced: row.announced.clone(),
            destination,
            key: copy.key.clone(),
            receipt: copy.receipt.clone(),
            identity: copy.identity.clone(),
            acknowledgment_id: copy.acknowledgment_id,
            released: row.state == State::Released,
        }))
    }

    fn stored_alone(&self, row: &Row) -> Option<Stored> {
        match self.stored(row)? {
            Recording::Stored(stored) => Some(*stored),
            Recording::Staged(_)
            | Recording::Parked(_)
            | Recording::Released(_)
            | Recording::Withdrawn(_)
            | Recording::Expired(_) => None,
        }
    }

    /// Claims by event.
    pub(crate) fn claim(
        &mut self,
        announced: &Announced,
        who: &Claimant,
        moment: Moment,
    ) -> Claimed {
        let key = &announced.key;
        if !self.accounts.contains_key(&key.account_id) {
            return Claimed::AccountUnknown;
        }
        if let Some(row) = self.rows.get(key) {
            return match differs(&row.announced, announced) {
                Some(field) => Claimed::Conflict(field.to_owned()),
                None => self.claim_row(key, who, moment),
            };
        }
        if self.path_is_taken(announced) {
            return Claimed::PathInUse;
        }
        let destination = self.covering(&key.account_id);
        let mut row = new_row(announced.clone(), destination, moment.now);
        if destination.is_none() {
            let announcement = no_destination(&mut row, moment);
            self.rows.insert(key.clone(), row);
            return Claimed::NoDestination(Some(announcement));
        }
        self.rows.insert(key.clone(), row);
        self.claim_row(key, who, moment)
    }

    /// Claims by drive.
    pub(crate) fn claim_due(
        &mut self,
        key: &RecordingKey,
        who: &Claimant,
        moment: Moment,
    ) -> Claimed {
        if self.rows.contains_key(key) {
            self.claim_row(key, who, moment)
        } else {
            Claimed::NoRow
        }
    }

    fn claim_row(&mut self, key: &RecordingKey, who: &Claimant, moment: Moment) -> Claimed {
        let now = moment.now;
        let Some(mut row) = self.rows.get(key).cloned() else {
            return Claimed::NoRow;
        };
        match row.state {
            State::Stored | State::Released => {
                return self.stored(&row).map_or(Claimed::NoRow, Claimed::Beyond);
            }
            State::Expired => {
                return Claimed::Beyond(recall(Record::Expired { key: key.clone() }));
            }
            State::Staged | State::Parked => {}
        }
        let due = row
            .parked
            .is_none_or(|(_, next)| next.is_some_and(|at| at <= now) || row.driven.is_some());
        if row.is_held(now) || !due {
            return Claimed::Waits(row.state);
        }
        let Some(staged) = self.staged(&row) else {
            return Claimed::NoDestination(None);
        };
        let tried_before = row.claims > 0;
        let lease = Self::take(&mut row, who, moment);
        let granted = Granted {
            staged,
            lease,
            tried_before,
            rungs: row.rungs,
            known_for: now.saturating_sub(row.known_since),
            unclean_claims: row.unclean,
            upload: row.upload.clone(),
            shut: self.shut(key, &row),
        };
        self.rows.insert(key.clone(), row);
        Claimed::Granted(Box::new(granted))
    }

    /// Claims for release.
    pub(crate) fn claim_release(
        &mut self,
        key: &RecordingKey,
        receipt: Option<&Receipt>,
        who: &Claimant,
        moment: Moment,
    ) -> ReleaseClaim {
        let now = moment.now;
        let Some(mut row) = self.rows.get(key).cloned() else {
            return ReleaseClaim::NoRow;
        };
        if row.state != State::Stored {
            return ReleaseClaim::NotStored(row.state, row.announced.original.path.clone());
        }
        let rows_own = row.copy.as_ref().map(|copy| &copy.receipt);
        if receipt.is_some() && receipt != rows_own {
            return ReleaseClaim::OtherReceipt;
        }
        let due = row
            .refused
            .is_none_or(|(_, next)| next.is_some_and(|at| at <= now));
        if row.is_held(now) || !due {
            return ReleaseClaim::Waits;
        }
        let Some(stored) = self.stored_alone(&row) else {
            return ReleaseClaim::NoRow;
        };
        let lease = Self::take(&mut row, who, moment);
        let rungs = row.release_rungs;
        self.rows.insert(key.clone(), row);
        ReleaseClaim::Granted(Box::new(ReleaseGranted {
            stored,
            lease,
            rungs,
        }))
    }
}

/// The first field in which two announcements of one id differ.
fn differs(one: &Announced, other: &Announced) -> Option<&'static str> {
    let fields = [
        ("original.path", one.original.path == other.original.path),
        (
            "original.size_bytes",
            one.original.size_bytes == other.original.size_bytes,
        ),
        (
            "original.sha256",
            one.original.sha256 == other.original.sha256,
        ),
        ("started_at", one.started_at == other.started_at),
        ("completed_at", one.completed_at == other.completed_at),
        ("kind", one.kind == other.kind),
        ("interaction_id", one.interaction_id == other.interaction_id),
    ];
    let unequal = fields.into_iter().find(|(_, equal)| !equal);
    unequal.map(|(field, _)| field)
}

fn new_row(announced: Announced, destination: Option<i64>, now: Duration) -> Row {
    Row {
        announced,
        destination,
        state: State::Staged,
        parked: None,
        lease: None,
        claims: 0,
        rungs: 0,
        known_since: now,
        touched: now,
        unclean: 0,
        child_deaths: 0,
        upload: None,
        copy: None,
        refused: None,
        release_rungs: 0,
        driven: None,
        owed: Vec::new(),
        released_at: None,
        last_token: None,
        moved_at: now,
        history: Vec::new(),
    }
}

fn no_destination(row: &mut Row, moment: Moment) -> Announcement {
    row.state = State::Parked;
    row.parked = Some((ParkReason::NoDestination, None));
    let announcement = Announcement {
        key: row.announced.key.clone(),
        id: moment.fresh,
        at: wall_at(moment.now),
        what: Happened::Parked(ParkReason::NoDestination, None),
    };
    row.owed.push((announcement.clone(), moment.now));
    announcement
}
