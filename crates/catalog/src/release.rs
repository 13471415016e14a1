//! What cleanup may write: its own lease on a stored row, and the outcome.

use recording::{
    Advance, Announcement, Lease, LedgerFault, ParkReason, Receipt, Recording, RecordingKey,
    ReleaseClaim, ReleaseGranted, ReleaseRefusal, StagingPath, State,
};
use uuid::Uuid;

use crate::Catalog;
use crate::catalog::{jitter, plain, seconds};
use crate::claim::ladder;
use crate::failure::corrupt;
use crate::health::{blame, confirmed_by};
use crate::rows::{self, get, recording_columns, unsigned};
use crate::transfer::advanced;

const CLAIM_RELEASE: &str = concat!(
    "-- name: claim_release
with r as (
    update recordings set
        lease_token = gen_random_uuid(), lease_until = now() + make_interval(secs => $3::float8),
        unclean_claims = unclean_claims + (lease_token is not null)::integer,
        due_at = now() + make_interval(secs => $3::float8),
        driven_at = null, drive_count = 0, updated_at = now()
     where account_id = $1 and recording_id = $2 and state = 'stored'
       and coalesce(lease_until <= now(), true)
       and (release_reason is null or driven_at is not null
            or coalesce(release_next_attempt_at <= now(), false))
       -- A refused one that is to be erased needs no look at its copy, unless a hold keeps it.
       and (release_reason is null or erasure_asked_at is null
            or held_by(account_id, interaction_id, recording_id) is not null)
       and (not $4 or (receipt_size_bytes, receipt_sha256, receipt_etag, receipt_version_id,
                       receipt_checksum, receipt_method, stored_at, receipt_content_md5)
            is not distinct from ($5::bigint, $6::bytea, $7::text, $8::text,
                                  $9::text, $10::text, $11::timestamptz, $12::text))
    returning *
)
select ",
    recording_columns!(),
    "from r left join reached_destinations d on d.revision = r.destination_revision"
);

/// Why a claim for release was not granted.
const LOOKED_UP: &str = concat!(
    "-- name: claim_release_refused
select ",
    recording_columns!(),
    "from recordings r left join reached_destinations d on d.revision = r.destination_revision
    where r.account_id = $1 and r.recording_id = $2"
);

const RELEASE: &str = "-- name: release
with r as (
    update recordings set
        state = 'released', lease_token = null, lease_until = null, last_token = $3::uuid,
        unclean_claims = 0,
        release_reason = null, release_detail = null, release_next_attempt_at = null,
        released_at = now(),
        announcement_id = $5::uuid, announcement_at = now(), announced_at = null,
        announce_after = now() + make_interval(secs => $6::float8),
        -- Cleanup may be faster than the confirm of the acknowledgment that it acts on, and that
        -- confirm may never come: another queue refused it, say. Then it is still owed.
        due_at = case when acknowledged_at is null
                      then now() + make_interval(secs => $7::float8) end,
        due_queue = case when acknowledged_at is null then 'transfer' end,
        driven_at = null, drive_count = 0, updated_at = now()
     where account_id = $1 and recording_id = $2
       and lease_token = $3::uuid and lease_until > now() and state = 'stored'
    returning account_id, recording_id, path, state, announcement_id, announcement_at,
              destination_revision
), told as (
    insert into recording_history
        (account_id, recording_id, from_state, to_state, by_whom, why)
    select account_id, recording_id, 'stored', 'released', 'cleanup', $4 from r
), freed as (
    -- Whoever waits for the path is judged at the next look.
    update quarantined_messages q set check_at = '-infinity'
      from r
     where q.reason = 'path_in_use' and q.account_id = r.account_id and q.path = r.path
       and q.ended_at is null and q.requeuable
), worked as materialized (
    select destination_worked(h.revision, 'cleanup', $8::float8) as healed
      from r join destination_health h on h.revision = r.destination_revision
     where h.state = 'unhealthy' and h.source = 'cleanup'
)
select r.* from r left join worked on true";

const RELEASED_BEFORE: &str = "-- name: released_before
    select account_id, recording_id, state, announcement_id, announcement_at
      from recordings
     where account_id = $1 and recording_id = $2
       and state = 'released' and last_token = $3::uuid";

const REFUSE: &str = "-- name: refuse_release
with held as materialized (
    select account_id, recording_id, destination_revision,
           release_reason is distinct from $4 as is_news,
           lease_token = $3::uuid and lease_until > now() and state = 'stored' as may
      from recordings where account_id = $1 and recording_id = $2 for update
), waits as materialized (
    select make_interval(secs => case
               when $6::float8 is not null and h.state = 'unhealthy' and h.holds
                    and h.source = 'cleanup' then $8::float8
               else $6::float8 end) as wait
      from held left join destination_health h on h.revision = held.destination_revision
), moved as (
    update recordings old set
        lease_token = null, lease_until = null, last_token = $3::uuid, unclean_claims = 0,
        release_reason = $4, release_detail = $5,
        release_next_attempt_at = now() + wait,
        release_rungs = old.release_rungs + 1,
        due_at = case when old.acknowledged_at is null
                      then now() + make_interval(secs => $7::float8)
                      else now() + wait end,
        due_queue = case when old.acknowledged_at is null then 'transfer' else 'cleanup' end,
        driven_at = null, drive_count = 0, updated_at = now()
      from held, waits
     where old.account_id = $1 and old.recording_id = $2 and held.may
    returning true
), told as (
    insert into recording_history
        (account_id, recording_id, from_state, to_state, by_whom, why)
    select account_id, recording_id, 'stored', 'stored', 'cleanup',
           'release refused: ' || $4
      from held where may and is_news
), failed as materialized (
    select destination_failed(destination_revision, $1 || '/' || $2, $4, $5,
               $9 = 'destination', true, 'cleanup', $10::integer, $11::float8, $12::float8)
      from held where may and $9 in ('destination', 'suspect')
)
select true from moved left join failed on true";

const COPY_LOST: &str = "-- name: copy_lost
with held as materialized (
    select account_id, recording_id, state, announced_reason, announcement_id, announcement_at,
           next_attempt_at, announce_after, stored_at, receipt_etag,
           coalesce(last_token = $3::uuid, false) as ours,
           lease_token = $3::uuid and lease_until > now() and state = 'stored' as may,
           -- Once is an accident, and due at once; whoever takes every copy away is met on the
           -- ladder, or the whole file would be sent for ever at full speed.
           make_interval(secs => case when losses = 0 then 0
                else ($8::float8[])[least(losses, cardinality($8::float8[]))] end) as wait
      from recordings,
           (select count(*)::integer as losses from recording_history
             where account_id = $1 and recording_id = $2
               and from_state = 'stored' and to_state = 'parked') before
     where account_id = $1 and recording_id = $2 for update of recordings
), moved as (
    update recordings old set
        state = 'parked', lease_token = null, lease_until = null, last_token = $3::uuid,
        unclean_claims = 0, child_deaths = 0, resumed_at = null,
        reason = $4, detail = $5, next_attempt_at = now() + wait, rungs = 0, announced_reason = $4,
        announcement_id = $6::uuid, announcement_at = now(), announced_at = null,
        announce_after = now() + make_interval(secs => $7::float8),
        -- An older receipt cannot release: it is no longer anybody's.
        object_key = null, receipt_size_bytes = null, receipt_sha256 = null,
        receipt_etag = null, receipt_version_id = null, receipt_checksum = null,
        receipt_content_md5 = null,
        receipt_method = null, stored_at = null, original_size_bytes = null,
        original_mtime_ns = null, original_inode = null, original_entity = null,
        acknowledgment_id = null, acknowledged_at = null,
        release_reason = null, release_detail = null, release_next_attempt_at = null,
        release_rungs = 0,
        due_at = now() + wait, due_queue = 'transfer', driven_at = null, drive_count = 0,
        updated_at = now()
      from held
     where old.account_id = $1 and old.recording_id = $2 and held.may
    returning old.account_id, old.recording_id, old.state, old.announced_reason,
              old.announcement_id, old.announcement_at, old.next_attempt_at
), told as (
    insert into recording_history
        (account_id, recording_id, from_state, to_state, by_whom, why)
    select account_id, recording_id, 'stored', 'parked', 'cleanup',
           $4 || ': the copy of ' || stored_at || ', etag ' || receipt_etag
      from held where may
)
select moved.*, true as moved, true as owes, false as ours from moved
union all
select account_id, recording_id, state, announced_reason, announcement_id, announcement_at,
       next_attempt_at, false, announce_after is not null and announced_reason = $4, ours
  from held where not exists (select from moved)";

impl Catalog {
    /// See [`recording::Ledger::claim_release`].
    pub(crate) async fn claim_for_release(
        &self,
        key: &RecordingKey,
        receipt: Option<&Receipt>,
    ) -> Result<ReleaseClaim, LedgerFault> {
        let size_bytes = receipt.map(|receipt| i64::try_from(receipt.size_bytes));
        // No row of ours holds a size that its column cannot keep.
        let Ok(size_bytes) = size_bytes.transpose() else {
            return Ok(ReleaseClaim::OtherReceipt);
        };
        let sent_at = self.boot();
        let (account, recording) = (key.account_id.as_str(), key.recording_id.as_str());
        let row = self
            .pool
            .row(
                CLAIM_RELEASE,
                &[
                    &account,
                    &recording,
                    &seconds(self.settings.lease),
                    &receipt.is_some(),
                    &size_bytes,
                    &receipt.map(|receipt| &receipt.sha256.as_bytes()[..]),
                    &receipt.map(|receipt| plain(&receipt.etag)),
                    &receipt.map(|receipt| receipt.version_id.as_deref().map(plain)),
                    &receipt.map(|receipt| plain(&receipt.checksum)),
                    &receipt.map(|receipt| receipt.method.as_str()),
                    &receipt.map(|receipt| receipt.stored_at),
                    &receipt.map(|receipt| receipt.content_md5.as_deref().map(plain)),
                ],
            )
            .await?;
        let Some(row) = row else {
            return self.why_not_released(key, receipt).await;
        };
        let Recording::Stored(stored) = rows::recording(&row, self.keyring())? else {
            return Err(corrupt("a stored row is not stored").into());
        };
        Ok(ReleaseClaim::Granted(Box::new(ReleaseGranted {
            stored: *stored,
            lease: self.lease(get(&row, "lease_token")?, sent_at),
            rungs: unsigned(i64::from(get::<i32>(&row, "release_rungs")?))?,
        })))
    }

    async fn why_not_released(
        &self,
        key: &RecordingKey,
        receipt: Option<&Receipt>,
    ) -> Result<ReleaseClaim, LedgerFault> {
        let (account, recording) = (key.account_id.as_str(), key.recording_id.as_str());
        let row = self.pool.row(LOOKED_UP, &[&account, &recording]).await?;
        let Some(row) = row else {
            return Ok(ReleaseClaim::NoRow);
        };
        let state = rows::state(&row)?;
        if state != State::Stored {
            let path: String = get(&row, "path")?;
            let path = StagingPath::new(&key.account_id, &path)
                .map_err(|_| corrupt("a row's path is none of its account's"))?;
            return Ok(ReleaseClaim::NotStored(state, path));
        }
        let known = rows::receipt(&row)?;
        if receipt.is_some_and(|receipt| *receipt != known) {
            return Ok(ReleaseClaim::OtherReceipt);
        }
        Ok(ReleaseClaim::Waits)
    }

    /// See [`recording::Ledger::release`].
    pub(crate) async fn advance_to_released(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        how: &str,
    ) -> Result<Advance<Announcement>, LedgerFault> {
        let (account, recording) = (key.account_id.as_str(), key.recording_id.as_str());
        let after = seconds(self.settings.announce_after);
        let mut row = self
            .pool
            .row(
                RELEASE,
                &[
                    &account,
                    &recording,
                    &lease.token,
                    &plain(how),
                    &Uuid::new_v4(),
                    &after,
                    &seconds(self.settings.unacknowledged_after),
                    &seconds(self.settings.settle_after),
                ],
            )
            .await?;
        if row.is_none() {
            let params: crate::pool::Params<'_> = &[&account, &recording, &lease.token];
            row = self.pool.row(RELEASED_BEFORE, params).await?;
        }
        match row {
            Some(row) => Ok(Advance::Done(rows::announcement(&row)?)),
            None => Ok(Advance::Overtaken),
        }
    }

    /// See [`recording::Ledger::refuse_release`].
    pub(crate) async fn keep_stored(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        refusal: &ReleaseRefusal,
    ) -> Result<Advance<()>, LedgerFault> {
        let (account, recording) = (key.account_id.as_str(), key.recording_id.as_str());
        let after = refusal.after.map(|after| seconds(after) * jitter());
        let row = self
            .pool
            .row(
                REFUSE,
                &[
                    &account,
                    &recording,
                    &lease.token,
                    &refusal.reason.as_str(),
                    &plain(&refusal.detail),
                    &after,
                    &seconds(self.settings.unacknowledged_after),
                    &(seconds(self.settings.held_for) * jitter()),
                    &blame(refusal.reason),
                    &confirmed_by(),
                    &seconds(self.settings.settle_after),
                    &seconds(self.settings.probe_after),
                ],
            )
            .await?;
        if row.is_some() {
            return Ok(Advance::Done(()));
        }
        match self.standing(key, lease).await? {
            Some(standing) if standing.ours && standing.state == State::Stored => {
                Ok(Advance::Done(()))
            }
            Some(_) | None => Ok(Advance::Overtaken),
        }
    }

    /// See [`recording::Ledger::copy_lost`].
    pub(crate) async fn fall_back_to_parked(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        detail: &str,
    ) -> Result<Advance<Option<Announcement>>, LedgerFault> {
        let (account, recording) = (key.account_id.as_str(), key.recording_id.as_str());
        let row = self
            .pool
            .row(
                COPY_LOST,
                &[
                    &account,
                    &recording,
                    &lease.token,
                    &ParkReason::CopyLost.as_str(),
                    &plain(detail),
                    &Uuid::new_v4(),
                    &seconds(self.settings.announce_after),
                    &ladder(),
                ],
            )
            .await?;
        Ok(advanced(row.as_ref())?)
    }
}
