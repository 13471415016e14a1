//! What checks of destinations found: kept with the revision, the latest one shown.
//!
//! **Decision.** Checks are appended and never changed; those that nobody insisted on go after 90
//! days. **Because** "since when, and what was seen before" is what one asks when recordings are
//! parked, and every revision in use is checked daily. **Instead of** one row that is overwritten,
//! which forgets, or all of them for ever.

use chrono::{DateTime, Utc};
use recording::{
    Approval, Capability, CheckReport, Destination, DestinationOwner, Finding, Store, Verdict,
};
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Row;

use crate::Catalog;
use crate::admin::{AdminFault, OVERLAP_HINT};
use crate::catalog::plain;
use crate::checks::check;
use crate::destinations::leads_key;
use crate::failure::{Failure, corrupt};
use crate::pool::Lent;
use crate::rows::get;
use crate::set_up::external_id;

const RECORD: &str = "-- name: record_check
with gone as (
    delete from destination_checks
     where revision = $1 and not forced and at <= now() - interval '90 days'
)
insert into destination_checks (revision, at, usable, forced, findings)
values ($1, coalesce($2, now()), $3, $4, $5)";

const LAST: &str = "-- name: last_check
    select at, usable, forced, findings from destination_checks
     where revision = $1 order by check_id desc limit 1";

/// One check of a revision, as the ledger remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckView {
    /// When it ended; of a revision that was set without one, when it was set.
    pub at: DateTime<Utc>,
    /// Whether nothing that storing needs had failed; null where nothing was checked.
    pub usable: Option<bool>,
    /// Whether a person insisted on the revision whatever was found.
    pub forced: bool,
    /// What was found. What a later release found and this one does not know is left out.
    pub findings: Vec<Finding>,
}

impl Catalog {
    /// The destination that [`Catalog::set_destination`] would make now, with the external id and
    /// the prefix that it would have: for a check before it is set. Its revision is 0.
    ///
    /// # Errors
    /// As [`Catalog::set_destination`] refuses it; nothing is changed either way.
    pub async fn plan_destination(
        &self,
        owner: &DestinationOwner,
        store: &Store,
    ) -> Result<Destination, AdminFault> {
        check(owner, store, self.now())?;
        let mut lent = self.pool.lend().await?;
        let external_id = external_id(&mut lent, owner).await?;
        let account_leads_key = leads_key(&mut lent, owner, store).await?;
        lent.hand_back();
        Ok(Destination {
            owner: owner.clone(),
            revision: 0,
            credential_revision: 0,
            store: store.clone(),
            external_id: Some(external_id),
            account_leads_key,
        })
    }

    /// Whether another owner's keys could lie among those of a destination: what only the ledger
    /// knows, as the finding of [`Capability::Overlap`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_overlap(&self, destination: &Destination) -> Result<Finding, AdminFault> {
        let mut lent = self.pool.lend().await?;
        let found = leads_key(&mut lent, &destination.owner, &destination.store).await;
        let finding = |verdict, detail: String, remedy: Option<String>| Finding {
            capability: Capability::Overlap,
            verdict,
            detail,
            reason: None,
            missing: Vec::new(),
            remedy,
        };
        let shared = "others write into the same bucket, among keys of their own";
        let finding = match found {
            Ok(must_lead) if must_lead && !destination.account_leads_key => {
                let remedy = "set the destination anew: the account then leads its keys, or give \
                              it a bucket of its own";
                let detail = format!("{shared}, and this revision's keys do not begin with whose");
                finding(Verdict::Warned, detail, Some(remedy.to_owned()))
            }
            Ok(true) => finding(Verdict::Passed, shared.to_owned(), None),
            Ok(false) => {
                let detail = "nobody else's destination is in this bucket".to_owned();
                finding(Verdict::Passed, detail, None)
            }
            Err(AdminFault::Overlap { owner, .. }) => {
                // Whose they are is nobody's business but the operator's: `destination set` says.
                let detail = format!("keys of {owner} could lie among another owner's");
                finding(Verdict::Failed, detail, Some(OVERLAP_HINT.to_owned()))
            }
            Err(fault) => return Err(fault),
        };
        lent.hand_back();
        Ok(finding)
    }

    /// Keeps what a check of a revision found, and moves its health by it. `forced`: a person
    /// insists on it all the same.
    ///
    /// # Errors
    /// When there is no such revision, or the database fails.
    pub async fn record_check(
        &self,
        revision: i64,
        report: &CheckReport,
        forced: bool,
    ) -> Result<(), AdminFault> {
        let mut lent = self.pool.lend().await?;
        lent.begin().await?;
        append(&mut lent, revision, Some(report), forced).await?;
        self.diagnosed(&mut lent, revision, report).await?;
        Ok(lent.commit().await?)
    }

    /// The latest check of a revision.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_check(&self, revision: i64) -> Result<Option<CheckView>, AdminFault> {
        let row = self.pool.row(LAST, &[&revision]).await?;
        Ok(row.as_ref().map(view).transpose()?)
    }
}

/// Refuses what a check found unusable, unless a person insists.
pub(crate) fn approve(approval: &Approval) -> Result<(), AdminFault> {
    let Approval::Checked(report) = approval else {
        return Ok(());
    };
    let blocking: Vec<_> = report.blocking().map(|it| it.capability.as_str()).collect();
    if blocking.is_empty() {
        return Ok(());
    }
    Err(AdminFault::refused(
        format!("a check of it failed: {}", blocking.join(", ")),
        "repair what the findings name and set it again, or insist with --force",
    ))
}

/// Keeps, in the transaction that sets a revision, why it may become active.
pub(crate) async fn keep(
    lent: &mut Lent,
    revision: i64,
    approval: &Approval,
) -> Result<(), Failure> {
    match approval {
        Approval::Checked(report) => append(lent, revision, Some(report), false).await,
        Approval::Forced(report) => append(lent, revision, report.as_ref(), true).await,
    }
}

/// Keeps a check, in the transaction of a caller.
pub(crate) async fn append(
    lent: &mut Lent,
    revision: i64,
    report: Option<&CheckReport>,
    forced: bool,
) -> Result<(), Failure> {
    let at = report.map(|report| report.at);
    let usable = report.map(CheckReport::is_usable);
    let findings = report.map(legible).transpose()?;
    lent.rows(RECORD, &[&revision, &at, &usable, &forced, &findings])
        .await?;
    Ok(())
}

/// The findings, as the database can keep them.
fn legible(report: &CheckReport) -> Result<Value, Failure> {
    let findings = report.findings.iter().map(|finding| Finding {
        detail: plain(&finding.detail),
        remedy: finding.remedy.as_deref().map(plain),
        ..finding.clone()
    });
    let findings: Vec<_> = findings.collect();
    serde_json::to_value(findings).map_err(|error| corrupt(format!("findings: {error}")))
}

fn view(row: &Row) -> Result<CheckView, Failure> {
    let findings: Option<Value> = get(row, "findings")?;
    let findings = match findings {
        Some(Value::Array(findings)) => findings,
        Some(_) | None => Vec::new(),
    };
    let known = findings
        .into_iter()
        .filter_map(|finding| serde_json::from_value(finding).ok());
    Ok(CheckView {
        at: get(row, "at")?,
        usable: get(row, "usable")?,
        forced: get(row, "forced")?,
        findings: known.collect(),
    })
}
