//! The port of erasing originals that no copy was proven of: what may be deleted, and what came of
//! it. The intent is a person's (`erasure.rs`); the copy's end is the retention sweep's
//! (`expiry.rs`).

use std::time::Duration;

use async_trait::async_trait;
use recording::{
    Advance, ErasingOriginal, ErasureLedger, ErasureTurn, Kept, KnownBy, LeaseLost, LedgerFault,
    ObjectKey, OriginalGone, SoughtOriginal, State, object_key,
};
use tokio_postgres::Row;

use crate::Catalog;
use crate::catalog::{jitter, plain, seconds};
use crate::failure::Failure;
use crate::rows::{self, get, recording_columns, unsigned};
use crate::stores::destination;

/// How long what a hold keeps is put off: releasing it makes it due.
const HELD_AGAIN: Duration = Duration::from_secs(24 * 3600);

const BEGIN: &str = concat!(
    include_str!("erasing.sql"),
    // Whoever waits for the path may have written over the original: nobody knows whose it is.
    "select r.granted, r.original_erasure_attempts, (select count(*) from held) as held,
            exists (select from quarantined_messages q
                     where q.reason = 'path_in_use' and q.account_id = r.account_id
                       and q.path = r.path and q.ended_at is null) as path_is_wanted, ",
    recording_columns!(),
    "from r left join reached_destinations d on d.revision = r.destination_revision"
);

/// No drive is due for it meanwhile, which an ordinary renewal would set.
const RENEW: &str = "-- name: renew_erasure
    update recordings set
        lease_until = now() + make_interval(secs => $4::float8),
        expiry_next_at = now() + make_interval(secs => $4::float8)
     where account_id = $1 and recording_id = $2
       and lease_token = $3::uuid and lease_until > now()
       and original_erasure_began_at is not null
    returning true";

/// The words are taken by the database itself (`words_go_with_the_original`). An event that was
/// owed is no longer news: `recording.expired` follows.
const ERASED: &str = "-- name: original_erased
with was as materialized (
    select state, path from recordings where account_id = $1 and recording_id = $2 for update
), r as (
    update recordings old set
        state = 'released', lease_token = null, lease_until = null, last_token = $3::uuid,
        unclean_claims = 0, child_deaths = 0, lent_at_claim = null, resumed_at = null,
        original_erased_at = now(), original_erasure_proof = $4, object_key = $5,
        released_at = now(),
        reason = null, detail = null, next_attempt_at = null, announced_reason = null,
        announcement_id = null, announcement_at = null, announced_at = null,
        announce_after = null,
        expiry_outcome = null, expiry_detail = null,
        expiry_next_at = greatest(now(), old.late_writes_until),
        due_at = null, due_queue = null, driven_at = null, drive_count = 0, updated_at = now()
      -- Read before it is changed, since the words go with this.
      from was
     where old.account_id = $1 and old.recording_id = $2
       and old.lease_token = $3::uuid and old.lease_until > now()
       and old.state in ('staged', 'parked')
    returning old.account_id, old.recording_id
), told as (
    insert into recording_history (account_id, recording_id, from_state, to_state, by_whom, why)
    select account_id, recording_id, was.state, 'released', 'cleanup',
           'erasure, without a proven copy: ' || $4
      from r cross join was
), freed as (
    -- Whoever waits for the path is judged at the next look.
    update quarantined_messages q set check_at = '-infinity'
      from r cross join was
     where q.reason = 'path_in_use' and q.account_id = r.account_id and q.path = was.path
       and q.ended_at is null and q.requeuable
)
select true from r
union all
select true from recordings
 where account_id = $1 and recording_id = $2 and last_token = $3::uuid
   and original_erased_at is not null";

/// A hold that came too late for a deletion, and yet finds the original: nothing of it has begun
/// any more, and it goes on as any other.
const KEEP: &str = "-- name: keep_original
with was as materialized (
    select state, expiry_outcome as outcome,
           lease_token = $3::uuid and lease_until > now()
               and state in ('staged', 'parked', 'stored') as may
      from recordings where account_id = $1 and recording_id = $2 for update
), moved as (
    update recordings r set
        lease_token = null, lease_until = null, last_token = $3::uuid,
        original_erasure_began_at =
            case $4::text when 'held' then null else r.original_erasure_began_at end,
        expiry_outcome = $4::text, expiry_detail = $5::text,
        expiry_next_at = now() + make_interval(secs => $6::float8),
        due_at = case when goes_on then now() else r.due_at end,
        due_queue = case when goes_on then 'transfer' else r.due_queue end,
        next_attempt_at = case when goes_on and r.state = 'parked' then now()
                               else r.next_attempt_at end,
        driven_at = null, drive_count = 0, updated_at = now()
      from (select *, $4::text = 'held' and state <> 'stored' as goes_on from was) w
     where r.account_id = $1 and r.recording_id = $2 and w.may
    returning true
), told as (
    insert into recording_history (account_id, recording_id, from_state, to_state, by_whom, why)
    select $1, $2, state, state, 'cleanup', 'the original is kept, ' || $4::text || ': ' || $5::text
      from was where may and outcome is distinct from $4::text
)
select true from moved
union all
select true from recordings
 where account_id = $1 and recording_id = $2 and last_token = $3::uuid";

impl Catalog {
    fn erasing(&self, row: &Row, sent_at: Duration) -> Result<ErasingOriginal, Failure> {
        let announced = rows::announced(row)?;
        let state = rows::state(row)?;
        let pinned: Option<i64> = get(row, "destination_revision")?;
        let lies_at = match (state, pinned) {
            (State::Stored, _) => Some(ObjectKey::remembered(get(row, "object_key")?)),
            // Where it is only matters for its key: no secret is opened.
            (_, Some(_)) => Some(object_key(&announced, &destination(row, None)?)),
            (_, None) => None,
        };
        let known_by = match state {
            State::Stored => KnownBy::Copy {
                identity: rows::identity(row)?,
                sha256: rows::receipt(row)?.sha256,
            },
            State::Staged | State::Parked | State::Released | State::Expired => KnownBy::Event {
                size_bytes: announced.original.size_bytes,
                sha256: announced.original.sha256,
                path_is_wanted: get(row, "path_is_wanted")?,
            },
        };
        let attempts = unsigned(i64::from(get::<i32>(row, "original_erasure_attempts")?))?;
        Ok(ErasingOriginal::new(
            SoughtOriginal {
                key: announced.key,
                path: announced.original.path,
                known_by,
            },
            lies_at,
            self.lease(get(row, "lease_token")?, sent_at),
            (attempts, get(row, "granted")?),
        ))
    }
}

#[async_trait]
impl ErasureLedger for Catalog {
    async fn begin_original_erasures(&self, batch: u32) -> Result<ErasureTurn, LedgerFault> {
        let sent_at = self.boot();
        let rows = self
            .pool
            .rows(
                BEGIN,
                &[
                    &i64::from(batch),
                    &seconds(self.settings.lease),
                    &(seconds(HELD_AGAIN) * jitter()),
                    &seconds(self.settings.late_writes),
                ],
            )
            .await?;
        let mut turn = ErasureTurn::default();
        for row in &rows {
            turn.held = unsigned(get::<i64>(row, "held")?)?;
            match self.erasing(row, sent_at) {
                Ok(erasing) => turn.begun.push(erasing),
                // One row that cannot be understood keeps none of the others.
                Err(failure) => tracing::error!(fault = %failure.fault, "a row cannot be erased"),
            }
        }
        Ok(turn)
    }

    async fn renew_erasure(
        &self,
        erasing: &ErasingOriginal,
    ) -> Result<Result<(), LeaseLost>, LedgerFault> {
        let (key, lease, sent_at) = (erasing.key(), erasing.lease(), self.boot());
        let (account, recording) = (key.account_id.as_str(), key.recording_id.as_str());
        let ttl = seconds(self.settings.lease);
        let params: crate::pool::Params<'_> = &[&account, &recording, &lease.token, &ttl];
        if self.pool.row(RENEW, params).await?.is_none() {
            return Ok(Err(LeaseLost));
        }
        lease.fence.renewed(sent_at);
        Ok(Ok(()))
    }

    async fn original_erased(
        &self,
        erasing: &ErasingOriginal,
        gone: OriginalGone,
        deleted: u32,
    ) -> Result<Advance<()>, LedgerFault> {
        let (key, lease) = (erasing.key(), erasing.lease());
        let proof = format!("{deleted} deleted; {}", gone.seen());
        if erasing.is_copied() {
            let how = format!("erasure, without a second look at the copy: {proof}");
            return Ok(match self.advance_to_released(key, lease, &how).await? {
                // Housekeeping says so when it is due, as for every release.
                Advance::Done(_) => Advance::Done(()),
                Advance::Overtaken => Advance::Overtaken,
            });
        }
        let row = self
            .pool
            .row(
                ERASED,
                &[
                    &key.account_id.as_str(),
                    &key.recording_id.as_str(),
                    &lease.token,
                    &proof,
                    &erasing.object_key().map(ObjectKey::as_str),
                ],
            )
            .await?;
        Ok(row.map_or(Advance::Overtaken, |_| Advance::Done(())))
    }

    async fn keep_original(
        &self,
        erasing: &ErasingOriginal,
        kept: &Kept,
    ) -> Result<Advance<()>, LedgerFault> {
        let key = erasing.key();
        let row = self
            .pool
            .row(
                KEEP,
                &[
                    &key.account_id.as_str(),
                    &key.recording_id.as_str(),
                    &erasing.lease().token,
                    &kept.why.as_str(),
                    &plain(&kept.detail),
                    &(seconds(kept.after) * jitter()),
                ],
            )
            .await?;
        Ok(row.map_or(Advance::Overtaken, |_| Advance::Done(())))
    }
}
