//! Giving a recording another revision, as the ledger does it.

use std::time::Duration;

use async_trait::async_trait;
use recording::{
    Advance, LedgerFault, ParkReason, RecordingKey, Reroutable, RerouteCandidate, RerouteLedger,
    Rerouting, State,
};

use super::port::LedgerPort;
use super::{Row, Rows};
use crate::sim::bucket::bucket_of;
use crate::sim::call::Call;
use crate::sim::oracle;

/// When somebody last worked on it, if anybody ever did.
fn worked_on(row: &Row) -> Option<Duration> {
    let ended = row.lease.map_or(row.touched, |held| held.ends_at);
    (row.claims > 0).then_some(row.touched.max(ended))
}

impl Rows {
    fn reroutable(&self, key: &RecordingKey, to: Option<i64>, now: Duration) -> Reroutable {
        let Some(row) = self.rows.get(key) else {
            return Reroutable::NoRow;
        };
        match row.state {
            State::Staged | State::Parked => {}
            State::Stored | State::Released | State::Expired => {
                return Reroutable::Beyond(row.state);
            }
        }
        let pinned = row.destination.and_then(|it| self.destinations.get(&it));
        let Some(from) = pinned else {
            return Reroutable::Unpinned;
        };
        let target = to.or_else(|| self.covering(&key.account_id));
        let target = target.and_then(|revision| self.destinations.get(&revision));
        let Some(to) = target else {
            return Reroutable::NoTarget;
        };
        Reroutable::May(Box::new(RerouteCandidate {
            announced: row.announced.clone(),
            from: from.clone(),
            to: to.clone(),
            same_bucket: bucket_of(from) == bucket_of(to),
            claims: row.claims,
            leased: row.is_held(now) && !self.hasty,
            worked_on: worked_on(row)
                .filter(|_| !self.hasty)
                .map(|at| now.saturating_sub(at)),
            parked: row.parked.map(|(reason, _)| reason),
            upload_id: row.upload.as_ref().map(|upload| upload.id.clone()),
        }))
    }

    fn reroute(&mut self, wish: &Rerouting, now: Duration) -> Advance<()> {
        let (hasty, sweep_after) = (self.hasty, self.sweep_after);
        let Some(row) = self.rows.get_mut(&wish.key) else {
            return Advance::Overtaken;
        };
        let quiet = worked_on(row).is_none_or(|at| at + wish.quiet <= now);
        let same = row.claims == wish.claims && !row.is_held(now) && quiet;
        let may = matches!(row.state, State::Staged | State::Parked)
            && row.destination == Some(wish.from)
            && (same || hasty);
        if !may {
            return Advance::Overtaken;
        }
        row.destination = Some(wish.to);
        row.touched = now;
        row.rungs = 0;
        row.driven = None;
        row.parked = row.parked.map(|(reason, _)| (reason, Some(now)));
        if row.upload.take().is_some() {
            let swept = [Some(wish.from), wish.same_bucket.then_some(wish.to)];
            for revision in swept.into_iter().flatten() {
                let sweep = (wish.key.account_id.clone(), revision);
                self.sweeps.insert(sweep, now + sweep_after);
            }
        }
        Advance::Done(())
    }

    fn due_now(&mut self, key: &RecordingKey, now: Duration) -> bool {
        let row = self.rows.get_mut(key);
        let Some(row) = row.filter(|row| row.state == State::Parked) else {
            return false;
        };
        let Some((reason, _)) = row.parked else {
            return false;
        };
        row.parked = Some((reason, Some(now)));
        row.driven = None;
        row.touched = now;
        reason != ParkReason::NoDestination
    }
}

#[async_trait]
impl RerouteLedger for LedgerPort {
    async fn reroutable(
        &self,
        key: &RecordingKey,
        to: Option<i64>,
    ) -> Result<Reroutable, LedgerFault> {
        let (row, process) = (key.clone(), self.0.process);
        self.ask(Call::Reroutable, key, move |world| {
            let now = world.now();
            // What it saw before says nothing any more.
            let absences = &mut world.truth.absences;
            absences.retain(|(one, _), _| *one != process);
            world.ledger.reroutable(&row, to, now)
        })
        .await
    }

    async fn reroute(&self, rerouting: &Rerouting) -> Result<Advance<()>, LedgerFault> {
        let (wish, process) = (rerouting.clone(), self.0.process);
        self.ask(Call::Reroute, &rerouting.key, move |world| {
            let now = world.now();
            let advance = world.ledger.reroute(&wish, now);
            world.say(format_args!(
                "  {} {} to {}: {advance:?}",
                wish.key, wish.from, wish.to
            ));
            if advance == Advance::Done(()) {
                world.truth.count("rerouted");
                oracle::rerouted(world, process, &wish);
            }
            advance
        })
        .await
    }

    async fn due_now(&self, key: &RecordingKey) -> Result<bool, LedgerFault> {
        let row = key.clone();
        self.ask(Call::DueNow, key, move |world| {
            let now = world.now();
            world.truth.count("reroute finds the copy");
            world.ledger.due_now(&row, now)
        })
        .await
    }
}
