//! Originals that are not released yet: transfers that come and go, the ledger's side of erasing
//! originals, and staging with its trash.

use std::sync::Arc;

use async_trait::async_trait;
use recording::{
    Advance, AtPath, Clock, Erasable, Erasers, ErasingOriginal, ErasureLedger, ErasureTurn, Fence,
    Kept, KnownBy, LEASE, Lease, LeaseLost, LedgerFault, ObjectKey, OriginalGone, OriginalRemains,
    RecordingKey, Retained, SoughtOriginal, StagingFault, StagingPath,
};
use uuid::Uuid;

use super::RetentionMutant;
use super::ledger::Told;
use super::world::{HOUR, Life, Time, Weather, World};

/// Recordings that a transfer tries to claim whenever people act.
const CLAIMS: usize = 12;

/// Where an original is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Original {
    /// Whether the ledger still counts on it: the row is not released.
    pub(super) open: bool,
    pub(super) at_path: bool,
    pub(super) in_trash: u32,
    /// Whether its deletion without a proven copy may have begun.
    pub(super) began: bool,
    pub(super) attempts: u32,
    /// When that was granted last, as a number of events.
    pub(super) granted: Option<u64>,
    /// Whether a copy was proven.
    pub(super) copied: bool,
    /// Until when a transfer's lease lasts.
    pub(super) sends_until: u64,
}

/// Staging, as one process reaches it.
pub(super) struct Staging(pub(super) Life);

fn down() -> LedgerFault {
    LedgerFault::Unavailable("the simulation".to_owned())
}

fn lost() -> StagingFault {
    StagingFault::Unavailable("no answer".to_owned())
}

impl World {
    /// A transfer claims a recording, or ends one that it claimed.
    pub(super) fn transfers_act(&mut self) {
        let now = self.now();
        for number in 0..self.rows.len() {
            let ends = self.rows.get(number).is_some_and(|row| {
                row.original.open && row.original.sends_until > 0 && row.original.sends_until <= now
            });
            if ends {
                // Stored and released, parked, or dead: the lease ran out.
                let stored = self.dice.below(3) == 0;
                let at = self.rows.get(number).map_or(now, |row| row.due);
                if let Some(row) = self.rows.get_mut(number) {
                    row.original.sends_until = 0;
                    row.lease = None;
                    if stored && !row.original.began {
                        row.original.copied = true;
                        self.release(number, at);
                    }
                }
            }
        }
        if now > 6 * HOUR {
            return;
        }
        for _ in 0..CLAIMS {
            self.claim_for_transfer(now);
        }
    }

    fn claim_for_transfer(&mut self, now: u64) {
        let many = u64::try_from(self.rows.len()).unwrap_or(1);
        let number = usize::try_from(self.dice.below(many)).unwrap_or(0);
        let lasts = self.dice.between(1, 900);
        self.events += 1;
        let held = self.held_since(number, self.events);
        let token = self.dice.uuid();
        if let Some(row) = self.rows.get_mut(number) {
            let leased = row.lease.is_some_and(|(_, until)| until > now);
            let may = !row.original.began && (!row.erase || held);
            if row.original.open && !leased && may {
                row.lease = Some((token, now + lasts));
                row.original.sends_until = now + lasts;
            }
        }
    }

    /// The original is gone: from then on the sweep of copies looks for the row.
    fn release(&mut self, number: usize, next: u64) {
        self.to_erase.remove(&number);
        if let Some(row) = self.rows.get_mut(number) {
            row.original.open = false;
            row.original.at_path = false;
            row.original.in_trash = 0;
            let next = if row.erase { 0 } else { next };
            row.next = next;
            self.queue.insert((next, number));
        }
    }

    /// Staging is about to delete a file: may it go?
    fn about_to_erase(&mut self, number: usize) {
        let now = self.now();
        let Some(row) = self.rows.get(number) else {
            return;
        };
        let (key, original) = (row.key.clone(), row.original);
        if !row.erase {
            let broken = format!("O1 the original of {key} goes, and nobody asked for that");
            self.violations.push(broken);
        }
        if original.sends_until > now {
            let broken = format!("O2 the original of {key} goes while it is being sent");
            self.violations.push(broken);
        }
        if self.held_since(number, original.granted.unwrap_or(0)) {
            let broken = format!("O3 the original of {key} goes although it was held before");
            self.violations.push(broken);
        }
    }

    fn begin_erasure(&mut self, number: usize) -> Option<(Uuid, bool)> {
        self.events += 1;
        let (now, events) = (self.now(), self.events);
        let held = self.held_since(number, events) && !self.mutated(RetentionMutant::IgnoresHolds);
        let over_lease = self.mutated(RetentionMutant::OverLeases);
        let unasked = self.mutated(RetentionMutant::Unasked);
        let token = self.dice.uuid();
        let row = self.rows.get_mut(number)?;
        let leased = row.lease.is_some_and(|(_, until)| until > now) && !over_lease;
        let asked = row.erase || unasked;
        if !row.original.open || leased || !asked || row.next > now {
            return None;
        }
        if held && !row.original.began {
            row.next = now + HOUR;
            return None;
        }
        row.lease = Some((token, now + LEASE.as_secs()));
        row.next = now + LEASE.as_secs();
        if held {
            return Some((token, false));
        }
        row.original.began = true;
        row.original.attempts += 1;
        row.original.granted = Some(events);
        Some((token, true))
    }
}

#[async_trait]
impl ErasureLedger for Told {
    async fn begin_original_erasures(&self, batch: u32) -> Result<ErasureTurn, LedgerFault> {
        let sent_at = self.0.shared.clock.boot();
        let weather = self.0.request().await;
        if weather == Weather::FailsBefore {
            return Err(down());
        }
        let mut turn = ErasureTurn::default();
        let mut world = self.0.shared.world();
        let waiting: Vec<_> = world.to_erase.iter().copied().collect();
        for number in waiting {
            if turn.begun.len() >= usize::try_from(batch).unwrap_or(usize::MAX) {
                break;
            }
            let Some((token, granted)) = world.begin_erasure(number) else {
                continue;
            };
            let Some(row) = world.rows.get(number) else {
                continue;
            };
            let clock: Arc<dyn Clock> = Arc::<Time>::clone(&self.0.shared.clock);
            let fence = Fence::new(clock, sent_at, LEASE);
            let text = format!("{}/{}.wav", row.key.account_id, row.key.recording_id);
            if let Ok(path) = StagingPath::new(&row.key.account_id, &text) {
                turn.begun.push(ErasingOriginal::new(
                    SoughtOriginal {
                        key: row.key.clone(),
                        path,
                        known_by: KnownBy::Event {
                            size_bytes: 1,
                            sha256: None,
                            path_is_wanted: false,
                        },
                    },
                    Some(ObjectKey::remembered(text)),
                    Lease { token, fence },
                    (row.original.attempts, granted),
                ));
            }
        }
        match weather {
            Weather::FailsAfter => Err(down()),
            Weather::Fine | Weather::FailsBefore => Ok(turn),
        }
    }

    async fn renew_erasure(
        &self,
        erasing: &ErasingOriginal,
    ) -> Result<Result<(), LeaseLost>, LedgerFault> {
        let sent_at = self.0.shared.clock.boot();
        let weather = self.0.request().await;
        if weather == Weather::FailsBefore {
            return Err(down());
        }
        let mut world = self.0.shared.world();
        let token = erasing.lease().token;
        let number = world.index.get(erasing.key()).copied();
        let Some(number) = number.filter(|number| world.holds_lease(*number, token)) else {
            return Ok(Err(LeaseLost));
        };
        let until = world.now() + LEASE.as_secs();
        if let Some(row) = world.rows.get_mut(number) {
            row.lease = Some((token, until));
            row.next = until;
        }
        match weather {
            Weather::FailsAfter => Err(down()),
            Weather::Fine | Weather::FailsBefore => {
                erasing.lease().fence.renewed(sent_at);
                Ok(Ok(()))
            }
        }
    }

    async fn original_erased(
        &self,
        erasing: &ErasingOriginal,
        _gone: OriginalGone,
        _deleted: u32,
    ) -> Result<Advance<()>, LedgerFault> {
        let weather = self.0.request().await;
        if weather == Weather::FailsBefore {
            return Err(down());
        }
        let mut world = self.0.shared.world();
        let token = erasing.lease().token;
        let number = world.index.get(erasing.key()).copied();
        let Some(number) = number.filter(|number| world.holds_lease(*number, token)) else {
            return Ok(Advance::Overtaken);
        };
        let left = world.rows.get(number).map(|row| row.original);
        if left.is_some_and(|left| left.at_path || left.in_trash > 0) {
            let broken = format!("O4 {} is called erased, and is there", erasing.key());
            world.violations.push(broken);
        }
        world.counted.originals += 1;
        if let Some(row) = world.rows.get_mut(number) {
            row.lease = None;
            row.last_token = Some(token);
        }
        let now = world.now();
        world.release(number, now);
        match weather {
            Weather::FailsAfter => Err(down()),
            Weather::Fine | Weather::FailsBefore => Ok(Advance::Done(())),
        }
    }

    async fn keep_original(
        &self,
        erasing: &ErasingOriginal,
        kept: &Kept,
    ) -> Result<Advance<()>, LedgerFault> {
        let weather = self.0.request().await;
        if weather == Weather::FailsBefore {
            return Err(down());
        }
        let mut world = self.0.shared.world();
        let token = erasing.lease().token;
        let number = world.index.get(erasing.key()).copied();
        let Some(number) = number.filter(|number| world.holds_lease(*number, token)) else {
            return Ok(Advance::Overtaken);
        };
        let next = world.now() + kept.after.as_secs();
        if let Some(row) = world.rows.get_mut(number) {
            row.lease = None;
            row.last_token = Some(token);
            row.next = next;
            row.original.began &= kept.why != Retained::Held;
        }
        match weather {
            Weather::FailsAfter => Err(down()),
            Weather::Fine | Weather::FailsBefore => Ok(Advance::Done(())),
        }
    }
}

impl Staging {
    fn number(&self, key: &RecordingKey) -> Option<usize> {
        self.0.shared.world().index.get(key).copied()
    }

    /// Changes an original in one step. `false`: it was not as the step needs it.
    fn step(&self, number: usize, change: impl FnOnce(&mut Original) -> bool) -> bool {
        let mut world = self.0.shared.world();
        let row = world.rows.get_mut(number);
        row.is_some_and(|row| change(&mut row.original))
    }

    fn unlink(&self, number: usize) -> bool {
        self.0.shared.world().about_to_erase(number);
        self.step(number, |original| {
            let was = original.in_trash > 0;
            original.in_trash = 0;
            was
        })
    }
}

#[async_trait]
impl Erasers for Staging {
    /// Moved, then deleted: a process may die in between.
    async fn erase(&self, permission: Erasable) -> Result<u32, StagingFault> {
        if self.0.request().await != Weather::Fine {
            return Err(lost());
        }
        let Some(number) = self.number(&permission.original().key) else {
            return Ok(0);
        };
        let fenced = || permission.fence().check().map_err(|_| lost());
        fenced()?;
        let mut deleted =
            u32::from(self.step(number, |original| original.in_trash > 0) && self.unlink(number));
        if self.0.request().await != Weather::Fine {
            return Err(lost());
        }
        fenced()?;
        let moved = self.step(number, |original| {
            let there = original.at_path;
            original.at_path = false;
            original.in_trash += u32::from(there);
            there
        });
        if self.0.request().await != Weather::Fine {
            return Err(lost());
        }
        fenced()?;
        if moved {
            deleted += u32::from(self.unlink(number));
        }
        match self.0.request().await {
            Weather::Fine => Ok(deleted),
            Weather::FailsBefore | Weather::FailsAfter => Err(lost()),
        }
    }

    async fn left(&self, sought: &SoughtOriginal) -> Result<OriginalRemains, StagingFault> {
        let blind = self.0.shared.world().mutated(RetentionMutant::Blind);
        if self.0.request().await != Weather::Fine {
            return if blind {
                Ok(OriginalRemains::default())
            } else {
                Err(lost())
            };
        }
        let world = self.0.shared.world();
        let number = world.index.get(&sought.key).copied();
        let row = number.and_then(|number| world.rows.get(number));
        let original = row.map(|row| row.original).unwrap_or_default();
        Ok(OriginalRemains {
            at_path: match original.at_path {
                true => AtPath::It,
                false => AtPath::Nothing,
            },
            in_trash: original.in_trash,
        })
    }
}
