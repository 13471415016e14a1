//! Uploads in parts, what is left of them, and recordings that are lent to a process of their own.

use std::time::Duration;

use recording::{
    Advance, Announcement, Happened, KnownUpload, Lease, ParkReason, Part, RecordingKey, State,
    Sweep, Upload, object_key,
};

use super::outcomes::owe;
use super::{Row, Rows};
use crate::sim::world::Moment;

/// A sweep that did not end is due again after this long.
const SWEEPING: Duration = Duration::from_secs(600);
/// After this many dead processes a person is asked.
const DEATHS: u32 = 3;

impl Row {
    /// An outcome: nobody works on it, and nothing is suspected any more.
    pub(super) fn end_lease(&mut self) {
        self.lease = None;
        self.unclean = 0;
        self.child_deaths = 0;
    }
}

impl Rows {
    pub(crate) fn upload_begun(
        &mut self,
        key: &RecordingKey,
        lease: &Lease,
        upload: Upload,
        now: Duration,
    ) -> Advance<()> {
        let due = now + self.sweep_after;
        let Some(row) = self.fenced(key, lease.token, now) else {
            return Advance::Overtaken;
        };
        let (id, revision) = (upload.id.clone(), row.destination);
        row.upload = Some(upload);
        if let Some(revision) = revision {
            let sweep = (key.account_id.clone(), revision);
            self.sweeps.insert(sweep, due);
        }
        self.begun.insert(id);
        Advance::Done(())
    }

    pub(crate) fn upload_landed(
        &mut self,
        key: &RecordingKey,
        lease: &Lease,
        parts: Vec<Part>,
        now: Duration,
    ) -> Advance<()> {
        let Some(row) = self.fenced(key, lease.token, now) else {
            return Advance::Overtaken;
        };
        if let Some(upload) = &mut row.upload {
            for part in parts {
                upload.parts.retain(|known| known.number != part.number);
                upload.parts.push(part);
            }
            upload.parts.sort_by_key(|part| part.number);
        }
        Advance::Done(())
    }

    pub(crate) fn lend(&mut self, key: &RecordingKey, lease: &Lease, now: Duration) -> Advance<()> {
        let Some(row) = self.fenced(key, lease.token, now) else {
            return Advance::Overtaken;
        };
        row.lease = None;
        Advance::Done(())
    }

    pub(crate) fn child_died(
        &mut self,
        key: &RecordingKey,
        moment: Moment,
    ) -> Option<Announcement> {
        let mut illegal = Vec::new();
        let row = self.rows.get_mut(key)?;
        if row.state != State::Staged {
            return None;
        }
        row.child_deaths = row.child_deaths.saturating_add(1);
        row.touched = moment.now;
        if row.child_deaths < DEATHS {
            return None;
        }
        let reason = ParkReason::KillsWorker;
        Self::advance(&mut illegal, row, State::Parked, reason.as_str());
        row.lease = None;
        row.driven = None;
        row.parked = Some((reason, None));
        let announcement = owe(row, moment, Happened::Parked(reason, None));
        self.illegal.append(&mut illegal);
        Some(announcement)
    }

    pub(crate) fn sweeps(&mut self, limit: u32, now: Duration) -> Vec<Sweep> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut due = Vec::new();
        for ((account, revision), at) in &mut self.sweeps {
            let destination = self.destinations.get(revision);
            if let Some(destination) = destination
                && *at <= now
                && due.len() < most
            {
                *at = now + SWEEPING;
                due.push(Sweep {
                    account: account.clone(),
                    destination: destination.clone(),
                });
            }
        }
        due
    }

    pub(crate) fn swept(&mut self, sweep: &Sweep, again: bool, now: Duration) {
        let name = (sweep.account.clone(), sweep.destination.revision);
        // One that was begun meanwhile has moved the time on.
        let untouched = self
            .sweeps
            .get(&name)
            .is_some_and(|at| *at <= now + SWEEPING);
        if again {
            self.sweeps.insert(name, now + self.sweep_after);
        } else if untouched {
            self.sweeps.remove(&name);
        }
    }

    pub(crate) fn known_upload(&self, key: &RecordingKey) -> Option<KnownUpload> {
        let row = self.rows.get(key)?;
        let destination = self.destinations.get(&row.destination?)?;
        Some(KnownUpload {
            announced: row.announced.clone(),
            erased: false,
            object_key: object_key(&row.announced, destination),
            upload_id: row.upload.as_ref().map(|upload| upload.id.clone()),
        })
    }
}
