//! What a holder of a lease writes: the fenced half of the ledger.

use std::time::Duration;

use recording::{
    Advance, Announcement, Fault, Happened, LEASE, Lease, LeaseLost, ParkReason, Parking,
    RecordingKey, ReleaseRefusal, State, Stored, rung,
};

use super::health::{By, held_for};
use super::{CopyRow, Rows};
use crate::sim::world::{Moment, wall_at};

impl Rows {
    pub(crate) fn renew(
        &mut self,
        key: &RecordingKey,
        lease: &Lease,
        now: Duration,
    ) -> Result<(), LeaseLost> {
        let row = self.fenced(key, lease.token, now).ok_or(LeaseLost)?;
        if let Some(held) = &mut row.lease {
            held.ends_at = now + LEASE;
        }
        Ok(())
    }

    pub(crate) fn store(&mut self, lease: &Lease, stored: &Stored, moment: Moment) -> Advance<()> {
        let key = &stored.announced().key;
        let id = stored.acknowledgment_id();
        let known = self.done_before(key, lease.token, State::Stored);
        if known.is_some() {
            return Advance::Done(());
        }
        let pinned = self.rows.get(key).and_then(|row| row.destination);
        if pinned != Some(stored.destination().revision) && !self.unfenced {
            return Advance::Overtaken;
        }
        let mut illegal = Vec::new();
        let Some(row) = self.fenced(key, lease.token, moment.now) else {
            return Advance::Overtaken;
        };
        Self::advance(&mut illegal, row, State::Stored, "proven");
        row.copy = Some(CopyRow {
            key: stored.object_key().clone(),
            receipt: stored.receipt().clone(),
            identity: stored.identity().clone(),
            acknowledgment_id: id,
            stored_at: moment.now,
            acknowledged_at: None,
        });
        row.end_lease();
        row.last_token = Some(lease.token);
        row.parked = None;
        row.upload = None;
        row.rungs = 0;
        row.driven = None;
        let at = row.destination;
        self.illegal.append(&mut illegal);
        self.worked_at(at, By::Transfer, moment);
        Advance::Done(())
    }

    /// Parks what its destination's breaker holds back.
    pub(crate) fn hold(
        &mut self,
        key: &RecordingKey,
        lease: &Lease,
        shut: &Fault,
        moment: Moment,
    ) -> Advance<Option<Announcement>> {
        // Closed meanwhile: nothing need wait.
        let at = self.rows.get(key).and_then(|row| row.destination);
        let is_shut = at.is_some_and(|at| self.is_shut(at));
        let parking = Parking {
            reason: shut.reason,
            detail: shut.detail.clone(),
            after: Some(if is_shut {
                held_for(moment)
            } else {
                Duration::ZERO
            }),
        };
        self.park_row(key, lease, &parking, moment)
    }

    pub(crate) fn park(
        &mut self,
        key: &RecordingKey,
        lease: &Lease,
        parking: &Parking,
        moment: Moment,
    ) -> Advance<Option<Announcement>> {
        let at = self.rows.get(key).and_then(|row| row.destination);
        let known = self.done_before(key, lease.token, State::Parked).is_some();
        let mut parking = parking.clone();
        let shut = at.is_some_and(|at| self.is_shut(at));
        if shut && parking.after.is_some() {
            parking.after = Some(held_for(moment));
        }
        let advance = self.park_row(key, lease, &parking, moment);
        if !known && matches!(advance, Advance::Done(_)) {
            let fault = (parking.reason, &*parking.detail);
            self.failed_at(at, (key, By::Transfer), fault, moment);
        }
        advance
    }

    fn park_row(
        &mut self,
        key: &RecordingKey,
        lease: &Lease,
        parking: &Parking,
        moment: Moment,
    ) -> Advance<Option<Announcement>> {
        if let Some(row) = self.done_before(key, lease.token, State::Parked) {
            return Advance::Done(row.owed.last().map(|(owed, _)| owed.clone()));
        }
        let mut illegal = Vec::new();
        let Some(row) = self.fenced(key, lease.token, moment.now) else {
            return Advance::Overtaken;
        };
        let next = parking
            .after
            .map(|after| moment.now + jitter(after, moment));
        let same = row
            .parked
            .is_some_and(|(reason, _)| reason == parking.reason);
        row.end_lease();
        row.moved_at = moment.now;
        row.last_token = Some(lease.token);
        row.rungs = row.rungs.saturating_add(1);
        let announcement = if same && row.state == State::Parked {
            None
        } else {
            Self::advance(&mut illegal, row, State::Parked, parking.reason.as_str());
            let at = next.map(wall_at);
            Some(owe(row, moment, Happened::Parked(parking.reason, at)))
        };
        row.parked = Some((parking.reason, next));
        self.illegal.append(&mut illegal);
        Advance::Done(announcement)
    }

    pub(crate) fn give_back(
        &mut self,
        key: &RecordingKey,
        lease: &Lease,
        now: Duration,
    ) -> Advance<()> {
        let Some(row) = self.fenced(key, lease.token, now) else {
            return Advance::Overtaken;
        };
        row.end_lease();
        Advance::Done(())
    }

    pub(crate) fn release(
        &mut self,
        key: &RecordingKey,
        lease: &Lease,
        how: &str,
        moment: Moment,
    ) -> Advance<Announcement> {
        let before = self.done_before(key, lease.token, State::Released);
        let owed = before.and_then(|row| row.owed.last());
        if let Some((announcement, _)) = owed {
            return Advance::Done(announcement.clone());
        }
        let mut illegal = Vec::new();
        let Some(row) = self.fenced(key, lease.token, moment.now) else {
            return Advance::Overtaken;
        };
        Self::advance(&mut illegal, row, State::Released, how);
        row.released_at = Some(moment.now);
        row.end_lease();
        row.last_token = Some(lease.token);
        row.refused = None;
        row.driven = None;
        let announcement = owe(row, moment, Happened::Released);
        let at = row.destination;
        self.illegal.append(&mut illegal);
        self.worked_at(at, By::Cleanup, moment);
        Advance::Done(announcement)
    }

    pub(crate) fn refuse_release(
        &mut self,
        key: &RecordingKey,
        lease: &Lease,
        refusal: &ReleaseRefusal,
        moment: Moment,
    ) -> Advance<()> {
        if self.done_before(key, lease.token, State::Stored).is_some() {
            return Advance::Done(());
        }
        let Some(row) = self.fenced(key, lease.token, moment.now) else {
            return Advance::Overtaken;
        };
        let next = refusal
            .after
            .map(|after| moment.now + jitter(after, moment));
        row.end_lease();
        row.last_token = Some(lease.token);
        row.release_rungs = row.release_rungs.saturating_add(1);
        row.refused = Some((refusal.reason, next));
        row.moved_at = moment.now;
        let at = row.destination;
        let fault = (refusal.reason, &*refusal.detail);
        self.failed_at(at, (key, By::Cleanup), fault, moment);
        Advance::Done(())
    }

    pub(crate) fn copy_lost(
        &mut self,
        key: &RecordingKey,
        lease: &Lease,
        moment: Moment,
    ) -> Advance<Option<Announcement>> {
        if let Some(row) = self.done_before(key, lease.token, State::Parked) {
            return Advance::Done(row.owed.last().map(|(owed, _)| owed.clone()));
        }
        let mut illegal = Vec::new();
        let Some(row) = self.fenced(key, lease.token, moment.now) else {
            return Advance::Overtaken;
        };
        let reason = ParkReason::CopyLost;
        // Once is an accident, and due at once; whoever takes every copy away meets the ladder.
        let is_loss = |one: &&(State, State, String)| one.0 == State::Stored;
        let losses = row.history.iter().filter(is_loss).count();
        let wait = match u32::try_from(losses).unwrap_or(u32::MAX) {
            0 => Duration::ZERO,
            again => jitter(rung(again), moment),
        };
        let next = moment.now + wait;
        Self::advance(&mut illegal, row, State::Parked, reason.as_str());
        row.end_lease();
        row.last_token = Some(lease.token);
        row.copy = None;
        row.refused = None;
        row.release_rungs = 0;
        row.driven = None;
        row.parked = Some((reason, Some(next)));
        row.moved_at = moment.now;
        let at = Some(wall_at(next));
        let announcement = owe(row, moment, Happened::Parked(reason, at));
        self.illegal.append(&mut illegal);
        Advance::Done(Some(announcement))
    }
}

/// The ledger's own jitter, ±20 %.
fn jitter(after: Duration, moment: Moment) -> Duration {
    after.saturating_mul(moment.per_cent) / 100
}

pub(super) fn owe(row: &mut super::Row, moment: Moment, what: Happened) -> Announcement {
    let announcement = Announcement {
        key: row.announced.key.clone(),
        id: moment.fresh,
        at: wall_at(moment.now),
        what,
    };
    row.owed.push((announcement.clone(), moment.now));
    announcement
}
