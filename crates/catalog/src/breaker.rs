//! Breakers: while one is open, one recording at a time is its probe and the others are put off;
//! when it has closed, what it held back is made due.
//!
//! **Decision.** What is put off is put off in the rows themselves, an hour at a time. **Because**
//! driving finds what is due by time alone, and a pile of rows that are due and may not go would
//! be walked over with every tick; and whatever becomes of a breaker, each row comes by itself in
//! the end. **Instead of** a mark that somebody must remember to take away.

use std::time::Duration;

use recording::{LedgerFault, Queue, RecordingKey};

use crate::Catalog;
use crate::catalog::seconds;
use crate::drive::queue_from;
use crate::failure::Failure;
use crate::rows::{self, get};

/// How many rows one tick puts off.
const PUT_OFF: i64 = 2000;
/// How many rows one tick makes due for each destination.
const BATCH: i64 = 500;
/// How far apart they are made due: a minute for a thousand.
const APART: Duration = Duration::from_millis(60);
/// Destinations whose rows are made due in one tick.
const DRAINS: i64 = 20;
/// How long after a breaker closed rows may still come to be seen that were held back before.
const LATE: Duration = Duration::from_secs(10);

const TROUBLE: &str = "-- name: breakers
    select coalesce(bool_or(state = 'unhealthy' and holds), false) as open,
           coalesce(bool_or(drain_until is not null), false) as draining
      from destination_health where state = 'unhealthy' or drain_until is not null";

/// What a breaker of `h` holds back: `r` is a recording. The first half is the condition of the
/// index, word for word.
macro_rules! held_back {
    () => {
        "(r.state = 'parked' or (r.state = 'stored' and r.release_reason is not null))
           and r.due_queue = case r.state when 'parked' then 'transfer' else 'cleanup' end "
    };
}

// The one that waits longest for its turn comes first; one that fails goes to the end. One whose
// message still waits in the queue keeps its turn, and is sent again: otherwise, with a queue that
// is longer than a turn, each would have lost its turn before it is heard of. An hour of that, for
// what nobody hears of may be its own fault.
const PROBE: &str = concat!(
    "-- name: probe_destinations
with open as materialized (
    select revision, source, probes, probe_account, probe_recording,
           probe_until is not null as asked
      from destination_health
     where state = 'unhealthy' and holds and probe_at <= now()
       and coalesce(probe_until <= now(), true)
     order by probe_at limit $1 for update skip locked
), again as materialized (
    select o.revision, r.account_id, r.recording_id, r.due_queue
      from open o join recordings r
        on r.account_id = o.probe_account and r.recording_id = o.probe_recording
       and r.destination_revision = o.revision
     where o.asked and r.driven_at is not null and r.drive_count < 30 and ",
    held_back!(),
    "  and (r.state = 'parked' or o.source = 'cleanup')
       and coalesce(r.lease_until <= now(), true)
       for update of r skip locked
), next as materialized (
    select o.revision, c.account_id, c.recording_id, c.due_queue
      from open o cross join lateral (
        select r.account_id, r.recording_id, r.due_queue from recordings r
         where r.destination_revision = o.revision and ",
    held_back!(),
    "      and (r.state = 'parked' or o.source = 'cleanup') and r.due_at is not null
           and coalesce(r.lease_until <= now(), true)
           and (o.asked and r.account_id = o.probe_account
                and r.recording_id = o.probe_recording and r.drive_count >= 30) is not true
         order by r.due_at limit 1 for update skip locked) c
     where not exists (select from again where again.revision = o.revision)
), chosen as materialized (
    select * from again union all select * from next
), marked as (
    update recordings r set
        driven_at = now(), drive_count = least(r.drive_count + 1, 30),
        due_at = now() + make_interval(secs => $2::float8)
      from chosen c
     where r.account_id = c.account_id and r.recording_id = c.recording_id
), noted as (
    update destination_health h set
        probes = least(h.probes + 1, 30),
        probe_at = now() + make_interval(secs => least($3::float8 * 2 ^ h.probes, $4::float8)),
        probe_account = c.account_id, probe_recording = c.recording_id,
        probe_until = case when c.recording_id is not null
                           then now() + make_interval(secs => $4::float8) end
      from open o left join chosen c on c.revision = o.revision
     where h.revision = o.revision
)
select account_id, recording_id, due_queue from chosen"
);

const PUT_OFF_ROWS: &str = concat!(
    "-- name: hold_back
with held as materialized (
    select r.account_id, r.recording_id,
           now() + make_interval(secs => $1::float8 * (0.8 + 0.4 * random())) as later
      from destination_health h join recordings r on r.destination_revision = h.revision
     where h.state = 'unhealthy' and h.holds and coalesce(h.asked_until <= now(), true)
       and (r.state = 'parked' or h.source = 'cleanup') and r.due_at <= now() and ",
    held_back!(),
    "limit $2 for update of r skip locked
)
update recordings r set
    next_attempt_at = case r.state when 'parked' then held.later else r.next_attempt_at end,
    release_next_attempt_at = case r.state when 'stored' then held.later end,
    due_at = held.later, driven_at = null, drive_count = 0
  from held
 where r.account_id = held.account_id and r.recording_id = held.recording_id"
);

// SUBTLE: whatever is due before the horizon comes by itself, so the horizon says what is done
// already; what was driven since is due again later, and on its way. What was parked after the
// breaker closed is on the ladder for another reason, but for those that were just being parked:
// their statement may have begun later than the closing one and not have seen it.
const DRAIN: &str = concat!(
    "-- name: drain
with closed as materialized (
    select revision, drain_from, greatest(drain_until, now()) as base from destination_health
     where drain_until is not null order by drain_until limit $1 for update skip locked
), waiting as materialized (
    select c.revision, c.base, w.account_id, w.recording_id,
           row_number() over (partition by c.revision order by w.due_at) as n
      from closed c cross join lateral (
        select r.account_id, r.recording_id, r.due_at from recordings r
         where r.destination_revision = c.revision and ",
    held_back!(),
    "      and r.due_at > c.base and r.driven_at is null
           and r.updated_at <= c.drain_from + make_interval(secs => $4::float8)
         order by r.due_at limit $2 for update skip locked) w
), moved as (
    update recordings r set
        due_at = w.base + w.n * make_interval(secs => $3::float8),
        next_attempt_at = case r.state
            when 'parked' then w.base + w.n * make_interval(secs => $3::float8)
            else r.next_attempt_at end,
        release_next_attempt_at = case r.state
            when 'stored' then w.base + w.n * make_interval(secs => $3::float8) end,
        rungs = 0, release_rungs = 0, driven_at = null, drive_count = 0
      from waiting w
     where r.account_id = w.account_id and r.recording_id = w.recording_id
), counted as (
    select c.revision, c.base, c.drain_from, count(w.recording_id) as n
      from closed c left join waiting w on w.revision = c.revision group by 1, 2, 3
), noted as (
    update destination_health h set
        drain_until = case
            when c.n > 0 then c.base + c.n * make_interval(secs => $3::float8)
            when now() <= c.drain_from + make_interval(secs => $4::float8) then h.drain_until end,
        drain_from = case
            when c.n > 0 or now() <= c.drain_from + make_interval(secs => $4::float8)
            then h.drain_from end
      from counted c where h.revision = c.revision
)
select coalesce(sum(n), 0)::bigint as made_due from counted"
);

impl Catalog {
    /// See [`recording::Ledger::tend_breakers`].
    pub(crate) async fn tend(&self, limit: u32) -> Result<Vec<(Queue, RecordingKey)>, LedgerFault> {
        let Some(trouble) = self.pool.row(TROUBLE, &[]).await? else {
            return Ok(Vec::new());
        };
        if get(&trouble, "draining")? {
            self.drain().await?;
        }
        if !get::<bool>(&trouble, "open")? {
            return Ok(Vec::new());
        }
        let settings = &self.settings;
        let probes = self
            .pool
            .rows(
                PROBE,
                &[
                    &i64::from(limit),
                    &seconds(settings.drive_again_after),
                    &seconds(settings.probe_after),
                    &seconds(settings.probe_at_most),
                ],
            )
            .await?;
        let held_for = seconds(settings.held_for);
        self.pool.rows(PUT_OFF_ROWS, &[&held_for, &PUT_OFF]).await?;
        let probes = probes
            .iter()
            .map(|row| Ok((queue_from(get(row, "due_queue")?)?, rows::key(row)?)));
        Ok(probes.collect::<Result<_, Failure>>()?)
    }

    async fn drain(&self) -> Result<(), Failure> {
        let row = self
            .pool
            .row(DRAIN, &[&DRAINS, &BATCH, &seconds(APART), &seconds(LATE)])
            .await?;
        let made_due: i64 = row.map_or(Ok(0), |row| get(&row, "made_due"))?;
        if made_due > 0 {
            tracing::info!(made_due, "what waited for a destination goes on");
        }
        Ok(())
    }
}
