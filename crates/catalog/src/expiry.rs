//! The port of the retention sweep: whose turn it is, what it may delete, and what came of it.

pub(crate) mod shown;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use recording::{
    AccountId, Advance, Announcement, Expiring, ExpiryTurn, Gone, Kept, LedgerFault, Note,
    Recording, RecordingKey, Retained, RetentionLedger, RetentionReading,
};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::Catalog;
use crate::catalog::{jitter, plain, seconds};
use crate::failure::{Failure, corrupt};
use crate::rows::{self, announcement_columns, get, recording_columns, unsigned, word};

/// How long what a hold keeps is put off: all that an account has may be held, and looking at it
/// again must not keep what is due from going.
const HELD_AGAIN: Duration = Duration::from_secs(24 * 3600);
/// When a row that cannot be read is read again.
const UNREADABLE_AGAIN: Duration = Duration::from_secs(3600);

const BEGIN: &str = concat!(
    include_str!("expiry.sql"),
    "select r.granted, r.expiry_for, r.expiry_attempts, (select count(*) from held) as held,
            null::text as stopped_account, null::text as excess, ",
    recording_columns!(),
    "from r left join reached_destinations d on d.revision = r.destination_revision"
);

/// What stopped just now. `stopped` of the statement above is not told, because the answer's rows
/// are recordings.
const STOPPED: &str = "-- name: stopped_expiries
    update retention_stops set told = true
     where not told and confirmed_at is null
    returning account_id, detail";

/// An erased row keeps what answers whoever announces it again, and no word of the event. Under a
/// hold that came too late for the copy the words stay, until it is released.
const EXPIRE: &str = concat!(
    "-- name: expire
with was as materialized (
    -- Also one that was asked for while its retention already ended it.
    select erasure_asked_at is not null
           and held_by(account_id, interaction_id, recording_id) is null as erased
      from recordings where account_id = $1 and recording_id = $2
), r as (
    update recordings old set
        state = 'expired', lease_token = null, lease_until = null, last_token = $3::uuid,
        expired_at = now(), expiry_proof = $4::text, expired_versions = $5::integer,
        expiry_outcome = null, expiry_detail = null, expiry_lock_until = null,
        expiry_next_at = null,
        announcement_id = $6::uuid, announcement_at = now(), announced_at = null,
        announce_after = now() + make_interval(secs => $7::float8), updated_at = now(),
        erased_at = coalesce(old.erased_at, case when erased then now() end),
        upload_id = null, upload_part_bytes = null, upload_size_bytes = null,
        upload_mtime_ns = null, upload_inode = null, upload_entity = null,
        interaction_id = case when erased then 'erased' else old.interaction_id end,
        path = case when erased then old.account_id || '/erased' else old.path end,
        media_type = case when erased then 'application/octet-stream' else old.media_type end,
        started_at = case when erased then 'epoch' else old.started_at end,
        completed_at = case when erased then 'epoch' else old.completed_at end,
        duration_ms = case when not erased then old.duration_ms end,
        sha256 = case when not erased then old.sha256 end,
        attributes = case when erased then '{}' else old.attributes end,
        detail = case when not erased then old.detail end,
        release_detail = case when not erased then old.release_detail end
      from was
     where old.account_id = $1 and old.recording_id = $2
       and old.lease_token = $3::uuid and old.lease_until > now() and old.state = 'released'
    returning old.*
), told as (
    insert into recording_history (account_id, recording_id, from_state, to_state, by_whom, why)
    select account_id, recording_id, 'released', 'expired', 'housekeeping',
           expiry_for || ': ' || $5::integer || ' deleted; ' || $8::text
      from r
)
select ",
    announcement_columns!(),
    "from r left join reached_destinations d on d.revision = r.destination_revision"
);

/// The same outcome, asked for again because its answer was lost.
const EXPIRED_BEFORE: &str = concat!(
    "-- name: expired_before
    select ",
    announcement_columns!(),
    " from recordings r
      left join reached_destinations d on d.revision = r.destination_revision
     where r.account_id = $1 and r.recording_id = $2
       and r.state = 'expired' and r.last_token = $3::uuid"
);

/// A hold that came too late for a deletion, and yet finds the copy: nothing of it has begun any
/// more.
const KEEP: &str = "-- name: keep_copy
with was as materialized (
    select expiry_outcome as outcome,
           lease_token = $3::uuid and lease_until > now() and state = 'released' as may
      from recordings where account_id = $1 and recording_id = $2 for update
), moved as (
    update recordings r set
        lease_token = null, lease_until = null, last_token = $3::uuid,
        expiry_began_at = case $4::text when 'held' then null else r.expiry_began_at end,
        expiry_outcome = $4::text, expiry_detail = $5::text, expiry_lock_until = $6::timestamptz,
        expiry_next_at = now() + make_interval(secs => $7::float8), updated_at = now()
      from was
     where r.account_id = $1 and r.recording_id = $2 and was.may
    returning true
), told as (
    insert into recording_history (account_id, recording_id, from_state, to_state, by_whom, why)
    select $1, $2, 'released', 'released', 'housekeeping', 'kept, ' || $4::text || ': ' || $5::text
      from was where may and outcome is distinct from $4::text
)
select true from moved
union all
select true from recordings
 where account_id = $1 and recording_id = $2 and last_token = $3::uuid and state = 'released'";

/// The attempt was counted with the grant, and is not one. What was begun before stays begun.
const NOT_BEGUN: &str = "-- name: expiry_not_begun
    update recordings set
        lease_token = null, lease_until = null, last_token = $3::uuid,
        expiry_attempts = expiry_attempts - case when $4 then 1 else 0 end,
        expiry_began_at = case when $4 and expiry_attempts = 1 then null else expiry_began_at end,
        expiry_next_at = now(), updated_at = now()
     where account_id = $1 and recording_id = $2 and lease_token = $3::uuid
       and state = 'released'
    returning true";

const PUT_OFF: &str = "-- name: put_off_sweep
    update retention_pace set next_at = now() + make_interval(secs => $2::float8)
     where account_id = coalesce($1::text, (
        select p.account_id from retention_pace p
         where p.next_at <= now()
           and not exists (select from retention_stops s
                            where s.confirmed_at is null
                              and (s.account_id is null or s.account_id = p.account_id))
         order by p.next_at limit 1))
    returning account_id";

const STOP: &str = "-- name: stop_retention
    insert into retention_stops (account_id, reason, detail, told)
    values (null, 'clock_jump', $1, true) on conflict do nothing";

const READING: &str = "-- name: retention_reading
with kept as (
    select expiry_outcome as word, count(*) as n from recordings
     where state = 'released' and expiry_outcome is not null group by 1
), stops as (
    select count(*) as n, extract(epoch from now() - min(stopped_at))::float8 as age
      from retention_stops where confirmed_at is null
)
select 'kept' as what, word, n, null::float8 as age from kept
union all select 'stops', '', n, age from stops
union all
select 'erasures', '', count(*), extract(epoch from now() - min(since))::float8 from (
    select erasure_asked_at as since from recordings r
     where erasure_asked_at is not null and erased_at is null
       and held_by(r.account_id, r.interaction_id, r.recording_id) is null
    union all select begun_at from message_erasures) erasing
union all
-- An account whose turn has long come is one that nobody sweeps.
select 'overdue', '', 0, extract(epoch from now() - min(next_at))::float8 from retention_pace p
 where next_at <= now()
   and not exists (select from retention_stops s where s.confirmed_at is null
                    and (s.account_id is null or s.account_id = p.account_id))";

fn retained(text: &str) -> Result<Retained, Failure> {
    Retained::ALL
        .into_iter()
        .find(|why| why.as_str() == text)
        .ok_or_else(|| corrupt(format!("`{text}` is not a reason to keep a copy")))
}

impl Catalog {
    fn expiring(&self, row: &Row, sent_at: Duration) -> Result<Expiring, Failure> {
        let why = rows::expiry_reason(row)?;
        let attempts = unsigned(i64::from(get::<i32>(row, "expiry_attempts")?))?;
        let lease = self.lease(get(row, "lease_token")?, sent_at);
        let granted = (attempts, get(row, "granted")?);
        match rows::recording(row, self.keyring())? {
            Recording::Released(released) => Ok(Expiring::new(&released, lease, why, granted)),
            Recording::Withdrawn(withdrawn) => {
                Ok(Expiring::unproven(&withdrawn, lease, why, granted))
            }
            Recording::Staged(_)
            | Recording::Parked(_)
            | Recording::Stored(_)
            | Recording::Expired(_) => Err(corrupt("a released row is not released")),
        }
    }

    /// A granted row that cannot be understood, because a secret does not open for one: it is
    /// counted as kept, and tried again in an hour. Nothing of it is sent.
    async fn cannot_expire(&self, row: &Row, failure: &Failure) -> Result<(), LedgerFault> {
        let (account, recording): (String, String) =
            (get(row, "account_id")?, get(row, "recording_id")?);
        tracing::error!(
            account.id = %account, recording.id = %recording, fault = %failure.fault,
            "a copy cannot expire: its row cannot be read"
        );
        let token: Uuid = get(row, "lease_token")?;
        let detail = plain(&format!("its row cannot be read: {}", failure.fault));
        let after = seconds(UNREADABLE_AGAIN) * jitter();
        let (why, lock) = (Retained::Unclear.as_str(), None::<DateTime<Utc>>);
        self.pool
            .rows(
                KEEP,
                &[&account, &recording, &token, &why, &detail, &lock, &after],
            )
            .await?;
        Ok(())
    }
}

#[async_trait]
impl RetentionLedger for Catalog {
    async fn ledger_time(&self) -> Result<DateTime<Utc>, LedgerFault> {
        let sql = "-- name: ledger_time
            select clock_timestamp() as now";
        let row = self.pool.row(sql, &[]).await?;
        let row = row.ok_or_else(|| corrupt("no time"))?;
        Ok(get(&row, "now")?)
    }

    async fn begin_expiries(&self, accounts: u32, batch: u32) -> Result<ExpiryTurn, LedgerFault> {
        let sent_at = self.boot();
        let rows = self
            .pool
            .rows(
                BEGIN,
                &[
                    &i64::from(accounts),
                    &i64::from(batch),
                    &seconds(self.settings.lease),
                    &(seconds(HELD_AGAIN) * jitter()),
                    &seconds(self.settings.retention_pause),
                    &seconds(self.settings.late_writes),
                ],
            )
            .await?;
        let mut turn = ExpiryTurn::default();
        for row in &rows {
            turn.held = unsigned(get::<i64>(row, "held")?)?;
            match self.expiring(row, sent_at) {
                Ok(expiring) => turn.begun.push(expiring),
                // One row that cannot be understood keeps none of the others.
                Err(failure) => self.cannot_expire(row, &failure).await?,
            }
        }
        for row in self.pool.rows(STOPPED, &[]).await? {
            let account: AccountId = word(&row, "account_id")?;
            turn.stopped.push((account, get(&row, "detail")?));
        }
        Ok(turn)
    }

    async fn expire(
        &self,
        expiring: &Expiring,
        gone: Gone,
        versions: u32,
    ) -> Result<Advance<Announcement>, LedgerFault> {
        let key = expiring.key();
        let (account, recording) = (key.account_id.as_str(), key.recording_id.as_str());
        let token = expiring.lease().token;
        let versions = i32::try_from(versions).unwrap_or(i32::MAX);
        let after = seconds(self.settings.announce_after);
        let mut row = self
            .pool
            .row(
                EXPIRE,
                &[
                    &account,
                    &recording,
                    &token,
                    &gone.absence().as_str(),
                    &versions,
                    &Uuid::new_v4(),
                    &after,
                    &gone.absence().seen(),
                ],
            )
            .await?;
        if row.is_none() {
            let params: crate::pool::Params<'_> = &[&account, &recording, &token];
            row = self.pool.row(EXPIRED_BEFORE, params).await?;
        }
        match row {
            Some(row) => Ok(Advance::Done(rows::announcement(&row)?)),
            None => Ok(Advance::Overtaken),
        }
    }

    async fn keep_copy(
        &self,
        expiring: &Expiring,
        kept: &Kept,
    ) -> Result<Advance<()>, LedgerFault> {
        let key = expiring.key();
        let row = self
            .pool
            .row(
                KEEP,
                &[
                    &key.account_id.as_str(),
                    &key.recording_id.as_str(),
                    &expiring.lease().token,
                    &kept.why.as_str(),
                    &plain(&kept.detail),
                    &kept.lock_until,
                    &(seconds(kept.after) * jitter()),
                ],
            )
            .await?;
        Ok(row.map_or(Advance::Overtaken, |_| Advance::Done(())))
    }

    async fn not_begun(&self, expiring: &Expiring) -> Result<(), LedgerFault> {
        let (key, token) = (expiring.key(), expiring.lease().token);
        let (account, recording) = (key.account_id.as_str(), key.recording_id.as_str());
        let counted = expiring.is_granted();
        self.pool
            .rows(NOT_BEGUN, &[&account, &recording, &token, &counted])
            .await?;
        Ok(())
    }

    async fn put_off(&self, account: Option<&AccountId>, by: Duration) -> Result<(), LedgerFault> {
        let account = account.map(AccountId::as_str);
        let by = seconds(by) * jitter();
        for row in self.pool.rows(PUT_OFF, &[&account, &by]).await? {
            let account: AccountId = word(&row, "account_id")?;
            tracing::warn!(account.id = %account, "the sweep of an account is put off");
        }
        Ok(())
    }

    async fn stop_retention(&self, detail: &str) -> Result<(), LedgerFault> {
        self.pool.rows(STOP, &[&plain(detail)]).await?;
        Ok(())
    }

    fn expiry_told(&self, key: &RecordingKey, id: Uuid) {
        self.notes.add(Note::Announced(key.clone(), id));
    }

    async fn retention_reading(&self) -> Result<RetentionReading, LedgerFault> {
        let mut reading = RetentionReading::default();
        for row in self.pool.rows(READING, &[]).await? {
            let (count, age): (i64, Option<f64>) = (get(&row, "n")?, get(&row, "age")?);
            let (count, age) = (unsigned(count)?, age.unwrap_or_default().max(0.0));
            let age = Duration::try_from_secs_f64(age).unwrap_or_default();
            match get(&row, "what")? {
                "kept" => reading
                    .retained
                    .push((retained(get(&row, "word")?)?, count)),
                "erasures" => (reading.erasures, reading.erasing_for) = (count, age),
                "stops" => (reading.stops, reading.stopped_for) = (count, age),
                _ => reading.overdue = age,
            }
        }
        Ok(reading)
    }
}
