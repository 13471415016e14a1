//! Legal holds: placed and released, never changed. A hold wins against every deletion that begins
//! after it is placed: the database asks under the row's lock, behind the gate that placing a hold
//! closes for a moment (`schemas/postgres/0015_retention.sql`). What began before is said.

use chrono::{DateTime, Utc};
use recording::{AccountId, InteractionId, RecordingId};
use serde::Serialize;
use tokio_postgres::Row;

use crate::Catalog;
use crate::admin::AdminFault;
use crate::catalog::plain;
use crate::failure::Failure;
use crate::rows::{get, optional_word, word};

/// The most that one listing of holds shows, and the most recordings that are named to whoever
/// places one too late.
pub const MOST_HOLDS: u32 = 1000;

/// Waits for statements that begin a deletion at this moment, and keeps others from beginning one
/// until the hold can be seen.
const GATE: &str = "-- name: hold_gate
    select true from pg_advisory_xact_lock(1866561141, hashtext($1::text))";

const PLACE: &str = "-- name: place_hold
    insert into legal_holds (account_id, recording_id, interaction_id, reason, placed_by)
    select account_id, $2::text, $3::text, $4::text, $5::text
      from accounts where account_id = $1
    returning hold_id, account_id, recording_id, interaction_id, reason, placed_by, placed_at,
              null::timestamptz as released_at, null::text as released_by,
              null::text as release_reason";

/// Deletions that may have been carried out: begun, and nothing written down of what came of them
/// since. What the store refused is still there, and stays.
const TOO_LATE: &str = "-- name: hold_too_late
    (select recording_id, state = 'expired' as gone, expiry_began_at as began from recordings
     where account_id = $1 and ($2::text is null or recording_id = $2)
       and ($3::text is null or interaction_id = $3)
       and expiry_began_at is not null
       -- An outcome is of an attempt that ended: whoever began another one holds a token.
       and ((state = 'released' and (lease_token is not null or expiry_outcome is null
                                     or expiry_outcome = 'unclear'))
            or (state = 'expired' and num_nonnulls($2::text, $3::text) > 0))
     order by recording_id limit $4)
    union all
    -- Originals that an erasure was to take.
    (select recording_id, original_erased_at is not null, original_erasure_began_at
      from recordings
     where account_id = $1 and ($2::text is null or recording_id = $2)
       and ($3::text is null or interaction_id = $3)
       and erasure_asked_at is not null and erased_at is null and expiry_began_at is null
       and original_erasure_began_at is not null
       and (state in ('staged', 'parked', 'stored') or original_erased_at is not null)
     order by recording_id limit $4)
     order by recording_id limit $4";

const COVERED: &str = "-- name: hold_covers
    select count(*) as n from recordings
     where account_id = $1 and ($2::text is null or recording_id = $2)
       and ($3::text is null or interaction_id = $3)
       and num_nonnulls($2::text, $3::text) > 0 and state <> 'expired'";

const RELEASE: &str = "-- name: release_hold
    insert into legal_hold_releases (hold_id, reason, released_by)
    select hold_id, $3::text, $4::text from legal_holds where hold_id = $1 and account_id = $2
    on conflict (hold_id) do nothing
    returning true";

/// What one hold on a recording or an interaction kept is looked at again at once; what a hold on
/// an account kept comes by itself within a day, and is too much for one statement.
const WAKE: &str = "-- name: hold_released
with woken as (
    update recordings r set expiry_next_at = now()
      from legal_holds h
     where h.hold_id = $1 and num_nonnulls(h.recording_id, h.interaction_id) > 0
       and r.account_id = h.account_id
       and (r.recording_id = h.recording_id or r.interaction_id = h.interaction_id)
       and r.state = 'released' and r.expiry_outcome = 'held'
), waiting as (
    -- Erasures are few, and somebody waits for each.
    update recordings r set expiry_next_at = now()
      from legal_holds h
     where h.hold_id = $1 and r.account_id = h.account_id
       and r.erasure_asked_at is not null and r.erased_at is null
       and r.state in ('staged', 'parked', 'stored')
)
update retention_pace p set next_at = now()
  from legal_holds h where h.hold_id = $1 and p.account_id = h.account_id";

const LIST: &str = "-- name: list_holds
    select h.hold_id, h.account_id, h.recording_id, h.interaction_id, h.reason, h.placed_by,
           h.placed_at, r.released_at, r.released_by, r.reason as release_reason
      from legal_holds h left join legal_hold_releases r on r.hold_id = h.hold_id
     where ($1::text is null or h.account_id = $1) and ($2 or r.hold_id is null)
       and ($3::bigint is null or h.hold_id = $3) and h.hold_id > $4::bigint
     order by h.hold_id limit $5";

/// What a hold is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldScope {
    /// All that the account has and will have.
    Account,
    /// One interaction's recordings, also those that are not known yet.
    Interaction(InteractionId),
    /// One recording, also if it is not known yet.
    Recording(RecordingId),
}

impl HoldScope {
    fn columns(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Account => (None, None),
            Self::Interaction(id) => (None, Some(id.as_str())),
            Self::Recording(id) => (Some(id.as_str()), None),
        }
    }
}

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoldView {
    /// Its number.
    pub hold_id: i64,
    /// Whose.
    pub account_id: AccountId,
    /// The recording it is on; null if it is on more.
    pub recording_id: Option<RecordingId>,
    /// The interaction it is on; null if it is on something else.
    pub interaction_id: Option<InteractionId>,
    /// Why.
    pub reason: String,
    /// Who placed it.
    pub placed_by: String,
    /// When.
    pub placed_at: DateTime<Utc>,
    /// How it ended; null while it holds.
    pub released: Option<HoldRelease>,
}

/// The end of a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoldRelease {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A recording that a hold came too late for, or may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TooLate {
    /// Which.
    pub recording_id: RecordingId,
    /// Whether its copy is known to be gone. Otherwise its deletion had begun: nothing more is
    /// deleted, and the next look of the sweep says whether the copy is still there.
    pub gone: bool,
    /// When its deletion began.
    pub began_at: DateTime<Utc>,
}

/// A hold that was placed, and what it came too late for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlacedHold {
    /// The hold.
    #[serde(flatten)]
    pub hold: HoldView,
    /// Recordings that are known and held now; null for a hold on all of an account.
    pub covers: Option<u64>,
    /// What had begun to go, or was gone; at most [`MOST_HOLDS`].
    pub too_late: Vec<TooLate>,
}

fn view(row: &Row) -> Result<HoldView, Failure> {
    let released: Option<DateTime<Utc>> = get(row, "released_at")?;
    let released = released.map(|at| {
        Ok::<_, Failure>(HoldRelease {
            at,
            by: get(row, "released_by")?,
            reason: get(row, "release_reason")?,
        })
    });
    Ok(HoldView {
        hold_id: get(row, "hold_id")?,
        account_id: word(row, "account_id")?,
        recording_id: optional_word(row, "recording_id")?,
        interaction_id: optional_word(row, "interaction_id")?,
        reason: get(row, "reason")?,
        placed_by: get(row, "placed_by")?,
        placed_at: get(row, "placed_at")?,
        released: released.transpose()?,
    })
}

fn too_late(row: &Row) -> Result<TooLate, Failure> {
    Ok(TooLate {
        recording_id: word(row, "recording_id")?,
        gone: get(row, "gone")?,
        began_at: get(row, "began")?,
    })
}

/// Who does something, and why: both must be said.
pub(crate) fn said<'a>(by: &'a str, why: &'a str) -> Result<(String, String), AdminFault> {
    let (by, why) = (plain(by.trim()), plain(why.trim()));
    if by.is_empty() || why.is_empty() {
        return Err(AdminFault::refused(
            "who does it and why must be said",
            "give --by a name and --why (or --reason) a text: they are kept for ever",
        ));
    }
    Ok((by, why))
}

impl Catalog {
    /// Places a hold: from the end of this call on nothing that it covers begins to be deleted.
    ///
    /// # Errors
    /// When there is no such account, author or reason are empty, or the database fails.
    pub async fn place_hold(
        &self,
        account: &AccountId,
        scope: &HoldScope,
        (by, reason): (&str, &str),
    ) -> Result<PlacedHold, AdminFault> {
        let (by, reason) = said(by, reason)?;
        let (recording, interaction) = scope.columns();
        let account_id = account.as_str();
        let mut lent = self.pool.lend().await?;
        lent.begin().await?;
        lent.rows(GATE, &[&account_id]).await?;
        let placed = lent
            .rows(
                PLACE,
                &[&account_id, &recording, &interaction, &reason, &by],
            )
            .await?;
        let Some(row) = placed.first() else {
            return Err(AdminFault::no_account(account));
        };
        let hold = view(row)?;
        // SUBTLE: asked behind the gate and after the hold: whatever began to be deleted without
        // seeing it has committed that by now, and this statement's snapshot has it.
        let most = i64::from(MOST_HOLDS);
        let late = lent
            .rows(TOO_LATE, &[&account_id, &recording, &interaction, &most])
            .await?;
        let covered = lent
            .rows(COVERED, &[&account_id, &recording, &interaction])
            .await?;
        let covers = match (scope, covered.first()) {
            (HoldScope::Account, _) | (_, None) => None,
            (HoldScope::Interaction(_) | HoldScope::Recording(_), Some(row)) => {
                Some(crate::rows::unsigned(get(row, "n")?)?)
            }
        };
        lent.commit().await?;
        Ok(PlacedHold {
            hold,
            covers,
            too_late: late.iter().map(too_late).collect::<Result<_, _>>()?,
        })
    }

    /// Releases a hold. What no other hold keeps goes when its time has come.
    ///
    /// # Errors
    /// When the account has no such hold, it was released before, author or reason are empty, or
    /// the database fails.
    pub async fn release_hold(
        &self,
        account: &AccountId,
        hold: i64,
        (by, reason): (&str, &str),
    ) -> Result<HoldView, AdminFault> {
        let (by, reason) = said(by, reason)?;
        let released = self
            .pool
            .row(RELEASE, &[&hold, &account.as_str(), &reason, &by])
            .await?;
        let shown = self.show_hold(account, hold).await?;
        if released.is_none() {
            return Err(AdminFault::refused(
                format!("hold {hold} of {account} was released before"),
                "nothing was changed; `callferry hold list --all` shows who released it",
            ));
        }
        self.pool.rows(WAKE, &[&hold]).await?;
        Ok(shown)
    }

    /// One hold, in force or released.
    ///
    /// # Errors
    /// When the account has no such hold, or the database fails.
    pub async fn show_hold(&self, account: &AccountId, hold: i64) -> Result<HoldView, AdminFault> {
        let (own, one) = (Some(account.as_str()), Some(hold));
        let (all, after, limit) = (true, 0_i64, 1_i64);
        let row = self
            .pool
            .row(LIST, &[&own, &all, &one, &after, &limit])
            .await?;
        let shown = row.map(|row| view(&row)).transpose()?;
        shown.ok_or_else(|| {
            AdminFault::not_found(
                format!("hold {hold} of {account}"),
                "`callferry hold list` shows those there are",
            )
        })
    }

    /// Holds in the order they were placed: those in force, or with `all` every one there ever
    /// was; at most [`MOST_HOLDS`].
    ///
    /// # Errors
    /// When there is no such account, or the database fails.
    pub async fn list_holds(
        &self,
        account: Option<&AccountId>,
        all: bool,
    ) -> Result<Vec<HoldView>, AdminFault> {
        self.page_holds(account, all, None, MOST_HOLDS).await
    }

    /// A page of the same, from after the hold `after` on.
    ///
    /// # Errors
    /// When there is no such account, or the database fails.
    pub async fn page_holds(
        &self,
        account: Option<&AccountId>,
        all: bool,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<HoldView>, AdminFault> {
        if let Some(account) = account {
            self.show_account(account).await?;
        }
        let (account, one) = (account.map(AccountId::as_str), None::<i64>);
        let (after, limit) = (after.unwrap_or(0), i64::from(limit));
        let rows = self
            .pool
            .rows(LIST, &[&account, &all, &one, &after, &limit])
            .await?;
        Ok(rows.iter().map(view).collect::<Result<_, _>>()?)
    }
}
