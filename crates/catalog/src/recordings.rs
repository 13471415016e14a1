//! What people see of recordings, and the one thing they do to them here: try again now.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use recording::{
    AccountId, InteractionId, Kind, Location, ParkReason, Receipt, RecordingId, Sha256, State,
};
use serde::Serialize;
use tokio_postgres::Row;

use crate::Catalog;
use crate::admin::AdminFault;
use crate::expiry::shown::{self, ExpiryView};
use crate::failure::Failure;
use crate::rows::{self, get, optional_word, recording_columns, unsigned};
use crate::stores::destination;

/// The most that one listing of parked recordings holds.
pub const MOST_PARKED: u32 = 10_000;
/// How many recordings one statement makes due.
const BATCH: i64 = 500;

/// What [`view`] reads, of `recordings r` and `reached_destinations d`.
macro_rules! view_columns {
    () => {
        concat!(
            "r.detail, r.release_reason, r.release_detail, r.release_next_attempt_at,
             r.acknowledged_at, r.released_at, r.expired_at, r.created_at, r.lease_until,
             r.child_deaths, r.resumed_at, r.expiry_for, r.erasure_asked_at,
             coalesce(r.expiry_began_at, r.original_erasure_began_at) as expiry_began_at,
             r.expiry_outcome,
             r.expiry_detail, r.expiry_lock_until, r.expiry_next_at, r.erased_at, ",
            recording_columns!()
        )
    };
}

pub(crate) use view_columns;

const SHOW: &str = concat!(
    "-- name: show_recording
    select ",
    view_columns!(),
    // One probe for each account instead of one more index on every row.
    "from accounts a
     cross join lateral (select * from recordings
        where account_id = a.account_id and recording_id = $2 limit 1) r
     left join reached_destinations d on d.revision = r.destination_revision
     where $1::text is null or a.account_id = $1 order by r.account_id"
);

const LIST: &str = concat!(
    "-- name: list_recordings
    select ",
    view_columns!(),
    "from recordings r left join reached_destinations d on d.revision = r.destination_revision
     where r.account_id = $1 and ($2::text is null or r.state = $2)
       and ($5::text is null or r.kind = $5)
       and ($6::text is null or r.interaction_id = $6)
       and ($7::timestamptz is null or r.started_at >= $7)
       and ($8::timestamptz is null or r.started_at < $8)
       and r.recording_id > coalesce($4, '')
     order by r.recording_id limit $3"
);

const PARKED: &str = concat!(
    "-- name: list_parked
    select ",
    view_columns!(),
    "from recordings r left join reached_destinations d on d.revision = r.destination_revision
     where r.account_id between coalesce($1::text, '') and coalesce($1::text, '~')
       and r.state not in ('released', 'expired')
       and (r.state = 'parked' or (r.state = 'stored' and r.release_reason is not null))
       and ($3::text is null or $3 = case r.state
            when 'parked' then r.reason else r.release_reason end)
       and (r.account_id, r.path) > ($4, $5)
     order by r.account_id, r.path limit $2"
);

const HISTORY: &str = "-- name: recording_history
    select at, from_state, to_state as state, by_whom, why from recording_history
     where account_id = $1 and recording_id = $2 order by id";

/// In the order of the index of open recordings, so that no other is looked at. (`~` sorts behind
/// every account's id.)
const RETRY: &str = "-- name: retry_parked
with chosen as materialized (
    select account_id, recording_id, path from recordings
     where account_id between coalesce($1::text, '') and coalesce($1::text, '~')
       and ($2::text is null or recording_id = $2)
       and state not in ('released', 'expired')
       and (state = 'parked'
            or (state = 'stored' and release_reason is not null
                and coalesce(lease_until <= now(), true)))
       and ($6::text is null or $6 = case state
            when 'parked' then reason else release_reason end)
       and (account_id, path) > ($3, $4)
     order by account_id, path limit $5 for update
), moved as (
    update recordings r set
        next_attempt_at = case when r.state = 'parked' then now() end,
        release_next_attempt_at = case when r.state = 'stored' then now() end,
        due_at = now(),
        due_queue = case when r.state = 'stored' and r.acknowledged_at is not null
                         then 'cleanup' else 'transfer' end,
        driven_at = null, drive_count = 0, updated_at = now()
      from chosen
     where r.account_id = chosen.account_id and r.recording_id = chosen.recording_id
)
select account_id, path from chosen order by account_id, path";

/// Which of an account's recordings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordingFilter {
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those of this kind.
    pub kind: Option<Kind>,
    /// Only those of this interaction.
    pub interaction: Option<InteractionId>,
    /// Only those that began then or later.
    pub since: Option<DateTime<Utc>>,
    /// Only those that began before.
    pub until: Option<DateTime<Utc>>,
}

/// Which of what is parked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParkedFilter {
    /// Only this account's.
    pub account: Option<AccountId>,
    /// Only what is parked, or refused its release, for this reason.
    pub reason: Option<ParkReason>,
    /// Whoever asks speaks for that account alone: what is tried again goes through the open
    /// breakers of the account's own destinations, and not through the platform's.
    pub own_only: bool,
}

/// A recording as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecordingView {
    /// Its account.
    pub account_id: AccountId,
    /// Its id within the account.
    pub recording_id: RecordingId,
    /// Where it stands.
    pub state: State,
    /// Why it is parked, or why its release is refused.
    pub reason: Option<ParkReason>,
    /// What was seen then.
    pub detail: Option<String>,
    /// What the person who reads it can do about the reason.
    pub hint: Option<&'static str>,
    /// When it is tried again; with a reason, null waits for a person.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// The interaction it belongs to.
    pub interaction_id: InteractionId,
    /// What was recorded.
    pub kind: Kind,
    /// Its media type.
    pub media_type: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it was complete.
    pub completed_at: DateTime<Utc>,
    /// How long it is, if the recorder said.
    pub duration_ms: Option<u64>,
    /// Where the original is, or was.
    pub path: String,
    /// The announced size.
    pub size_bytes: u64,
    /// The announced digest.
    pub sha256: Option<Sha256>,
    /// The platform's own text.
    pub attributes: BTreeMap<String, String>,
    /// The destination's revision it is pinned to.
    pub destination_revision: Option<i64>,
    /// Where that revision writes, as the beginning of a URL.
    pub destination: Option<String>,
    /// Where the copy is.
    pub location: Option<Location>,
    /// The evidence remembered.
    pub receipt: Option<Receipt>,
    /// When retention ends; null is never.
    pub retain_until: Option<DateTime<Utc>>,
    /// How many times in a row it was parked, or its release refused.
    pub attempts: u32,
    /// How many leases in a row ran out without an outcome.
    pub unclean_claims: u32,
    /// How many processes of its own in a row died on it.
    pub child_deaths: u32,
    /// Until when somebody works on it.
    pub leased_until: Option<DateTime<Utc>>,
    /// When the ledger learned of it.
    pub known_since: DateTime<Utc>,
    /// When the acknowledgment was confirmed.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// When the original went.
    pub released_at: Option<DateTime<Utc>>,
    /// When the copy went.
    pub expired_at: Option<DateTime<Utc>>,
    /// How far its end is; null while nothing of that has begun.
    pub expiry: Option<ExpiryView>,
    /// When its erasure was asked for.
    pub erasure_asked_at: Option<DateTime<Utc>>,
    /// When its personal words were erased.
    pub erased_at: Option<DateTime<Utc>>,
    /// Its transitions, oldest first; empty in listings.
    pub history: Vec<HistoryView>,
}

/// One transition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryView {
    /// When.
    pub at: DateTime<Utc>,
    /// From which state; null for the first.
    pub from: Option<State>,
    /// To which state.
    pub to: State,
    /// Which part of callferry did it.
    pub by: String,
    /// Why.
    pub why: String,
}

pub(crate) fn view(row: &Row) -> Result<RecordingView, Failure> {
    let state = rows::state(row)?;
    let announced = rows::announced(row)?;
    let parked = state == State::Parked;
    let copied = matches!(state, State::Stored | State::Released | State::Expired)
        && !rows::is_withdrawn(row)?;
    let (reason, detail, next, attempts) = if parked {
        ("reason", "detail", "next_attempt_at", "rungs")
    } else {
        let of_release = ("release_reason", "release_detail");
        let when = ("release_next_attempt_at", "release_rungs");
        (of_release.0, of_release.1, when.0, when.1)
    };
    let revision: Option<i64> = get(row, "destination_revision")?;
    let pinned = revision.map(|_| destination(row, None)).transpose()?;
    let count = |column: &str| unsigned(i64::from(get::<i32>(row, column)?));
    let reason: Option<ParkReason> = optional_word(row, reason)?;
    Ok(RecordingView {
        account_id: announced.key.account_id,
        recording_id: announced.key.recording_id,
        state,
        reason,
        detail: get(row, detail)?,
        hint: reason.map(ParkReason::hint),
        next_attempt_at: get(row, next)?,
        interaction_id: announced.interaction_id,
        kind: announced.kind,
        media_type: announced.media_type,
        started_at: announced.started_at,
        completed_at: announced.completed_at,
        duration_ms: announced.duration_ms,
        path: announced.original.path.as_str().to_owned(),
        size_bytes: announced.original.size_bytes,
        sha256: announced.original.sha256,
        attributes: announced.attributes,
        destination_revision: revision,
        destination: pinned.map(|pinned| pinned.store.location()),
        location: copied.then(|| rows::location(row)).transpose()?,
        receipt: copied.then(|| rows::receipt(row)).transpose()?,
        retain_until: get(row, "retain_until")?,
        attempts: count(if state == State::Staged {
            "rungs"
        } else {
            attempts
        })?,
        unclean_claims: count("unclean_claims")?,
        child_deaths: count("child_deaths")?,
        leased_until: get(row, "lease_until")?,
        known_since: get(row, "created_at")?,
        acknowledged_at: get(row, "acknowledged_at")?,
        released_at: get(row, "released_at")?,
        expired_at: get(row, "expired_at")?,
        expiry: shown::expiry(row, state)?,
        erasure_asked_at: get(row, "erasure_asked_at")?,
        erased_at: get(row, "erased_at")?,
        history: Vec::new(),
    })
}

fn history(row: &Row) -> Result<HistoryView, Failure> {
    let from: Option<&str> = get(row, "from_state")?;
    Ok(HistoryView {
        at: get(row, "at")?,
        from: from.map(rows::state_from).transpose()?,
        to: rows::state(row)?,
        by: get(row, "by_whom")?,
        why: get(row, "why")?,
    })
}

impl Catalog {
    /// The recordings of this id with their history: at most one with an account, otherwise one
    /// for each account that has one. None is not an error.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn show_recording(
        &self,
        account: Option<&AccountId>,
        recording: &RecordingId,
    ) -> Result<Vec<RecordingView>, AdminFault> {
        let account = account.map(AccountId::as_str);
        let rows = self
            .pool
            .rows(SHOW, &[&account, &recording.as_str()])
            .await?;
        let mut views = Vec::new();
        for row in &rows {
            let mut view = view(row)?;
            let (account, recording) = (view.account_id.as_str(), view.recording_id.as_str());
            let told = self.pool.rows(HISTORY, &[&account, &recording]).await?;
            view.history = told.iter().map(history).collect::<Result<_, _>>()?;
            // Taken up again, which is written down together with what comes of it.
            let resumed: Option<DateTime<Utc>> = get(row, "resumed_at")?;
            if let (State::Staged, Some(at)) = (view.state, resumed) {
                view.history.push(HistoryView {
                    at,
                    from: Some(State::Parked),
                    to: State::Staged,
                    by: "transfer".to_owned(),
                    why: "tried again".to_owned(),
                });
            }
            views.push(view);
        }
        Ok(views)
    }

    /// An account's recordings by id, from after `after` on.
    ///
    /// # Errors
    /// When there is no such account, or the database fails.
    pub async fn list_recordings(
        &self,
        account: &AccountId,
        state: Option<State>,
        limit: u32,
        after: Option<&RecordingId>,
    ) -> Result<Vec<RecordingView>, AdminFault> {
        let filter = RecordingFilter {
            state,
            ..RecordingFilter::default()
        };
        self.find_recordings(account, &filter, limit, after).await
    }

    /// Those of an account's recordings that are asked for, by id, from after `after` on.
    ///
    /// # Errors
    /// When there is no such account, or the database fails.
    pub async fn find_recordings(
        &self,
        account: &AccountId,
        filter: &RecordingFilter,
        limit: u32,
        after: Option<&RecordingId>,
    ) -> Result<Vec<RecordingView>, AdminFault> {
        self.show_account(account).await?;
        let rows = self
            .pool
            .rows(
                LIST,
                &[
                    &account.as_str(),
                    &filter.state.map(State::as_str),
                    &i64::from(limit),
                    &after.map(RecordingId::as_str),
                    &filter.kind.map(Kind::as_str),
                    &filter.interaction.as_ref().map(InteractionId::as_str),
                    &filter.since,
                    &filter.until,
                ],
            )
            .await?;
        Ok(rows.iter().map(view).collect::<Result<_, _>>()?)
    }

    /// What is parked, and stored recordings whose release is refused; at most [`MOST_PARKED`].
    ///
    /// # Errors
    /// When there is no such account, or the database fails.
    pub async fn list_parked(
        &self,
        account: Option<&AccountId>,
    ) -> Result<Vec<RecordingView>, AdminFault> {
        let filter = ParkedFilter {
            account: account.cloned(),
            ..ParkedFilter::default()
        };
        let mut views = self.page_parked(&filter, None, MOST_PARKED).await?;
        views.sort_by(|a, b| {
            (&a.account_id, &a.recording_id).cmp(&(&b.account_id, &b.recording_id))
        });
        Ok(views)
    }

    /// What is parked, and stored recordings whose release is refused, in the order of accounts
    /// and paths, from after that of `after` on.
    ///
    /// # Errors
    /// When there is no such account, or the database fails.
    pub async fn page_parked(
        &self,
        filter: &ParkedFilter,
        after: Option<(&str, &str)>,
        limit: u32,
    ) -> Result<Vec<RecordingView>, AdminFault> {
        if let Some(account) = &filter.account {
            self.show_account(account).await?;
        }
        let account = filter.account.as_ref().map(AccountId::as_str);
        let reason = filter.reason.map(ParkReason::as_str);
        let (after_account, after_path) = after.unwrap_or_default();
        let rows = self
            .pool
            .rows(
                PARKED,
                &[
                    &account,
                    &i64::from(limit),
                    &reason,
                    &after_account,
                    &after_path,
                ],
            )
            .await?;
        Ok(rows.iter().map(view).collect::<Result<_, _>>()?)
    }

    /// Makes parked recordings, and refused releases, due now, also those that wait for a
    /// person. Returns how many.
    ///
    /// # Errors
    /// When there is no such account, or the database fails; what was made due before stays so.
    pub async fn retry_parked(
        &self,
        account: Option<&AccountId>,
        recording: Option<&RecordingId>,
    ) -> Result<u64, AdminFault> {
        let filter = ParkedFilter {
            account: account.cloned(),
            ..ParkedFilter::default()
        };
        self.retry_parked_of(&filter, recording).await
    }

    /// The same of those that are asked for.
    ///
    /// # Errors
    /// When there is no such account, or the database fails; what was made due before stays so.
    pub async fn retry_parked_of(
        &self,
        filter: &ParkedFilter,
        recording: Option<&RecordingId>,
    ) -> Result<u64, AdminFault> {
        if let Some(account) = &filter.account {
            self.show_account(account).await?;
        }
        let account = filter.account.as_ref().map(AccountId::as_str);
        let reason = filter.reason.map(ParkReason::as_str);
        let recording = recording.map(RecordingId::as_str);
        // First, so that nothing that is made due here is put off again.
        self.ask_breakers(filter, recording).await?;
        let mut after = (String::new(), String::new());
        let mut count: u64 = 0;
        loop {
            let rows = self
                .pool
                .rows(
                    RETRY,
                    &[&account, &recording, &after.0, &after.1, &BATCH, &reason],
                )
                .await?;
            count = count.saturating_add(u64::try_from(rows.len()).unwrap_or(u64::MAX));
            let Some(last) = rows.last() else {
                return Ok(count);
            };
            after = (get(last, "account_id")?, get(last, "path")?);
        }
    }
}
