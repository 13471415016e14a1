//! Giving a recording that is not stored yet another revision. The database refuses any other way
//! of changing a pin, and writes the history row itself: see `0009_reroute.sql`.

use std::time::Duration;

use async_trait::async_trait;
use recording::{
    Advance, LedgerFault, RecordingKey, Reroutable, RerouteCandidate, RerouteLedger, Rerouting,
    State,
};

use crate::Catalog;
use crate::catalog::{plain, seconds};
use crate::failure::corrupt;
use crate::rows::{self, get, optional_word, recording_columns, unsigned};
use crate::stores::{destination, reached_columns};

const ROW: &str = concat!(
    "-- name: reroutable
    select coalesce(r.lease_until > now(), false) as leased, d.place,
           case when r.claims > 0 then extract(epoch from
               now() - greatest(r.updated_at, r.lease_until))::float8 end as worked_on, ",
    recording_columns!(),
    "from recordings r left join reached_destinations d on d.revision = r.destination_revision
     where r.account_id = $1 and r.recording_id = $2"
);

/// Nobody is given another customer's bucket, whatever number is asked for.
const TARGET: &str = concat!(
    "-- name: reroute_target
    select d.place, ",
    reached_columns!(),
    "from reached_destinations d
     where d.revision = coalesce($2, destination_in_force($1, now()))
       and (d.account_id = $1 or d.account_id is null)"
);

// SUBTLE: `claims` is what tells whether anybody had the recording since it was looked at: a
// whole transfer may have come and gone meanwhile, and have left its copy at the old key.
// `updated_at` is set by every statement that ends a lease, so that with `lease_until` it says
// when somebody last worked on it. It may say too much (a retry by hand sets it), never too
// little. A lease's token that ran out stays: the next claim counts it as a suspicion, and it
// fences nothing any more.
const MOVE: &str = "-- name: reroute
with held as materialized (
    select account_id, recording_id, upload_id from recordings
     where account_id = $1 and recording_id = $2
       and state in ('staged', 'parked') and destination_revision = $3 and claims = $5
       and coalesce(lease_until <= now(), true)
       and original_erasure_began_at is null
       and (claims = 0 or greatest(updated_at, lease_until)
                <= now() - make_interval(secs => $6::float8))
       for update
), moved as (
    update recordings r set
        destination_revision = $4, reroute_note = $7,
        upload_id = null, upload_part_bytes = null, upload_size_bytes = null,
        upload_mtime_ns = null, upload_inode = null, upload_entity = null,
        next_attempt_at = case when r.state = 'parked' then now() end, rungs = 0,
        -- The same reason at another place is news, unless it is still owed for the old one.
        announced_reason = case when r.announce_after is not null then r.announced_reason end,
        due_at = now(), due_queue = 'transfer', driven_at = null, drive_count = 0,
        updated_at = now()
      from held
     where r.account_id = held.account_id and r.recording_id = held.recording_id
    returning r.account_id, r.recording_id
), cleared as (
    delete from recording_upload_parts p using moved m
     where p.account_id = m.account_id and p.recording_id = m.recording_id
), swept as (
    insert into upload_sweeps as known (revision, account_id, begun_at, due_at)
    select revision, held.account_id, now(), now() + make_interval(secs => $8::float8)
      from held cross join unnest($9::bigint[]) as revision
     where held.upload_id is not null and exists (select from moved)
    on conflict (revision, account_id) do update set begun_at = now()
)
select true from moved";

const DUE_NOW: &str = "-- name: reroute_due_now
    update recordings set
        next_attempt_at = now(), due_at = now(), due_queue = 'transfer',
        driven_at = null, drive_count = 0, updated_at = now()
     where account_id = $1 and recording_id = $2 and state = 'parked'
    returning true";

#[async_trait]
impl RerouteLedger for Catalog {
    async fn reroutable(
        &self,
        key: &RecordingKey,
        to: Option<i64>,
    ) -> Result<Reroutable, LedgerFault> {
        let (account, recording) = (key.account_id.as_str(), key.recording_id.as_str());
        let Some(row) = self.pool.row(ROW, &[&account, &recording]).await? else {
            return Ok(Reroutable::NoRow);
        };
        let state = rows::state(&row)?;
        match state {
            State::Staged | State::Parked => {}
            State::Stored | State::Released | State::Expired => {
                return Ok(Reroutable::Beyond(state));
            }
        }
        if get::<Option<i64>>(&row, "destination_revision")?.is_none() {
            return Ok(Reroutable::Unpinned);
        }
        let Some(target) = self.pool.row(TARGET, &[&account, &to]).await? else {
            return Ok(Reroutable::NoTarget);
        };
        let places: (&str, &str) = (get(&row, "place")?, get(&target, "place")?);
        let worked_on: Option<f64> = get(&row, "worked_on")?;
        let parked = match state {
            State::Parked => optional_word(&row, "reason")?,
            State::Staged | State::Stored | State::Released | State::Expired => None,
        };
        Ok(Reroutable::May(Box::new(RerouteCandidate {
            announced: rows::announced(&row)?,
            from: destination(&row, self.keyring())?,
            to: destination(&target, self.keyring())?,
            same_bucket: places.0 == places.1,
            claims: unsigned(i64::from(get::<i32>(&row, "claims")?))?,
            leased: get(&row, "leased")?,
            worked_on: worked_on.map(|ago| Duration::try_from_secs_f64(ago).unwrap_or_default()),
            parked,
            upload_id: get(&row, "upload_id")?,
        })))
    }

    async fn reroute(&self, rerouting: &Rerouting) -> Result<Advance<()>, LedgerFault> {
        let key = &rerouting.key;
        let claims = i32::try_from(rerouting.claims)
            .map_err(|_| corrupt(format!("{key} has too many claims")))?;
        let mut swept = vec![rerouting.from];
        if rerouting.same_bucket {
            // The old credential may be gone, and the new one reaches the same bucket.
            swept.push(rerouting.to);
        }
        let row = self
            .pool
            .row(
                MOVE,
                &[
                    &key.account_id.as_str(),
                    &key.recording_id.as_str(),
                    &rerouting.from,
                    &rerouting.to,
                    &claims,
                    &seconds(rerouting.quiet),
                    &plain(&rerouting.why),
                    &seconds(self.settings.sweep_after),
                    &swept,
                ],
            )
            .await?;
        Ok(row.map_or(Advance::Overtaken, |_| Advance::Done(())))
    }

    async fn due_now(&self, key: &RecordingKey) -> Result<bool, LedgerFault> {
        let (account, recording) = (key.account_id.as_str(), key.recording_id.as_str());
        let row = self.pool.row(DUE_NOW, &[&account, &recording]).await?;
        Ok(row.is_some())
    }
}
