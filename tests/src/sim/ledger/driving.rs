//! What is due: rows for a queue, announcements, notes.

use std::collections::BTreeSet;
use std::time::Duration;

use recording::{Announcement, Note, Queue, RecordingKey, State};

use super::{Row, Rows};

/// An acknowledgment that was not noted is repeated after this long.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);
/// A release that did not follow its acknowledgment is driven after this long.
const UNRELEASED: Duration = Duration::from_secs(5 * 60);
/// A driven row is due again after this long without a claim, doubling.
const DRIVEN: Duration = Duration::from_secs(10 * 60);
/// The longest such wait.
const DRIVEN_MOST: Duration = Duration::from_secs(6 * 3600);
/// An announcement that was not noted is repeated after this long.
const UNANNOUNCED: Duration = Duration::from_secs(60);

/// Whether the row needs that queue's role now, whatever was sent already.
fn needs(row: &Row, queue: Queue, now: Duration) -> bool {
    if row.is_held(now) {
        return false;
    }
    let copy = row.copy.as_ref();
    match (queue, row.state) {
        (Queue::Transfer, State::Staged) => true,
        (Queue::Transfer, State::Parked) => {
            let next = row.parked.and_then(|(_, next)| next);
            row.destination.is_some() && next.is_some_and(|at| at <= now)
        }
        (Queue::Transfer, State::Stored) => copy.is_some_and(|copy| {
            copy.acknowledged_at.is_none() && copy.stored_at + UNACKNOWLEDGED <= now
        }),
        // Cleanup may be faster than the confirm of what it acts on.
        (Queue::Transfer, State::Released) => copy.is_some_and(|copy| {
            let since = row.released_at.unwrap_or(copy.stored_at);
            copy.acknowledged_at.is_none() && since + UNACKNOWLEDGED <= now
        }),
        (Queue::Cleanup, State::Stored) => match row.refused {
            Some((_, next)) => next.is_some_and(|at| at <= now),
            None => copy.is_some_and(|copy| {
                copy.acknowledged_at
                    .is_some_and(|at| at + UNRELEASED <= now)
            }),
        },
        (Queue::Transfer | Queue::Cleanup | Queue::Quarantine, _) => false,
    }
}

fn was_driven_lately(row: &Row, now: Duration) -> bool {
    row.driven.is_some_and(|(at, times)| {
        let doubled = DRIVEN.saturating_mul(1 << times.saturating_sub(1).min(10));
        at + doubled.min(DRIVEN_MOST) > now
    })
}

impl Rows {
    pub(crate) fn due(&mut self, queue: Queue, limit: u32, now: Duration) -> Vec<RecordingKey> {
        let mut due = Vec::new();
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let waiting = self.rows.iter();
        let waiting = waiting.filter(|(_, row)| self.waits_for_breaker(row));
        let waiting: BTreeSet<_> = waiting.map(|(key, _)| key.clone()).collect();
        for (key, row) in &mut self.rows {
            if waiting.contains(key) {
                continue;
            }
            if due.len() < most && needs(row, queue, now) && !was_driven_lately(row, now) {
                let times = row.driven.map_or(0, |(_, times)| times);
                row.driven = Some((now, times.saturating_add(1)));
                due.push(key.clone());
            }
        }
        due
    }

    pub(crate) fn undrive(&mut self, keys: &[RecordingKey]) {
        for key in keys {
            if let Some(row) = self.rows.get_mut(key) {
                row.driven = None;
            }
        }
    }

    pub(crate) fn announcements(&self, limit: u32, now: Duration) -> Vec<Announcement> {
        let owed = self.rows.values().flat_map(|row| &row.owed);
        let old = owed.filter(|(_, since)| *since + UNANNOUNCED <= now);
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        old.map(|(one, _)| one.clone()).take(most).collect()
    }

    /// Writes the notes whose time has come.
    pub(crate) fn write_notes(&mut self, now: Duration) {
        let (ready, later) = std::mem::take(&mut self.notes)
            .into_iter()
            .partition(|(at, ..)| *at <= now);
        self.notes = later;
        let ready: Vec<(Duration, usize, u64, Note)> = ready;
        for (at, _, _, note) in ready {
            match note {
                Note::Acknowledged(key, id) => {
                    let row = self.rows.get_mut(&key);
                    let copy = row.and_then(|row| row.copy.as_mut());
                    if let Some(copy) = copy.filter(|copy| copy.acknowledgment_id == id) {
                        copy.acknowledged_at.get_or_insert(at);
                    }
                }
                Note::Announced(key, id) => {
                    if let Some(row) = self.rows.get_mut(&key) {
                        row.owed.retain(|(one, _)| one.id != id);
                    }
                }
            }
        }
    }

    /// A process died: what it had not written is gone.
    pub(crate) fn forget_notes(&mut self, process: usize) {
        self.notes.retain(|(_, of, ..)| *of != process);
    }
}
