//! The ground truth: rows, copies, holds, and what must be true of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use recording::{Clock, RecordingKey};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::originals::Original;
use super::{RetentionMutant, RetentionReport, RetentionRun};
use crate::sim::dice::Dice;

pub(super) const HOUR: u64 = 3600;
pub(super) const DAY: u64 = 24 * HOUR;

/// A row of the ledger. Times are seconds of virtual time.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) key: RecordingKey,
    pub(super) interaction: u64,
    /// When retention ends.
    pub(super) due: u64,
    pub(super) erase: bool,
    pub(super) expired: bool,
    pub(super) lease: Option<(Uuid, u64)>,
    pub(super) last_token: Option<Uuid>,
    pub(super) began: bool,
    pub(super) attempts: u32,
    pub(super) next: u64,
    /// When its deletion was granted last, as a number of events.
    pub(super) granted: Option<u64>,
    /// Its original, while the row is not released.
    pub(super) original: Original,
}

/// A version at a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lying {
    pub(super) version: String,
    /// Whose copy it is; none of ours: the customer's own.
    pub(super) ours: bool,
    pub(super) locked_until: u64,
}

/// A hold on a recording or an interaction.
#[derive(Debug, Clone, Copy)]
struct Hold {
    row: Option<usize>,
    interaction: Option<u64>,
    placed: u64,
    released: bool,
}

/// Everything.
pub(super) struct World {
    pub(super) run: RetentionRun,
    pub(super) dice: Dice,
    pub(super) rows: Vec<Row>,
    pub(super) index: BTreeMap<RecordingKey, usize>,
    /// Rows that are not expired, by when they are looked at next.
    pub(super) queue: BTreeSet<(u64, usize)>,
    /// Rows that are not released and to be erased.
    pub(super) to_erase: BTreeSet<usize>,
    pub(super) keys: Vec<Vec<Lying>>,
    pub(super) denied_until: BTreeMap<String, u64>,
    holds: Vec<Hold>,
    /// Counts what happened, so that "before" has a meaning within one moment.
    pub(super) events: u64,
    pub(super) stormy: bool,
    pub(super) violations: Vec<String>,
    pub(super) counted: RetentionReport,
    others: usize,
    start: Instant,
}

impl World {
    pub(super) fn new(run: RetentionRun) -> Self {
        let mut world = Self {
            run,
            dice: Dice::new(run.seed),
            rows: Vec::new(),
            index: BTreeMap::new(),
            queue: BTreeSet::new(),
            to_erase: BTreeSet::new(),
            keys: Vec::new(),
            denied_until: BTreeMap::new(),
            holds: Vec::new(),
            events: 0,
            stormy: run.storm,
            violations: Vec::new(),
            counted: RetentionReport::default(),
            others: 0,
            start: Instant::now(),
        };
        let accounts = u64::try_from(run.recordings / 20)
            .unwrap_or(1)
            .clamp(2, 1000);
        for number in 0..run.recordings {
            world.add(number, accounts);
        }
        for hold in 0..accounts.min(40) {
            let row = world.dice.below(u64::try_from(run.recordings).unwrap_or(1));
            world.hold(usize::try_from(row).unwrap_or(0), hold % 2 == 0);
        }
        for account in 0..accounts / 10 {
            let until = world.dice.between(HOUR, 8 * HOUR);
            world.denied_until.insert(format!("a{account}"), until);
        }
        world
    }

    fn add(&mut self, number: usize, accounts: u64) {
        let account = self.dice.below(accounts);
        let (Ok(account_id), Ok(recording_id)) = (
            format!("a{account}").parse(),
            format!("rec-{number}").parse(),
        ) else {
            return;
        };
        let key = RecordingKey {
            account_id,
            recording_id,
        };
        // Most are due, or fall due soon; a tenth does not within the run.
        let due = match self.dice.below(10) {
            0 => 400 * DAY,
            1 | 2 => self.dice.below(5 * HOUR),
            _ => 0,
        };
        let mut lying = Vec::new();
        let mut put = |ours: bool, locked_until: u64| {
            let version = format!("v{}", lying.len() + 1);
            lying.push(Lying {
                version,
                ours,
                locked_until,
            });
        };
        let lock = match self.dice.below(60) {
            0 => self.dice.between(HOUR, 3 * DAY),
            1 => 400 * DAY,
            _ => 0,
        };
        put(true, lock);
        if self.dice.below(30) == 0 {
            put(false, 0);
            self.others += 1;
        }
        if self.dice.below(30) == 0 {
            put(true, 0);
        }
        // Some are not released yet: nothing of them is due, and at their keys may lie a copy
        // that nobody proved.
        let open = self.dice.below(6) == 0;
        if open && self.mutated(RetentionMutant::Unasked) {
            self.to_erase.insert(number);
        }
        if open && self.dice.coin() {
            lying.retain(|one| !one.ours);
        }
        self.index.insert(key.clone(), number);
        if !open {
            self.queue.insert((due, number));
        }
        self.keys.push(lying);
        self.rows.push(Row {
            key,
            interaction: self.dice.below(accounts * 8),
            due,
            erase: false,
            expired: false,
            lease: None,
            last_token: None,
            began: false,
            attempts: 0,
            next: if open { 0 } else { due },
            granted: None,
            original: Original {
                open,
                at_path: open,
                ..Original::default()
            },
        });
    }

    /// Virtual time, in seconds.
    pub(super) fn now(&self) -> u64 {
        self.start.elapsed().as_secs()
    }

    pub(super) fn mutated(&self, mutant: RetentionMutant) -> bool {
        self.run.mutant == Some(mutant)
    }

    fn hold(&mut self, row: usize, whole: bool) {
        self.events += 1;
        let interaction = self.rows.get(row).map(|row| row.interaction);
        self.holds.push(Hold {
            row: (!whole).then_some(row),
            interaction: interaction.filter(|_| whole),
            placed: self.events,
            released: false,
        });
    }

    /// Whether a hold is on a row that was placed before this event.
    pub(super) fn held_since(&self, number: usize, before: u64) -> bool {
        let Some(row) = self.rows.get(number) else {
            return false;
        };
        self.holds.iter().any(|hold| {
            let on = hold.row == Some(number) || hold.interaction == Some(row.interaction);
            on && !hold.released && hold.placed < before
        })
    }

    /// Puts a row off.
    pub(super) fn later(&mut self, number: usize, next: u64) {
        if let Some(row) = self.rows.get_mut(number) {
            self.queue.remove(&(row.next, number));
            row.next = next;
            if !row.expired && !row.original.open {
                self.queue.insert((next, number));
            }
        }
    }

    /// Somebody places or releases a hold, or asks for an erasure; and when somebody comes next.
    pub(super) fn people_act(&mut self) -> Duration {
        self.transfers_act();
        let many = u64::try_from(self.rows.len()).unwrap_or(1);
        if self.now() > 6 * HOUR {
            return Duration::from_secs(DAY);
        }
        let row = usize::try_from(self.dice.below(many)).unwrap_or(0);
        match self.dice.below(4) {
            0 | 1 => {
                let whole = self.dice.coin();
                self.hold(row, whole);
            }
            2 => {
                let holds = u64::try_from(self.holds.len()).unwrap_or(0).max(1);
                let which = usize::try_from(self.dice.below(holds)).unwrap_or(0);
                if let Some(hold) = self.holds.get_mut(which) {
                    hold.released = true;
                }
            }
            _ => {
                self.events += 1;
                let now = self.now();
                let held = self.held_since(row, self.events);
                if let Some(one) = self.rows.get_mut(row).filter(|one| !one.expired && !held) {
                    one.erase = true;
                    if one.original.open {
                        self.to_erase.insert(row);
                    }
                    self.later(row, now);
                }
            }
        }
        Duration::from_secs(self.dice.between(1, 600))
    }

    /// A store is about to delete a version: may it go?
    pub(super) fn about_to_delete(&mut self, number: usize, lying: &Lying) {
        self.counted.deletions += 1;
        let now = self.now();
        let Some(row) = self.rows.get(number) else {
            return;
        };
        let (key, erase, due) = (row.key.clone(), row.erase, row.due);
        let granted = row.granted.unwrap_or(0);
        if self.held_since(number, granted) {
            self.violations
                .push(format!("H1 {key} goes although it was held before"));
        }
        if due > now && !erase {
            self.violations
                .push(format!("H2 {key} goes at {now} s, due at {due} s"));
        }
        if !lying.ours {
            self.violations
                .push(format!("H3 at the key of {key} the customer's own goes"));
        }
    }

    /// Whether a row has no reason to stay.
    fn must_go(&self, number: usize, row: &Row) -> bool {
        let now = self.now();
        let locked = self.keys.get(number).is_some_and(|lying| {
            let mut ours = lying.iter().filter(|one| one.ours);
            ours.any(|one| one.locked_until > now)
        });
        let due = (row.due <= now && !row.original.open) || row.erase;
        due && !self.held_since(number, u64::MAX) && !locked
    }

    pub(super) fn calm(&mut self) {
        self.stormy = false;
        self.denied_until.clear();
    }

    /// How long a process rests: in peace there is nothing to meet but the ladder.
    pub(super) fn pause(&self) -> Duration {
        let now = self.now();
        let due = self.queue.first().is_some_and(|(next, _)| *next <= now);
        Duration::from_secs(if due || self.stormy { 1 } else { 300 })
    }

    pub(super) fn at_rest(&self) -> bool {
        let mut rows = self.rows.iter().enumerate();
        !rows
            .any(|(number, row)| !row.expired && (row.lease.is_some() || self.must_go(number, row)))
    }

    /// The verdict.
    pub(super) fn judged(&mut self) -> RetentionReport {
        let now = self.now();
        let mut report = std::mem::take(&mut self.counted);
        let mut stuck = 0_usize;
        for (number, row) in self.rows.iter().enumerate() {
            if row.expired {
                report.gone += 1;
                report.erased += usize::from(row.erase);
            } else if self.must_go(number, row) {
                stuck += 1;
            } else if row.original.open && !row.erase {
                report.unreleased += 1;
            } else if row.due > now && !row.erase {
                report.young += 1;
            } else if self.held_since(number, u64::MAX) {
                report.held += 1;
            } else {
                report.locked += 1;
            }
        }
        let others = self.keys.iter().flatten().filter(|one| !one.ours);
        report.others = others.count();
        if report.others != self.others {
            self.violations
                .push("H3 something of a customer's is not there any more".to_owned());
        }
        if stuck > 0 {
            self.violations
                .push(format!("H5 {stuck} recordings should have gone"));
        }
        report.violations.clone_from(&self.violations);
        report
    }
}

/// The clocks of every process.
#[derive(Debug)]
pub(super) struct Time(Instant);

impl Clock for Time {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::from_std(self.0.elapsed()).unwrap_or_default()
    }
    fn boot(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The world, shared by all.
#[derive(Clone)]
pub(super) struct Shared {
    world: Arc<Mutex<World>>,
    pub(super) clock: Arc<Time>,
}

impl Shared {
    pub(super) fn new(world: World) -> Self {
        let clock = Arc::new(Time(world.start));
        let world = Arc::new(Mutex::new(world));
        Self { world, clock }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One life of a process.
#[derive(Clone)]
pub(super) struct Life {
    pub(super) shared: Shared,
    died: Arc<Notify>,
}

/// What a request came to besides its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    Fine,
    /// Nothing was done.
    FailsBefore,
    /// It was done, and nobody knows.
    FailsAfter,
}

impl Life {
    pub(super) fn new(shared: Shared) -> Self {
        Self {
            shared,
            died: Arc::new(Notify::new()),
        }
    }

    pub(super) async fn died(&self) {
        self.died.notified().await;
    }

    /// One request: it takes time, may fail, and may be the process's last.
    pub(super) async fn request(&self) -> Weather {
        let (wait, dies, weather) = {
            let mut world = self.shared.world();
            world.counted.requests += 1;
            if !world.stormy {
                (Duration::from_millis(5), false, Weather::Fine)
            } else {
                let most = if world.dice.chance(3_000) {
                    60_000
                } else {
                    300
                };
                let wait = Duration::from_millis(world.dice.below(most));
                let weather = match world.dice.below(40) {
                    0 => Weather::FailsBefore,
                    1 => Weather::FailsAfter,
                    _ => Weather::Fine,
                };
                (wait, world.dice.chance(1_000), weather)
            }
        };
        sleep(wait).await;
        if dies {
            self.shared.world().counted.deaths += 1;
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
        weather
    }
}
