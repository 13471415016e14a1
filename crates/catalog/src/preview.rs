//! What retention would take away, when, and what is held back and why. Nothing is changed by
//! looking.

use chrono::{DateTime, Utc};
use recording::{AccountId, Kind};
use serde::Serialize;
use tokio_postgres::Row;

use crate::Catalog;
use crate::admin::AdminFault;
use crate::failure::Failure;
use crate::retention::StopView;
use crate::rows::{get, unsigned, word};

/// What falls due of an account until `$2`, and the holds that are in force there. Released rows
/// and open ones are found by their own indexes, so that what expired long ago is not looked at.
macro_rules! due {
    () => {
        "with active as materialized (
    select h.hold_id, h.recording_id, h.interaction_id, h.reason from legal_holds h
     where h.account_id = $1
       and not exists (select from legal_hold_releases r where r.hold_id = h.hold_id)
), due as materialized (
    select recording_id, interaction_id, kind, state, size_bytes, retain_until, expiry_outcome,
           expiry_detail, expiry_lock_until
      from recordings
     where account_id = $1 and state = 'released' and retain_until <= $2
       and coalesce(expiry_next_at, retain_until) is not null
    union all
    select recording_id, interaction_id, kind, state, size_bytes, retain_until, null, null, null
      from recordings
     where account_id = $1 and state not in ('released', 'expired') and retain_until <= $2
), judged as materialized (
    select d.*, (select min(a.hold_id) from active a
                  where a.recording_id = d.recording_id or a.interaction_id = d.interaction_id
                     or (a.recording_id is null and a.interaction_id is null)) as hold_id
      from due d
) "
    };
}

const DAYS: &str = concat!(
    "-- name: preview_days\n",
    due!(),
    "select to_char(retain_until at time zone 'UTC', 'YYYY-MM-DD') as day, kind, count(*) as n,
       coalesce(sum(size_bytes), 0)::bigint as bytes,
       count(*) filter (where hold_id is not null) as held,
       count(*) filter (where hold_id is null and expiry_outcome in ('denied', 'locked'))
           as retained,
       count(*) filter (where state <> 'released') as unreleased
  from judged group by 1, 2 order by 1, 2"
);

const HELD: &str = concat!(
    "-- name: preview_held\n",
    due!(),
    "select a.hold_id, a.recording_id, a.interaction_id, a.reason, count(*) as n
  from judged j join active a on a.hold_id = j.hold_id
 group by 1, 2, 3, 4 order by 1"
);

const KEPT: &str = concat!(
    "-- name: preview_kept\n",
    due!(),
    "select expiry_outcome as why, count(*) as n, max(expiry_lock_until) as lock_until,
       min(expiry_detail) as detail
  from judged where hold_id is null and expiry_outcome in ('denied', 'locked', 'unclear')
 group by 1 order by 1"
);

/// What goes on one day, of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreviewDay {
    /// The day on which retention ends, in UTC. A past one: it is due now.
    pub day: String,
    /// What was recorded.
    pub kind: Kind,
    /// How many recordings, those that are held back included.
    pub recordings: u64,
    /// Their size.
    pub size_bytes: u64,
    /// Of these, held by a legal hold.
    pub held: u64,
    /// Of these, kept by the customer's own bucket: locked, or we may not delete.
    pub retained_by_customer: u64,
    /// Of these, not released yet: the original is still there, and nothing is deleted.
    pub not_released: u64,
}

/// What one hold keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreviewHold {
    /// The hold. A recording that several are on is counted with the oldest.
    pub hold_id: i64,
    /// On which recording.
    pub recording_id: Option<String>,
    /// On which interaction.
    pub interaction_id: Option<String>,
    /// Why it was placed.
    pub reason: String,
    /// How many recordings it keeps from going.
    pub recordings: u64,
}

/// What is still there although its time came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreviewKept {
    /// `denied`, `locked` or `unclear`.
    pub why: String,
    /// How many.
    pub recordings: u64,
    /// When the last lock ends, where the store says so.
    pub lock_until: Option<DateTime<Utc>>,
    /// What was seen of one of them.
    pub detail: Option<String>,
}

/// What retention would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreviewView {
    /// Whose.
    pub account_id: AccountId,
    /// Up to when.
    pub until: DateTime<Utc>,
    /// How many copies would go until then.
    pub would_go: u64,
    /// Their size.
    pub would_go_bytes: u64,
    /// How many are held back, for any of the reasons below.
    pub held_back: u64,
    /// By day and kind.
    pub days: Vec<PreviewDay>,
    /// Legal holds that keep something.
    pub holds: Vec<PreviewHold>,
    /// What could not be deleted yet.
    pub kept: Vec<PreviewKept>,
    /// What keeps the sweep from starting at all.
    pub stops: Vec<StopView>,
}

fn count(row: &Row, column: &str) -> Result<u64, Failure> {
    unsigned(get::<i64>(row, column)?)
}

fn day(row: &Row) -> Result<PreviewDay, Failure> {
    Ok(PreviewDay {
        day: get(row, "day")?,
        kind: word(row, "kind")?,
        recordings: count(row, "n")?,
        size_bytes: count(row, "bytes")?,
        held: count(row, "held")?,
        retained_by_customer: count(row, "retained")?,
        not_released: count(row, "unreleased")?,
    })
}

fn hold(row: &Row) -> Result<PreviewHold, Failure> {
    Ok(PreviewHold {
        hold_id: get(row, "hold_id")?,
        recording_id: get(row, "recording_id")?,
        interaction_id: get(row, "interaction_id")?,
        reason: get(row, "reason")?,
        recordings: count(row, "n")?,
    })
}

fn kept(row: &Row) -> Result<PreviewKept, Failure> {
    Ok(PreviewKept {
        why: get(row, "why")?,
        recordings: count(row, "n")?,
        lock_until: get(row, "lock_until")?,
        detail: get(row, "detail")?,
    })
}

const TOTAL: &str = concat!(
    "-- name: preview_total\n",
    due!(),
    "select count(*) filter (where goes) as n,
       coalesce(sum(size_bytes) filter (where goes), 0)::bigint as bytes,
       count(*) filter (where not goes) as kept
  from (select size_bytes, hold_id is null and state = 'released'
               and coalesce(expiry_outcome, '') not in ('denied', 'locked') as goes
          from judged) said"
);

impl Catalog {
    /// What of an account's copies would go until a time, when, and what is held back and why.
    ///
    /// # Errors
    /// When there is no such account, or the database fails.
    pub async fn preview_retention(
        &self,
        account: &AccountId,
        until: DateTime<Utc>,
    ) -> Result<PreviewView, AdminFault> {
        self.show_account(account).await?;
        let stops = self.retention_stops(Some(account), false).await?;
        let account_id = account.as_str();
        let mut lent = self.pool.lend().await?;
        lent.begin().await?;
        // It looks at everything that falls due: an account may have millions.
        lent.take_your_time().await?;
        let total = lent.rows(TOTAL, &[&account_id, &until]).await?;
        let days = lent.rows(DAYS, &[&account_id, &until]).await?;
        let held = lent.rows(HELD, &[&account_id, &until]).await?;
        let stays = lent.rows(KEPT, &[&account_id, &until]).await?;
        lent.commit().await?;
        let total = |column: &str| total.first().map_or(Ok(0), |row| count(row, column));
        Ok(PreviewView {
            account_id: account.clone(),
            until,
            would_go: total("n")?,
            would_go_bytes: total("bytes")?,
            held_back: total("kept")?,
            days: days.iter().map(day).collect::<Result<_, _>>()?,
            holds: held.iter().map(hold).collect::<Result<_, _>>()?,
            kept: stays.iter().map(kept).collect::<Result<_, _>>()?,
            stops,
        })
    }
}
