//! The health of destinations, and their breakers: what is held back, who may try, and what
//! becomes due when one has closed.

use std::time::Duration;

use recording::{
    Blame, CONFIRMED_BY, CheckReport, Diagnosis, DueCheck, Fault, HealthAnnouncement, ParkReason,
    Queue, RecordingKey, State,
};
use uuid::Uuid;

use super::{Row, Rows};
use crate::sim::world::{Moment, wall_at};

/// A change is told when it has lasted this long, and again after a minute without a confirm.
const SETTLED: Duration = Duration::from_secs(5);
/// See [`SETTLED`].
const UNANNOUNCED: Duration = Duration::from_secs(60);
/// The first probe, and the longest between two, which is also how long one may take.
const PROBE: Duration = Duration::from_secs(30);
/// See [`PROBE`].
const PROBE_MOST: Duration = Duration::from_secs(120);
/// How long what is held back is put off at a time.
const HELD: Duration = Duration::from_secs(3600);
/// A minute for a thousand.
const APART: Duration = Duration::from_millis(60);
/// How long after a breaker closed rows may still come to be seen that were held back before.
const LATE: Duration = Duration::from_secs(10);

/// Who saw that a destination fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// A transfer.
    Transfer,
    /// Cleanup's look.
    Cleanup,
    /// A check.
    Check,
}

/// What is wrong with a destination.
#[derive(Debug, Clone)]
pub(crate) struct Ill {
    reason: ParkReason,
    detail: String,
    by: By,
    holds: bool,
    probe_at: Duration,
    probes: u32,
    probe: Option<(RecordingKey, Duration)>,
}

/// How a destination is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health {
    ill: Option<Ill>,
    /// What the latest check found that work does not meet.
    stands: Option<(ParkReason, String)>,
    failed: Vec<RecordingKey>,
    /// Since when, and up to when, what was held back is made due.
    drain: Option<(Duration, Duration)>,
    told_ill: bool,
    /// What is owed to others: its id, when it changed, and when it is told.
    owed: Option<(Uuid, Duration, Duration)>,
    next_check: Duration,
}

impl Health {
    /// What is still going on by itself.
    pub(crate) fn going_on(&self) -> Option<&'static str> {
        if self.drain.is_some() {
            Some("makes due what it held back")
        } else if self.owed.is_some() {
            Some("owes the news of its health")
        } else {
            None
        }
    }

    fn changed(&mut self, moment: Moment) {
        let is_news = self.ill.is_some() != self.told_ill;
        let now = moment.now;
        self.owed = is_news.then(|| (moment.fresh, now, now + SETTLED));
    }
}

fn is_held(row: &Row, by: By) -> bool {
    match row.state {
        State::Parked => true,
        State::Stored => row.refused.is_some() && by == By::Cleanup && is_acknowledged(row),
        State::Staged | State::Released | State::Expired => false,
    }
}

fn is_acknowledged(row: &Row) -> bool {
    row.copy
        .as_ref()
        .is_some_and(|copy| copy.acknowledged_at.is_some())
}

/// When the row is tried again by itself.
fn next(row: &Row) -> Option<Duration> {
    match row.state {
        State::Parked => row.parked.and_then(|(_, at)| at),
        State::Stored => row.refused.and_then(|(_, at)| at),
        State::Staged | State::Released | State::Expired => None,
    }
}

fn put_off(row: &mut Row, until: Duration) {
    match row.state {
        State::Parked => row.parked = row.parked.map(|(why, _)| (why, Some(until))),
        State::Stored => row.refused = row.refused.map(|(why, _)| (why, Some(until))),
        State::Staged | State::Released | State::Expired => {}
    }
    row.driven = None;
}

/// How long a row of a shut destination waits.
pub(crate) fn held_for(moment: Moment) -> Duration {
    HELD.saturating_mul(moment.per_cent) / 100
}

impl Rows {
    /// Whether a row waits for the breaker of its destination.
    pub(crate) fn waits_for_breaker(&self, row: &Row) -> bool {
        let health = row.destination.and_then(|at| self.health.get(&at));
        let ill = health.and_then(|health| health.ill.as_ref());
        ill.is_some_and(|ill| ill.holds && is_held(row, ill.by))
    }

    /// Whether the breaker of a revision is open.
    pub(crate) fn is_shut(&self, revision: i64) -> bool {
        let health = self.health.get(&revision);
        let ill = health.and_then(|health| health.ill.as_ref());
        ill.is_some_and(|ill| ill.holds)
    }

    /// Why a claim of this row is not to be worked on.
    pub(crate) fn shut(&self, key: &RecordingKey, row: &Row) -> Option<Fault> {
        let health = self.health.get(&row.destination?)?;
        let ill = health.ill.as_ref().filter(|ill| ill.holds)?;
        // However late its message comes.
        if ill.probe.as_ref().is_some_and(|(probe, _)| probe == key) {
            return None;
        }
        Some(Fault::new(ill.reason, ill.detail.clone()))
    }

    /// Work at a destination failed.
    pub(crate) fn failed_at(
        &mut self,
        revision: Option<i64>,
        (key, by): (&RecordingKey, By),
        fault: (ParkReason, &str),
        moment: Moment,
    ) {
        let whole = match fault.0.blame() {
            Blame::Destination => true,
            Blame::Suspect => false,
            Blame::Nobody => return,
        };
        let Some(health) = revision.and_then(|at| self.health.get_mut(&at)) else {
            return;
        };
        if let Some(ill) = health.ill.as_mut().filter(|ill| ill.holds) {
            if ill.probe.as_ref().is_some_and(|(probe, _)| probe == key) {
                ill.probe = None;
            }
            ill.reason = fault.0;
            return;
        }
        let most = usize::try_from(CONFIRMED_BY).unwrap_or(usize::MAX);
        if !whole {
            if health.failed.contains(key) {
                return;
            }
            health.failed.push(key.clone());
            if health.failed.len() < most {
                return;
            }
        }
        health.open(fault, by, true, moment);
    }

    /// Work at a destination succeeded.
    pub(crate) fn worked_at(&mut self, revision: Option<i64>, by: By, moment: Moment) {
        let Some(health) = revision.and_then(|at| self.health.get_mut(&at)) else {
            return;
        };
        let held = health.ill.as_ref().is_some_and(|ill| ill.holds);
        if !held && by != By::Cleanup {
            health.failed.clear();
        }
        let Some(ill) = &mut health.ill else {
            return;
        };
        if by == By::Cleanup && (ill.by != By::Cleanup || !held) {
            return;
        }
        if let (By::Transfer | By::Cleanup, Some((reason, detail))) = (by, &health.stands) {
            if held {
                (ill.reason, ill.detail) = (*reason, detail.clone());
                (ill.by, ill.holds, ill.probes, ill.probe) = (By::Check, false, 0, None);
                health.failed.clear();
                health.drain = Some((moment.now, moment.now));
            }
            return;
        }
        health.ill = None;
        health.failed.clear();
        if held {
            health.drain = Some((moment.now, moment.now));
        }
        health.changed(moment);
    }

    /// Probes where a breaker is open, everything else put off; drains where one has closed.
    pub(crate) fn tend(&mut self, moment: Moment) -> Vec<(Queue, RecordingKey)> {
        let mut probes = Vec::new();
        let revisions: Vec<i64> = self.health.keys().copied().collect();
        for revision in revisions {
            self.drain(revision, moment.now);
            if !self.never_probes {
                probes.extend(self.probe(revision, moment.now));
            }
            self.put_off_due(revision, moment);
        }
        probes
    }

    fn of(&mut self, revision: i64) -> impl Iterator<Item = (&RecordingKey, &mut Row)> {
        let rows = self.rows.iter_mut();
        rows.filter(move |(_, row)| row.destination == Some(revision))
    }

    fn drain(&mut self, revision: i64, now: Duration) {
        let drain = self.health.get(&revision).and_then(|health| health.drain);
        let Some((from, until)) = drain else {
            return;
        };
        let base = until.max(now);
        let mut horizon = base;
        for (_, row) in self.of(revision) {
            let waits = row.moved_at <= from + LATE && next(row).is_some_and(|at| at > base);
            if waits && !row.is_held(now) && is_held(row, By::Cleanup) {
                horizon += APART;
                put_off(row, horizon);
                row.rungs = 0;
                row.release_rungs = 0;
            }
        }
        if let Some(health) = self.health.get_mut(&revision) {
            let goes_on = horizon > base || now <= from + LATE;
            health.drain = goes_on.then_some((from, horizon));
        }
    }

    fn probe(&mut self, revision: i64, now: Duration) -> Option<(Queue, RecordingKey)> {
        let ill = self.health.get(&revision)?.ill.clone()?;
        let busy = ill.probe.as_ref().is_some_and(|(_, until)| *until > now);
        if !ill.holds || ill.probe_at > now || busy {
            return None;
        }
        // One whose message still waits in the queue keeps its turn.
        let turn = ill.probe.map(|(key, _)| key);
        let candidates = self
            .of(revision)
            .filter(|(_, row)| is_held(row, ill.by) && next(row).is_some() && !row.is_held(now));
        let chosen = candidates.min_by_key(|(key, row)| {
            let waits = row.driven.is_some_and(|(_, times)| times < 30);
            (!(waits && turn.as_ref() == Some(*key)), next(row))
        });
        let chosen = chosen.map(|(key, row)| {
            let times = row.driven.map_or(0, |(_, times)| times);
            row.driven = Some((now, times.saturating_add(1)));
            let queue = if row.state == State::Parked {
                Queue::Transfer
            } else {
                Queue::Cleanup
            };
            (queue, key.clone())
        });
        let ill = self.health.get_mut(&revision)?.ill.as_mut()?;
        let doubled = PROBE.saturating_mul(1 << ill.probes.min(10));
        ill.probe_at = now + doubled.min(PROBE_MOST);
        ill.probes = ill.probes.saturating_add(1);
        ill.probe = chosen
            .as_ref()
            .map(|(_, key)| (key.clone(), now + PROBE_MOST));
        chosen
    }

    fn put_off_due(&mut self, revision: i64, moment: Moment) {
        let health = self.health.get(&revision);
        let Some(by) = health.and_then(|health| {
            let ill = health.ill.as_ref().filter(|ill| ill.holds);
            ill.map(|ill| ill.by)
        }) else {
            return;
        };
        let probe = health
            .and_then(|health| health.ill.as_ref()?.probe.clone())
            .map(|(key, _)| key);
        for (key, row) in self.of(revision) {
            let due = next(row).is_some_and(|at| at <= moment.now);
            let idle = !row.is_held(moment.now) && probe.as_ref() != Some(key);
            if due && idle && is_held(row, by) {
                put_off(row, moment.now + held_for(moment));
            }
        }
    }

    /// What is owed about destinations.
    pub(crate) fn health_announcements(&mut self, now: Duration) -> Vec<HealthAnnouncement> {
        let mut owed = Vec::new();
        for (revision, health) in &mut self.health {
            let Some((id, at, after)) = health.owed else {
                continue;
            };
            let Some(destination) = self.destinations.get(revision) else {
                continue;
            };
            if after > now {
                continue;
            }
            health.told_ill = health.ill.is_some();
            health.owed = Some((id, at, now + UNANNOUNCED));
            owed.push(HealthAnnouncement {
                id,
                at: wall_at(at),
                owner: destination.owner.clone(),
                revision: *revision,
                location: destination.store.location(),
                reason: health.ill.as_ref().map(|ill| ill.reason),
                recordings_waiting: 0,
                findings: Vec::new(),
                secret_expires_at: None,
            });
        }
        owed
    }

    /// An announcement is confirmed.
    pub(crate) fn health_announced(&mut self, revision: i64, id: Uuid) {
        if let Some(health) = self.health.get_mut(&revision) {
            health.owed = health.owed.filter(|(one, ..)| *one != id);
        }
    }

    /// Destinations to be checked.
    pub(crate) fn checks(&mut self, limit: u32, now: Duration) -> Vec<DueCheck> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut due = Vec::new();
        for (revision, health) in &mut self.health {
            let destination = self.destinations.get(revision);
            let (Some(destination), Ok(account)) = (destination, "acme".parse()) else {
                continue;
            };
            if health.next_check <= now && due.len() < most {
                health.next_check = now + self.check_every;
                due.push(DueCheck {
                    destination: destination.clone(),
                    account,
                });
            }
        }
        due
    }

    /// What a check found.
    pub(crate) fn checked(&mut self, revision: i64, report: &CheckReport, moment: Moment) {
        match report.diagnosis() {
            Diagnosis::Healthy => self.worked_at(Some(revision), By::Check, moment),
            Diagnosis::Unhealthy {
                reason,
                detail,
                holds,
            } => {
                if let Some(health) = self.health.get_mut(&revision) {
                    health.found((reason, &detail), holds, moment);
                }
            }
            Diagnosis::Unknown => return,
        }
        if let Some(health) = self.health.get_mut(&revision) {
            health.stands = report.standing();
        }
    }
}

impl Health {
    /// A check found it unhealthy.
    fn found(&mut self, fault: (ParkReason, &str), holds: bool, moment: Moment) {
        match &mut self.ill {
            Some(ill) if ill.holds || !holds => {
                if ill.holds && !holds {
                    // It met nothing that work would.
                    (ill.holds, ill.by, ill.probe) = (false, By::Check, None);
                    self.drain = Some((moment.now, moment.now));
                }
                (ill.reason, ill.detail) = (fault.0, fault.1.to_owned());
            }
            Some(_) | None => self.open(fault, By::Check, holds, moment),
        }
    }

    fn open(&mut self, fault: (ParkReason, &str), by: By, holds: bool, moment: Moment) {
        self.failed.clear();
        self.drain = None;
        // That what only a check minded is met by work too is told to nobody.
        let is_new = self.ill.is_none();
        self.ill = Some(Ill {
            reason: fault.0,
            detail: fault.1.to_owned(),
            by,
            holds,
            probe_at: moment.now + PROBE,
            probes: 0,
            probe: None,
        });
        if is_new {
            self.changed(moment);
        }
    }
}
