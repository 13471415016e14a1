//! The whole in numbers.

use std::collections::BTreeMap;

use recording::AccountId;
use serde::Serialize;

use crate::Catalog;
use crate::admin::AdminFault;
use crate::failure::corrupt;
use crate::reading;
use crate::rows::{get, unsigned};

const STATES: &str = "-- name: status_states
    select state, count(*) as n from recordings group by state";

const PARKED: &str = "-- name: status_parked
    select state, coalesce(release_reason, reason) as reason, count(*) as n from recordings
     where state not in ('released', 'expired')
       and (state = 'parked' or (state = 'stored' and release_reason is not null))
     group by 1, 2";

const AGES: &str = "-- name: status_ages
    select extract(epoch from now() - min(created_at)
               filter (where state = 'staged'))::float8 as staged,
           extract(epoch from now() - min(stored_at)
               filter (where state = 'stored'))::float8 as stored,
           count(*) filter (where due_at <= now() and due_queue = 'transfer') as transfer,
           count(*) filter (where due_at <= now() and due_queue = 'cleanup') as cleanup,
           count(*) filter (where due_at is null) as for_a_person
      from recordings where state not in ('released', 'expired')";

const QUARANTINE: &str = "-- name: status_quarantine
    select reason, count(*) as messages, sum(seen)::bigint as seen from quarantined_messages
     where ended_at is null group by reason";

/// The ledger in numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StatusView {
    /// Recordings by state.
    pub recordings: BTreeMap<String, u64>,
    /// Parked recordings by reason.
    pub parked: BTreeMap<String, u64>,
    /// Stored recordings whose release is refused, by reason.
    pub release_refused: BTreeMap<String, u64>,
    /// How long the oldest staged recording has been known, in seconds.
    pub oldest_staged_s: Option<f64>,
    /// How long ago the oldest recording that is not released was stored, in seconds.
    pub oldest_stored_s: Option<f64>,
    /// How long the oldest recording without a proven copy has been known, in seconds.
    pub oldest_unproven_s: f64,
    /// How long the oldest copy has waited for its acknowledgment to be confirmed, in seconds.
    pub oldest_unacknowledged_s: f64,
    /// Recordings whose leases ran out three times or more in a row.
    pub suspected: u64,
    /// The accounts with most open recordings, at most 50.
    pub busiest_accounts: Vec<OpenRecordings>,
    /// Recordings to drive on to transfer now.
    pub due_transfer: u64,
    /// Recordings to drive on to cleanup now.
    pub due_cleanup: u64,
    /// Recordings that wait for a person.
    pub waiting_for_a_person: u64,
    /// Quarantined messages by reason.
    pub quarantine: BTreeMap<String, QuarantineCounts>,
}

/// How many recordings of an account are open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenRecordings {
    /// The account.
    pub account_id: AccountId,
    /// Staged, parked and stored ones.
    pub recordings: u64,
}

/// Quarantined messages of one reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct QuarantineCounts {
    /// Different messages.
    pub messages: u64,
    /// How often they came, all together.
    pub seen: u64,
}

impl Catalog {
    /// Counts everything. It reads the whole table: for people, not for every tick.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn status(&self) -> Result<StatusView, AdminFault> {
        let mut lent = self.pool.lend().await?;
        lent.begin().await?;
        lent.take_your_time().await?;
        let mut status = StatusView::default();
        for row in lent.rows(STATES, &[]).await? {
            status
                .recordings
                .insert(get(&row, "state")?, unsigned(get(&row, "n")?)?);
        }
        for row in lent.rows(PARKED, &[]).await? {
            let of = match get(&row, "state")? {
                "parked" => &mut status.parked,
                _ => &mut status.release_refused,
            };
            of.insert(get(&row, "reason")?, unsigned(get(&row, "n")?)?);
        }
        let ages = lent.rows(AGES, &[]).await?;
        let ages = ages.first().ok_or_else(|| corrupt("no ages"))?;
        status.oldest_staged_s = get(ages, "staged")?;
        status.oldest_stored_s = get(ages, "stored")?;
        status.due_transfer = unsigned(get(ages, "transfer")?)?;
        status.due_cleanup = unsigned(get(ages, "cleanup")?)?;
        status.waiting_for_a_person = unsigned(get(ages, "for_a_person")?)?;
        let open = reading::read(&mut lent).await?;
        status.oldest_unproven_s = open.unproven_oldest.as_secs_f64();
        status.oldest_unacknowledged_s = open.unacknowledged_oldest.as_secs_f64();
        status.suspected = open.suspected;
        let accounts = open.accounts.into_iter();
        status.busiest_accounts = accounts
            .map(|(account_id, recordings)| OpenRecordings {
                account_id,
                recordings,
            })
            .collect();
        for row in lent.rows(QUARANTINE, &[]).await? {
            let counts = QuarantineCounts {
                messages: unsigned(get(&row, "messages")?)?,
                seen: unsigned(get(&row, "seen")?)?,
            };
            status.quarantine.insert(get(&row, "reason")?, counts);
        }
        lent.commit().await?;
        Ok(status)
    }
}
