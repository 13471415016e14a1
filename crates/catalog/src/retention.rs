//! Retention policies: revisions in force from the moment they are set. What a recording was
//! stamped with at its claim never changes. And what stops the sweep until a person confirms.

use chrono::{DateTime, Utc};
use recording::{AccountId, Kind};
use serde::Serialize;
use tokio_postgres::Row;

use crate::Catalog;
use crate::admin::AdminFault;
use crate::failure::Failure;
use crate::holds::said;
use crate::rows::{get, optional_word, word};

const SET: &str = "-- name: set_retention
    insert into retention_policies (account_id, kind, days)
    select account_id, $2, $3 from accounts where account_id = $1
    returning true";

const POLICIES: &str = "-- name: retention_policies
    select kind, days, in_force_from,
           row_number() over (partition by kind order by in_force_from desc, revision desc) = 1
               as in_force
      from retention_policies where account_id = $1 order by kind, revision";

const STOPS: &str = "-- name: retention_stops
    select stop_id, account_id, reason, detail, stopped_at, confirmed_at, confirmed_by,
           confirmed_why
      from retention_stops
     where ($1::text is null or account_id is null or account_id = $1)
       and (confirmed_at is null or ($2 and not ($3 and account_id is null)))
       and stop_id < coalesce($4::bigint, 9223372036854775807)
     order by stop_id desc limit $5";

/// The most stops that one listing shows.
const MOST_STOPS: u32 = 100;

/// Those that are named, all of them or none; where none is named, the only one there is.
const CONFIRM: &str = "-- name: confirm_retention
with stopped as materialized (
    select stop_id from retention_stops
     where confirmed_at is null and account_id is not distinct from $1::text
       and (stop_id = any ($4::bigint[]) or cardinality($4::bigint[]) = 0)
), confirmed as (
    update retention_stops set
        confirmed_at = now(), confirmed_by = $2, confirmed_why = $3
     where confirmed_at is null and stop_id in (select stop_id from stopped)
       and (select count(*) from stopped)
           = greatest(1, (select count(distinct id) from unnest($4::bigint[]) id))
    returning stop_id, account_id, reason, detail, stopped_at, confirmed_at, confirmed_by,
              confirmed_why
), woken as (
    update retention_pace set next_at = now()
     where exists (select from confirmed) and account_id = $1
)
select * from confirmed order by stop_id";

/// One revision of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyView {
    /// Of which kind of recording.
    pub kind: Kind,
    /// How many days copies are kept; null is for ever.
    pub days: Option<i32>,
    /// From when on it is stamped on recordings by when they were completed.
    pub in_force_from: DateTime<Utc>,
    /// Whether it is the latest of its kind.
    pub in_force: bool,
}

/// What an account's recordings are kept by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RetentionView {
    /// Whose.
    pub account_id: AccountId,
    /// Days where no policy says; null is for ever.
    pub default_days: Option<u32>,
    /// Every revision.
    pub policies: Vec<PolicyView>,
    /// What keeps the sweep from this account's copies until a person confirms.
    pub stops: Vec<StopView>,
}

/// Which stops are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopFilter {
    /// Those that are about this account, or about all.
    pub account: Option<AccountId>,
    /// Also what was confirmed.
    pub all: bool,
    /// Of what stopped everybody only what still does: who confirmed it, and why, is the
    /// platform's own affair.
    pub own_only: bool,
}

/// A stop of the sweep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StopView {
    /// Its number.
    pub stop_id: i64,
    /// Whose copies are not touched; null: nobody's.
    pub account_id: Option<AccountId>,
    /// `too_many`, `clock_jump` or `upgrade`.
    pub reason: String,
    /// What was seen.
    pub detail: String,
    /// When.
    pub stopped_at: DateTime<Utc>,
    /// When a person confirmed that it is right; null while it stands still.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// Who.
    pub confirmed_by: Option<String>,
    /// Why.
    pub confirmed_why: Option<String>,
}

fn policy(row: &Row) -> Result<PolicyView, Failure> {
    Ok(PolicyView {
        kind: word(row, "kind")?,
        days: get(row, "days")?,
        in_force_from: get(row, "in_force_from")?,
        in_force: get(row, "in_force")?,
    })
}

fn stop(row: &Row) -> Result<StopView, Failure> {
    Ok(StopView {
        stop_id: get(row, "stop_id")?,
        account_id: optional_word(row, "account_id")?,
        reason: get(row, "reason")?,
        detail: get(row, "detail")?,
        stopped_at: get(row, "stopped_at")?,
        confirmed_at: get(row, "confirmed_at")?,
        confirmed_by: get(row, "confirmed_by")?,
        confirmed_why: get(row, "confirmed_why")?,
    })
}

impl Catalog {
    /// Sets how many days copies of this account and kind are kept; `None` is for ever. It
    /// touches only recordings that are completed from now on.
    ///
    /// # Errors
    /// When there is no such account, the days are out of range, or the database fails.
    pub async fn set_retention(
        &self,
        account: &AccountId,
        kind: Kind,
        days: Option<u32>,
    ) -> Result<(), AdminFault> {
        let days = days.map(i32::try_from).transpose().ok();
        let Some(days) = days.filter(|days| days.is_none_or(|days| (1..=36_500).contains(&days)))
        else {
            return Err(AdminFault::refused(
                "retention must be 1 to 36,500 days, or never end",
                "use --days 180, or --never",
            ));
        };
        let row = self
            .pool
            .row(SET, &[&account.as_str(), &kind.as_str(), &days])
            .await?;
        row.map(drop).ok_or_else(|| AdminFault::no_account(account))
    }

    /// What an account's recordings are kept by.
    ///
    /// # Errors
    /// When there is no such account, or the database fails.
    pub async fn show_retention(&self, account: &AccountId) -> Result<RetentionView, AdminFault> {
        self.show_account(account).await?;
        let rows = self.pool.rows(POLICIES, &[&account.as_str()]).await?;
        Ok(RetentionView {
            account_id: account.clone(),
            default_days: self.settings.default_retention_days,
            policies: rows.iter().map(policy).collect::<Result<_, _>>()?,
            stops: self.retention_stops(Some(account), false).await?,
        })
    }

    /// What stopped the sweep, the latest first, at most 100: with `all` also what was confirmed.
    /// Of an account: those that are about it, or about all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn retention_stops(
        &self,
        account: Option<&AccountId>,
        all: bool,
    ) -> Result<Vec<StopView>, AdminFault> {
        let filter = StopFilter {
            account: account.cloned(),
            all,
            own_only: false,
        };
        self.page_stops(&filter, None, MOST_STOPS).await
    }

    /// A page of what stopped the sweep, the latest first, from before the stop `before` on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn page_stops(
        &self,
        filter: &StopFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<StopView>, AdminFault> {
        let account = filter.account.as_ref().map(AccountId::as_str);
        let limit = i64::from(limit);
        let rows = self
            .pool
            .rows(
                STOPS,
                &[&account, &filter.all, &filter.own_only, &before, &limit],
            )
            .await?;
        Ok(rows.iter().map(stop).collect::<Result<_, _>>()?)
    }

    /// Confirms that what stopped the sweep of an account, or (without one) of all, is right: the
    /// `stops` that are named, or the only one there is. What was due when it stopped is not judged
    /// again.
    ///
    /// # Errors
    /// When nothing has stopped there, several have and none is named (nobody confirms what they
    /// have not seen), one that is named has not, author or reason are empty, or the database
    /// fails.
    pub async fn confirm_retention(
        &self,
        account: Option<&AccountId>,
        stops: &[i64],
        (by, why): (&str, &str),
    ) -> Result<Vec<StopView>, AdminFault> {
        let (by, why) = said(by, why)?;
        let account_id = account.map(AccountId::as_str);
        let rows = self
            .pool
            .rows(CONFIRM, &[&account_id, &by, &why, &stops])
            .await?;
        if rows.is_empty() {
            return Err(self.not_confirmed(account, stops).await?);
        }
        Ok(rows.iter().map(stop).collect::<Result<_, _>>()?)
    }

    /// Why nothing was confirmed.
    async fn not_confirmed(
        &self,
        account: Option<&AccountId>,
        stops: &[i64],
    ) -> Result<AdminFault, AdminFault> {
        let whose = account.map_or("the whole".to_owned(), ToString::to_string);
        let mut open = self.retention_stops(account, false).await?;
        open.retain(|stop| stop.account_id.as_ref() == account);
        let is_open = |id: &i64| open.iter().any(|stop| stop.stop_id == *id);
        if stops.is_empty() && open.len() > 1 {
            let open = open
                .iter()
                .map(|it| format!("{} ({})", it.stop_id, it.reason));
            return Ok(AdminFault::refused(
                format!(
                    "the sweep of {whose} has stopped more than once: {}",
                    open.collect::<Vec<_>>().join(", ")
                ),
                "look at each with `callferry retention stops`, then name those that are right \
                 with --stop (over HTTP: stop_ids)",
            ));
        }
        let missing = stops.iter().find(|id| !is_open(id));
        let what = missing.map_or("a stop".to_owned(), |id| format!("an open stop {id}"));
        Ok(AdminFault::not_found(
            format!("{what} of the sweep of {whose}"),
            "`callferry retention stops` lists what has stopped, and for whom",
        ))
    }
}
