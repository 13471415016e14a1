//! The health of destinations: what a check says of it, who is told when it changes, and what
//! people see.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use recording::{
    AccountId, AzureIdentity, Blame, CONFIRMED_BY, CheckReport, Diagnosis, DueCheck, Finding,
    Health, HealthAnnouncement, LedgerFault, LedgerReading, ParkReason, Store, Tally, Verdict,
};
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::Catalog;
use crate::admin::AdminFault;
use crate::catalog::{jitter, plain, seconds};
use crate::daily_checks::depended_on;
use crate::destination_checks::append;
use crate::failure::{Failure, corrupt};
use crate::pool::Lent;
use crate::recordings::ParkedFilter;
use crate::rows::{get, optional_word, unsigned, word};
use crate::sas;
use crate::stores::{destination, reached_columns};

const CHECKED: &str = "-- name: note_check
    update destination_health set
        last_check_at = now(), findings = $2,
        succeeded_at = case when $4 = 'healthy' then now() else succeeded_at end,
        stands_reason = case when $4 = 'unknown' then stands_reason else $5 end,
        stands_detail = case when $4 = 'unknown' then stands_detail else $6 end,
        next_check_at = now() + make_interval(secs => $3::float8)
     where revision = $1";

const CHECK_WORKED: &str = "-- name: check_worked
    select destination_worked($1, 'check', $2::float8) as changed";

const CHECK_FAILED: &str = "-- name: check_failed
    select destination_failed($1, null, $2, $3, true, $4, 'check', 1, $5::float8, $6::float8)
        as changed";

/// Up to how many waiting recordings the news of a destination counts: an account may have
/// millions.
const WAITING_MAX: u32 = 10_000;

const OWED: &str = concat!(
    "-- name: health_announcements
with owed as materialized (
    select revision from destination_health where announce_after <= now()
     order by announce_after limit $1 for update skip locked
), h as (
    -- Whoever hears of it may be told in vain; what comes after is then owed all the same.
    update destination_health n set
        announced_state = n.state, announce_after = now() + make_interval(secs => $2::float8)
      from owed where n.revision = owed.revision
    returning n.revision, n.state, n.reason, n.announcement_id, n.announcement_at, n.findings,
              n.secret_expires_at
)
select h.state, h.reason, h.announcement_id, h.announcement_at, h.findings,
       h.secret_expires_at,
       (select count(*) from (
            select from recordings r
             where r.destination_revision = h.revision and r.state = 'parked'
             limit $3) counted) as waiting, ",
    reached_columns!(),
    "from h join reached_destinations d on d.revision = h.revision order by h.announcement_at"
);

const ANNOUNCED: &str = "-- name: health_announced
    update destination_health set announced_at = now(), announce_after = null
     where revision = $1 and announcement_id = $2::uuid";

const EXPIRES: &str = "-- name: secret_expires
    update destination_health set secret_expires_at = $2 where revision = $1";

const SHOW: &str = "-- name: show_health
    select revision, state, since, reason, detail, holds, cardinality(failed) as failures,
           succeeded_at, probe_at, last_check_at, next_check_at, findings, secret_expires_at
      from destination_health where revision = any($1)";

// A bound token speaks for its own account, and the platform's destination is everybody's.
const ASKED: &str = "-- name: ask_breakers
    update destination_health h set
        asked_until = now() + make_interval(secs => $3::float8), probe_at = now()
     where state = 'unhealthy' and holds and exists (
        select from recordings r
         where r.destination_revision = h.revision
           and (r.state = 'parked' or (r.state = 'stored' and r.release_reason is not null))
           and ($1::text is null or r.account_id = $1)
           and ($2::text is null or r.recording_id = $2)
           and ($4::text is null
                or $4 = case r.state when 'parked' then r.reason else r.release_reason end))
       and (not $5 or exists (
        select from destinations d where d.revision = h.revision and d.account_id = $1))";

const READ: &str = concat!(
    "-- name: health_reading
    select 'unhealthy' as what, h.reason, count(*) as n, 0::bigint as last,
           extract(epoch from now() - min(h.since))::float8 as age, null::timestamptz as at
      from destination_health h join destinations d on d.revision = h.revision
     where h.state = 'unhealthy' and ",
    depended_on!(),
    " group by h.reason
    union all
    -- Of what is in force: nothing depends on the others' once their recordings are released.
    select 'secret', null, count(*) filter (where ends < now() + make_interval(secs => $1::float8)),
           count(*) filter (where ends < now() + make_interval(secs => $2::float8)), null,
           min(ends)
      from (select h.secret_expires_at as ends
              from destination_health h join destinations d on d.revision = h.revision
             where h.secret_expires_at is not null
               and not exists (select from destinations later
                    where later.account_id is not distinct from d.account_id
                      and later.revision > d.revision and later.in_force_from <= now())) s"
);

/// The health of one revision, as people see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HealthView {
    /// How it is.
    pub health: Health,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Why it is unhealthy.
    pub reason: Option<ParkReason>,
    /// What was seen.
    pub detail: Option<String>,
    /// What the person who reads it can do.
    pub hint: Option<&'static str>,
    /// Whether its recordings are held back until it works again.
    pub held_back: bool,
    /// While nothing is held back: how many different recordings in a row failed there.
    pub failures: u32,
    /// The latest success that ended an illness or a suspicion, or a check's.
    pub last_success_at: Option<DateTime<Utc>>,
    /// When the next recording may try, while they are held back.
    pub next_probe_at: Option<DateTime<Utc>>,
    /// When it was checked last.
    pub last_check_at: Option<DateTime<Utc>>,
    /// When it is checked next, if it is in use then.
    pub next_check_at: DateTime<Utc>,
    /// What the last check found failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// When our secret there ends, where it says so itself: a SAS does. The end of a client
    /// secret is known to its directory alone; when it has come, the reason says so.
    pub secret_expires_at: Option<DateTime<Utc>>,
}

/// What a reason says about its destination, as the statements know it.
pub(crate) fn blame(reason: ParkReason) -> &'static str {
    match reason.blame() {
        Blame::Destination => "destination",
        Blame::Suspect => "suspect",
        Blame::Nobody => "nobody",
    }
}

/// How many different recordings in a row make a suspicion certain.
pub(crate) fn confirmed_by() -> i32 {
    i32::try_from(CONFIRMED_BY).unwrap_or(i32::MAX)
}

/// When our secret there ends, where it says so itself: only a SAS does. The end of a client
/// secret is known to its directory alone.
pub(crate) fn secret_ends(store: &Store) -> Option<DateTime<Utc>> {
    let Store::Azure(azure) = store else {
        return None;
    };
    match &azure.identity {
        AzureIdentity::Sas { sas_token } => sas::expiry(sas_token.reveal().ok()?),
        AzureIdentity::AccessKey { .. }
        | AzureIdentity::ServicePrincipal { .. }
        | AzureIdentity::Federated { .. }
        | AzureIdentity::ManagedIdentity { .. } => None,
    }
}

/// What the administration's view of a fault is to the ledger's port.
fn ledger_fault(fault: AdminFault) -> LedgerFault {
    match fault {
        AdminFault::Ledger(fault) => fault,
        other @ (AdminFault::NotFound { .. }
        | AdminFault::Exists { .. }
        | AdminFault::Refused { .. }
        | AdminFault::Overlap { .. }
        | AdminFault::Misconfigured { .. }) => LedgerFault::Corrupt(other.to_string()),
    }
}

/// Findings that failed, as the database keeps them.
fn failed(report: &CheckReport) -> Result<Value, Failure> {
    let failed = report
        .findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Failed);
    let legible = failed.map(|finding| Finding {
        detail: plain(&finding.detail),
        remedy: finding.remedy.as_deref().map(plain),
        ..finding.clone()
    });
    let legible: Vec<Finding> = legible.collect();
    serde_json::to_value(legible).map_err(|error| corrupt(format!("findings: {error}")))
}

/// What a newer release found and this one does not know is left out.
fn findings(row: &Row) -> Result<Vec<Finding>, Failure> {
    let Value::Array(findings) = get(row, "findings")? else {
        return Ok(Vec::new());
    };
    let known = findings
        .into_iter()
        .filter_map(|finding| serde_json::from_value(finding).ok());
    Ok(known.collect())
}

fn health(row: &Row) -> Result<Health, Failure> {
    let text: &str = get(row, "state")?;
    Health::ALL
        .into_iter()
        .find(|health| health.as_str() == text)
        .ok_or_else(|| corrupt(format!("`{text}` is no health that this version knows")))
}

impl Catalog {
    /// See [`recording::Ledger::checked`].
    pub(crate) async fn note_check(
        &self,
        check: &DueCheck,
        report: &CheckReport,
    ) -> Result<(), LedgerFault> {
        let DueCheck { destination, .. } = check;
        let mut report = report.clone();
        let overlap = self.find_overlap(destination).await;
        report.put(overlap.map_err(ledger_fault)?);
        let mut lent = self.pool.lend().await?;
        lent.begin().await?;
        append(&mut lent, destination.revision, Some(&report), false).await?;
        self.diagnosed(&mut lent, destination.revision, &report)
            .await?;
        Self::remember_expiry(&mut lent, destination.revision, &destination.store).await?;
        lent.commit().await?;
        Ok(())
    }

    /// Moves a destination's health by a check of it, within the transaction of a caller who may
    /// keep the check as well.
    pub(crate) async fn diagnosed(
        &self,
        lent: &mut Lent,
        revision: i64,
        report: &CheckReport,
    ) -> Result<(), Failure> {
        let settings = &self.settings;
        let (settle, probe) = (
            seconds(settings.settle_after),
            seconds(settings.probe_after),
        );
        let (every, verdict) = match report.diagnosis() {
            Diagnosis::Healthy => {
                lent.rows(CHECK_WORKED, &[&revision, &settle]).await?;
                (settings.check_every, "healthy")
            }
            Diagnosis::Unhealthy {
                reason,
                detail,
                holds,
            } => {
                let (reason, detail) = (reason.as_str(), plain(&detail));
                let params: crate::pool::Params<'_> =
                    &[&revision, &reason, &detail, &holds, &settle, &probe];
                lent.rows(CHECK_FAILED, params).await?;
                (settings.check_again_after, "unhealthy")
            }
            Diagnosis::Unknown => (settings.check_again_after, "unknown"),
        };
        // Jittered, so that what was set together is not checked together for ever.
        let every = seconds(every) * jitter();
        let (reason, detail) = report.standing().unzip();
        let (reason, detail) = (reason.map(ParkReason::as_str), detail.as_deref().map(plain));
        let findings = failed(report)?;
        let params: crate::pool::Params<'_> =
            &[&revision, &findings, &every, &verdict, &reason, &detail];
        lent.rows(CHECKED, params).await?;
        Ok(())
    }

    /// See [`recording::Ledger::health_announcements`].
    pub(crate) async fn owed_health(
        &self,
        limit: u32,
    ) -> Result<Vec<HealthAnnouncement>, LedgerFault> {
        let again = seconds(self.settings.announce_after);
        let most = i64::from(WAITING_MAX);
        let rows = self
            .pool
            .rows(OWED, &[&i64::from(limit), &again, &most])
            .await?;
        let mut owed = Vec::with_capacity(rows.len());
        for row in &rows {
            match announcement(row) {
                Ok(news) => owed.push(news),
                // A newer release's: it is owed again later, and the others are told now.
                Err(failure) => tracing::warn!(
                    destination.revision = get::<i64>(row, "revision")?,
                    error = %failure.fault,
                    "the news of a destination cannot be read here"
                ),
            }
        }
        Ok(owed)
    }

    /// See [`recording::Ledger::health_announced`].
    pub(crate) async fn note_health_announced(
        &self,
        revision: i64,
        id: Uuid,
    ) -> Result<(), LedgerFault> {
        self.pool.rows(ANNOUNCED, &[&revision, &id]).await?;
        Ok(())
    }

    /// How these revisions are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn destination_health(
        &self,
        revisions: &[i64],
    ) -> Result<BTreeMap<i64, HealthView>, AdminFault> {
        let rows = self.pool.rows(SHOW, &[&revisions]).await?;
        let views = rows
            .iter()
            .map(|row| Ok((get(row, "revision")?, view(row)?)));
        Ok(views.collect::<Result<_, Failure>>()?)
    }

    /// What a person has tried again goes through open breakers for a while: every such breaker,
    /// or for a bound token only those of the account's own revisions.
    pub(crate) async fn ask_breakers(
        &self,
        filter: &ParkedFilter,
        recording: Option<&str>,
    ) -> Result<(), Failure> {
        let asked_for = seconds(self.settings.asked_for);
        let account = filter.account.as_ref().map(AccountId::as_str);
        let reason = filter.reason.map(ParkReason::as_str);
        let params: crate::pool::Params<'_> =
            &[&account, &recording, &asked_for, &reason, &filter.own_only];
        self.pool.rows(ASKED, params).await?;
        Ok(())
    }

    /// Remembers, in the transaction that sets or checks a revision, when its secret ends.
    pub(crate) async fn remember_expiry(
        lent: &mut Lent,
        revision: i64,
        store: &Store,
    ) -> Result<(), Failure> {
        if let Some(ends) = secret_ends(store) {
            lent.rows(EXPIRES, &[&revision, &ends]).await?;
        }
        Ok(())
    }

    /// Adds the health of destinations to a reading.
    pub(crate) async fn read_health(
        &self,
        lent: &mut Lent,
        reading: &mut LedgerReading,
    ) -> Result<(), Failure> {
        let (first, last) = self.settings.secret_warnings;
        for row in lent.rows(READ, &[&seconds(first), &seconds(last)]).await? {
            let count = unsigned(get(&row, "n")?)?;
            if get::<&str>(&row, "what")? == "secret" {
                reading.secret_expires_at = get(&row, "at")?;
                reading.secrets_ending = (count, unsigned(get(&row, "last")?)?);
                continue;
            }
            // A word of a newer release is left out, as elsewhere in a reading.
            let Ok(reason) = get::<&str>(&row, "reason")?.parse::<ParkReason>() else {
                continue;
            };
            let age: Option<f64> = get(&row, "age")?;
            let oldest = Duration::try_from_secs_f64(age.unwrap_or_default()).unwrap_or_default();
            reading.unhealthy.insert(reason, Tally { count, oldest });
        }
        Ok(())
    }
}

fn announcement(row: &Row) -> Result<HealthAnnouncement, Failure> {
    let destination = destination(row, None)?;
    let reason = match health(row)? {
        Health::Healthy => None,
        Health::Unhealthy => Some(word::<ParkReason>(row, "reason")?),
    };
    Ok(HealthAnnouncement {
        id: get(row, "announcement_id")?,
        at: get(row, "announcement_at")?,
        location: destination.store.location(),
        owner: destination.owner,
        revision: destination.revision,
        reason,
        recordings_waiting: unsigned(get(row, "waiting")?)?,
        findings: findings(row)?,
        secret_expires_at: get(row, "secret_expires_at")?,
    })
}

fn view(row: &Row) -> Result<HealthView, Failure> {
    let reason: Option<ParkReason> = optional_word(row, "reason")?;
    Ok(HealthView {
        health: health(row)?,
        since: get(row, "since")?,
        reason,
        detail: get(row, "detail")?,
        hint: reason.map(ParkReason::hint),
        held_back: get(row, "holds")?,
        failures: unsigned(i64::from(get::<i32>(row, "failures")?))?,
        last_success_at: get(row, "succeeded_at")?,
        next_probe_at: get(row, "probe_at")?,
        last_check_at: get(row, "last_check_at")?,
        next_check_at: get(row, "next_check_at")?,
        findings: findings(row)?,
        secret_expires_at: get(row, "secret_expires_at")?,
    })
}
