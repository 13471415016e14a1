//! Recordings that are suspected to take their process down: lent to a process of their own, and
//! parked for a person when three of those died.
//!
//! Only a lease that ran out is a suspicion (`unclean_claims`), and only a process of its own that
//! died while its parent lived is evidence (`child_deaths`). Any outcome clears both.

use recording::{Advance, Announcement, Lease, LedgerFault, ParkReason, RecordingKey, State};
use uuid::Uuid;

use crate::Catalog;
use crate::catalog::{plain, seconds};
use crate::rows;

/// So many processes of its own in a row are enough.
const MOST_DEATHS: i32 = 3;

const LEND: &str = "-- name: lend
with held as materialized (
    select account_id, recording_id, resumed_at, unclean_claims from recordings
     where account_id = $1 and recording_id = $2
       and lease_token = $3::uuid and lease_until > now() and state = 'staged' for update
), moved as (
    update recordings old set
        lease_token = null, lease_until = null, last_token = $3::uuid,
        lent_at_claim = old.claims, resumed_at = null,
        due_at = now() + make_interval(secs => $4::float8), due_queue = 'transfer',
        driven_at = null, drive_count = 0, updated_at = now()
      from held
     where old.account_id = held.account_id and old.recording_id = held.recording_id
    returning true
), told as (
    insert into recording_history
        (account_id, recording_id, at, from_state, to_state, by_whom, why)
    select account_id, recording_id, resumed_at, 'parked', 'staged', 'transfer', 'tried again'
      from held where resumed_at is not null
    union all
    select account_id, recording_id, now(), 'staged', 'staged', 'transfer',
           'lent to a process of its own: ' || unclean_claims
               || ' leases in a row ran out without an outcome'
      from held
)
select true from moved";

// SUBTLE: the caller holds no lease, since its child did. That nobody else went on meanwhile is
// seen by the number of claims: the child's own, if it came that far, is the only one after the
// loan. Clearing the loan makes the same call again, after a lost answer, count nothing.
const CHILD_DIED: &str = "-- name: child_died
with held as materialized (
    select account_id, recording_id, child_deaths + 1 as deaths,
           child_deaths + 1 >= $7::integer as is_enough,
           announced_reason is distinct from $4 as is_news
      from recordings
     where account_id = $1 and recording_id = $2 and state = 'staged'
       and claims <= lent_at_claim + 1 for update
), noted as (
    update recordings old set
        child_deaths = deaths, lent_at_claim = null, updated_at = now()
      from held
     where old.account_id = held.account_id and old.recording_id = held.recording_id
       and not is_enough
), parked as (
    update recordings old set
        state = 'parked', lease_token = null, lease_until = null,
        unclean_claims = 0, child_deaths = 0, lent_at_claim = null, resumed_at = null,
        reason = $4, detail = $3, next_attempt_at = null, rungs = old.rungs + 1,
        announced_reason = $4,
        announcement_id = case when is_news then $5::uuid else old.announcement_id end,
        announcement_at = case when is_news then now() else old.announcement_at end,
        announced_at = case when is_news then null else old.announced_at end,
        announce_after = case when is_news then now() + make_interval(secs => $6::float8)
                              else old.announce_after end,
        due_at = null, due_queue = null, driven_at = null, drive_count = 0, updated_at = now()
      from held
     where old.account_id = held.account_id and old.recording_id = held.recording_id
       and is_enough
    returning old.account_id, old.recording_id, old.state, old.announced_reason,
              old.announcement_id, old.announcement_at, old.next_attempt_at
), told as (
    insert into recording_history
        (account_id, recording_id, from_state, to_state, by_whom, why)
    select account_id, recording_id, 'staged', 'staged', 'transfer',
           'its own process died (' || deaths || ' in a row): ' || $3
      from held
    union all
    select account_id, recording_id, 'staged', 'parked', 'transfer', $4
      from held where is_enough
)
select parked.* from parked cross join held where is_news";

impl Catalog {
    /// See [`recording::Ledger::lend`].
    pub(crate) async fn lend_out(
        &self,
        key: &RecordingKey,
        lease: &Lease,
    ) -> Result<Advance<()>, LedgerFault> {
        let (account, recording) = (key.account_id.as_str(), key.recording_id.as_str());
        let due = seconds(self.settings.lease);
        let row = self
            .pool
            .row(LEND, &[&account, &recording, &lease.token, &due])
            .await?;
        if row.is_some() {
            return Ok(Advance::Done(()));
        }
        match self.standing(key, lease).await? {
            Some(standing) if standing.ours && standing.state == State::Staged => {
                Ok(Advance::Done(()))
            }
            Some(_) | None => Ok(Advance::Overtaken),
        }
    }

    /// See [`recording::Ledger::child_died`].
    pub(crate) async fn note_death(
        &self,
        key: &RecordingKey,
        how: &str,
    ) -> Result<Option<Announcement>, LedgerFault> {
        let row = self
            .pool
            .row(
                CHILD_DIED,
                &[
                    &key.account_id.as_str(),
                    &key.recording_id.as_str(),
                    &plain(how),
                    &ParkReason::KillsWorker.as_str(),
                    &Uuid::new_v4(),
                    &seconds(self.settings.announce_after),
                    &MOST_DEATHS,
                ],
            )
            .await?;
        Ok(row.as_ref().map(rows::announcement).transpose()?)
    }
}
