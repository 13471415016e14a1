//! What the holder of a transfer's lease may write: renewals, and the outcome.
//!
//! SUBTLE: a COMMIT whose answer is lost may have happened. Every outcome leaves its token in
//! `last_token`, so the same call again finds its own work done instead of being overtaken by
//! itself.

use recording::{
    Advance, Announcement, Fault, Lease, LeaseLost, LedgerFault, Parking, RecordingKey, Stored,
};
use uuid::Uuid;

use crate::Catalog;
use crate::catalog::{jitter, plain, seconds};
use crate::failure::{Failure, corrupt};
use crate::health::{blame, confirmed_by};
use crate::rows::{self, get};

const RENEW: &str = "-- name: renew
    update recordings set
        lease_until = now() + make_interval(secs => $4::float8),
        due_at = now() + make_interval(secs => $4::float8)
     where account_id = $1 and recording_id = $2
       and lease_token = $3::uuid and lease_until > now()
    returning true";

const STORE: &str = "-- name: store
with moved as (
    update recordings set
        state = 'stored', lease_token = null, lease_until = null, last_token = $3::uuid,
        unclean_claims = 0, child_deaths = 0, lent_at_claim = null,
        upload_id = null, upload_part_bytes = null, upload_size_bytes = null,
        upload_mtime_ns = null, upload_inode = null, upload_entity = null,
        reason = null, detail = null, next_attempt_at = null, rungs = 0,
        announced_reason = null, announcement_id = null, announcement_at = null,
        announced_at = null, announce_after = null,
        object_key = $5, receipt_size_bytes = $6, receipt_sha256 = $7, receipt_etag = $8,
        receipt_version_id = $9, receipt_checksum = $10, receipt_method = $11, stored_at = $12,
        receipt_content_md5 = $18,
        original_size_bytes = $13, original_mtime_ns = $14, original_inode = $15,
        original_entity = $19,
        acknowledgment_id = $16, acknowledged_at = null,
        release_reason = null, release_detail = null, release_next_attempt_at = null,
        release_rungs = 0,
        due_at = now() + make_interval(secs => $17::float8), due_queue = 'transfer',
        driven_at = null, drive_count = 0, updated_at = now()
     where account_id = $1 and recording_id = $2
       and lease_token = $3::uuid and lease_until > now() and state = 'staged'
       and destination_revision = $4
    returning account_id, recording_id, resumed_at, receipt_method
), told as (
    insert into recording_history
        (account_id, recording_id, at, from_state, to_state, by_whom, why)
    select account_id, recording_id, resumed_at, 'parked', 'staged', 'transfer', 'tried again'
      from moved where resumed_at is not null
    union all
    select account_id, recording_id, now(), 'staged', 'stored', 'transfer', receipt_method
      from moved
), finished as (
    delete from recording_upload_parts p using moved m
     where p.account_id = m.account_id and p.recording_id = m.recording_id
), worked as materialized (
    -- Only where that is news: every other store writes nothing here.
    select destination_worked(h.revision, 'transfer', $20::float8) as healed
      from moved join destination_health h on h.revision = $4
     where (h.state = 'unhealthy' and (h.holds or h.stands_reason is null))
        or h.failed <> '{}'
)
select true from moved left join worked on true";

/// Where a fenced write that wrote nothing finds the row.
const STANDING: &str = "-- name: standing
    select state, acknowledgment_id, destination_revision,
           coalesce(last_token = $3::uuid, false) as ours,
           coalesce(lease_token = $3::uuid and lease_until > now(), false) as leased
      from recordings where account_id = $1 and recording_id = $2";

const PARK: &str = "-- name: park
with held as materialized (
    select state, lease_token = $3::uuid and lease_until > now() and state = 'staged' as may,
           coalesce(last_token = $3::uuid, false) as ours,
           $4 <> 'account_busy' and announced_reason is distinct from $4 as is_news,
           resumed_at, resumed_at is not null and reason = $4 as as_before,
           account_id, recording_id, announced_reason, announcement_id, announcement_at,
           announce_after, next_attempt_at, destination_revision
      from recordings where account_id = $1 and recording_id = $2 for update
), waits as materialized (
    -- What an open breaker holds back is not on the ladder: closing it makes it due. What was to
    -- be held back and no longer need be is due now.
    select make_interval(secs => case
               when $10 = 'held' and not coalesce(h.state = 'unhealthy' and h.holds
                    and coalesce(h.asked_until <= now(), true), false) then 0
               when $6::float8 is not null and h.state = 'unhealthy' and h.holds then $9::float8
               else $6::float8 end) as wait
      from held left join destination_health h on h.revision = held.destination_revision
), moved as (
    update recordings old set
        state = 'parked', lease_token = null, lease_until = null, last_token = $3::uuid,
        unclean_claims = 0, child_deaths = 0, lent_at_claim = null, resumed_at = null,
        reason = $4, detail = $5, next_attempt_at = now() + wait,
        -- Waiting for a share of the process, or for a breaker, is no attempt.
        rungs = old.rungs + ($4 <> 'account_busy' and $10 <> 'held')::integer,
        announced_reason = case when is_news then $4 else old.announced_reason end,
        announcement_id = case when is_news then $7::uuid else old.announcement_id end,
        announcement_at = case when is_news then now() else old.announcement_at end,
        announced_at = case when is_news then null else old.announced_at end,
        announce_after = case when is_news then now() + make_interval(secs => $8::float8)
                              else old.announce_after end,
        due_at = now() + wait, due_queue = 'transfer',
        driven_at = null, drive_count = 0, updated_at = now()
      from held, waits
     where old.account_id = $1 and old.recording_id = $2 and held.may
    returning old.account_id, old.recording_id, old.state, old.announced_reason,
              old.announcement_id, old.announcement_at, old.next_attempt_at
), told as (
    insert into recording_history
        (account_id, recording_id, at, from_state, to_state, by_whom, why)
    select account_id, recording_id, resumed_at, 'parked', 'staged', 'transfer', 'tried again'
      from held where may and resumed_at is not null and not as_before
    union all
    select account_id, recording_id, now(), 'staged', 'parked', 'transfer', $4
      from held where may and not as_before
), failed as materialized (
    select destination_failed(destination_revision, $1 || '/' || $2, $4, $5,
               $10 = 'destination', true, 'transfer', $11::integer, $12::float8, $13::float8)
      from held where may and $10 in ('destination', 'suspect')
)
select moved.*, true as moved, is_news as owes, false as ours
  from moved cross join held left join failed on true
union all
select account_id, recording_id, state, announced_reason, announcement_id, announcement_at,
       next_attempt_at, false, announce_after is not null and announced_reason = $4, ours
  from held where not exists (select from moved)";

const GIVE_BACK: &str = "-- name: give_back
    update recordings set
        lease_token = null, lease_until = null, last_token = $3::uuid, unclean_claims = 0,
        child_deaths = 0, lent_at_claim = null,
        due_at = now(),
        due_queue = case when state = 'stored' and acknowledged_at is not null
                         then 'cleanup' else 'transfer' end,
        driven_at = null, drive_count = 0, updated_at = now()
     where account_id = $1 and recording_id = $2
       and lease_token = $3::uuid and lease_until > now()
    returning true";

/// Where a fenced write that wrote nothing finds the row.
pub(crate) struct Standing {
    pub(crate) state: recording::State,
    pub(crate) acknowledgment_id: Option<Uuid>,
    pub(crate) destination_revision: Option<i64>,
    /// The latest outcome was written under this very token.
    pub(crate) ours: bool,
    /// The lease is live all the same, so the write was refused for another cause.
    pub(crate) leased: bool,
}

impl Catalog {
    /// See [`recording::Ledger::renew`].
    pub(crate) async fn renew_lease(
        &self,
        key: &RecordingKey,
        lease: &Lease,
    ) -> Result<Result<(), LeaseLost>, LedgerFault> {
        let sent_at = self.boot();
        let ttl = seconds(self.settings.lease);
        let (account, recording) = (key.account_id.as_str(), key.recording_id.as_str());
        let renewed = self
            .pool
            .row(RENEW, &[&account, &recording, &lease.token, &ttl])
            .await?;
        if renewed.is_none() {
            lease.fence.lost();
            return Ok(Err(LeaseLost));
        }
        lease.fence.renewed(sent_at);
        Ok(Ok(()))
    }

    /// See [`recording::Ledger::store`].
    pub(crate) async fn advance_to_stored(
        &self,
        lease: &Lease,
        stored: &Stored,
    ) -> Result<Advance<()>, LedgerFault> {
        let key = &stored.announced().key;
        let (receipt, identity) = (stored.receipt(), stored.identity());
        let signed = |number: u64| {
            i64::try_from(number).map_err(|_| corrupt(format!("{number} is out of range")))
        };
        let row = self
            .pool
            .row(
                STORE,
                &[
                    &key.account_id.as_str(),
                    &key.recording_id.as_str(),
                    &lease.token,
                    &stored.destination().revision,
                    &stored.object_key().as_str(),
                    &signed(receipt.size_bytes)?,
                    &&receipt.sha256.as_bytes()[..],
                    &receipt.etag,
                    &receipt.version_id,
                    &receipt.checksum,
                    &receipt.method.as_str(),
                    &receipt.stored_at,
                    &signed(identity.size_bytes)?,
                    &identity.mtime_ns,
                    &identity.inode,
                    &stored.acknowledgment_id(),
                    &seconds(self.settings.unacknowledged_after),
                    &receipt.content_md5,
                    &identity.entity,
                    &seconds(self.settings.settle_after),
                ],
            )
            .await?;
        if row.is_some() {
            return Ok(Advance::Done(()));
        }
        let Some(standing) = self.standing(key, lease).await? else {
            return Ok(Advance::Overtaken);
        };
        if standing.acknowledgment_id == Some(stored.acknowledgment_id()) {
            return Ok(Advance::Done(()));
        }
        if standing.leased && standing.destination_revision != Some(stored.destination().revision) {
            return Err(corrupt(format!(
                "{key} was copied to revision {} but is pinned to {:?}",
                stored.destination().revision,
                standing.destination_revision
            ))
            .into());
        }
        Ok(Advance::Overtaken)
    }

    /// See [`recording::Ledger::park`].
    pub(crate) async fn advance_to_parked(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        parking: &Parking,
    ) -> Result<Advance<Option<Announcement>>, LedgerFault> {
        self.send_park(key, lease, parking, blame(parking.reason))
            .await
    }

    /// See [`recording::Ledger::hold`].
    pub(crate) async fn hold_back(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        shut: &Fault,
    ) -> Result<Advance<Option<Announcement>>, LedgerFault> {
        let parking = Parking {
            reason: shut.reason,
            detail: shut.detail.clone(),
            after: Some(self.settings.held_for),
        };
        self.send_park(key, lease, &parking, "held").await
    }

    async fn send_park(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        parking: &Parking,
        blamed: &str,
    ) -> Result<Advance<Option<Announcement>>, LedgerFault> {
        let after = parking.after.map(|after| seconds(after) * jitter());
        let settings = &self.settings;
        let row = self
            .pool
            .row(
                PARK,
                &[
                    &key.account_id.as_str(),
                    &key.recording_id.as_str(),
                    &lease.token,
                    &parking.reason.as_str(),
                    &plain(&parking.detail),
                    &after,
                    &Uuid::new_v4(),
                    &seconds(settings.announce_after),
                    &(seconds(settings.held_for) * jitter()),
                    &blamed,
                    &confirmed_by(),
                    &seconds(settings.settle_after),
                    &seconds(settings.probe_after),
                ],
            )
            .await?;
        Ok(advanced(row.as_ref())?)
    }

    /// See [`recording::Ledger::give_back`].
    pub(crate) async fn end_lease(
        &self,
        key: &RecordingKey,
        lease: &Lease,
    ) -> Result<Advance<()>, LedgerFault> {
        let (account, recording) = (key.account_id.as_str(), key.recording_id.as_str());
        let row = self
            .pool
            .row(GIVE_BACK, &[&account, &recording, &lease.token])
            .await?;
        if row.is_some() {
            return Ok(Advance::Done(()));
        }
        match self.standing(key, lease).await? {
            Some(standing) if standing.ours => Ok(Advance::Done(())),
            Some(_) | None => Ok(Advance::Overtaken),
        }
    }

    /// Where a fenced write that wrote nothing finds the row.
    pub(crate) async fn standing(
        &self,
        key: &RecordingKey,
        lease: &Lease,
    ) -> Result<Option<Standing>, Failure> {
        let (account, recording) = (key.account_id.as_str(), key.recording_id.as_str());
        let row = self
            .pool
            .row(STANDING, &[&account, &recording, &lease.token])
            .await?;
        row.map(|row| {
            Ok(Standing {
                state: rows::state(&row)?,
                acknowledgment_id: get(&row, "acknowledgment_id")?,
                destination_revision: get(&row, "destination_revision")?,
                ours: get(&row, "ours")?,
                leased: get(&row, "leased")?,
            })
        })
        .transpose()
    }
}

/// Reads what a parking statement returned: done now, done before under this very token, or not.
pub(crate) fn advanced(
    row: Option<&tokio_postgres::Row>,
) -> Result<Advance<Option<Announcement>>, Failure> {
    let Some(row) = row else {
        return Ok(Advance::Overtaken);
    };
    let done_before = get(row, "ours")? && rows::state(row)? == recording::State::Parked;
    if !get::<bool>(row, "moved")? && !done_before {
        return Ok(Advance::Overtaken);
    }
    if get(row, "owes")? {
        return rows::announcement(row).map(|owed| Advance::Done(Some(owed)));
    }
    Ok(Advance::Done(None))
}
