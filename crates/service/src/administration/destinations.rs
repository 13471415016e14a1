//! Checking a destination, and what is told of it and of all of an owner's.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use catalog::{AdminFault, Catalog, DestinationView, PinnedCounts};
use chrono::{DateTime, Utc};
use recording::{AccountId, CheckReport, Checker, Destination, DestinationOwner};
use serde_json::{Value, json};

use crate::cli::destination::shown;

/// Everything that is told of one revision.
pub(crate) async fn seen(
    ledger: &Catalog,
    view: &DestinationView,
    now: DateTime<Utc>,
) -> Result<Result<Value>, AdminFault> {
    let health = ledger.destination_health(&[view.revision]).await?;
    let shown = shown::shown(view, now);
    Ok(shown.and_then(|shown| shown::with_health(shown, health.get(&view.revision))))
}

/// What the revisions of owners hold: of one owner, or of all.
pub(crate) struct Held {
    counts: BTreeMap<i64, PinnedCounts>,
    none: PinnedCounts,
}

impl Held {
    /// Counts them. What is released is counted for a single account only.
    pub(crate) async fn count(
        ledger: &Catalog,
        only: Option<&DestinationOwner>,
    ) -> Result<Self, AdminFault> {
        let none = PinnedCounts {
            released: matches!(only, Some(DestinationOwner::Account(_))).then_some(0),
            ..PinnedCounts::default()
        };
        let counts = ledger.count_pinned(only).await?.into_iter().collect();
        Ok(Self { counts, none })
    }
}

/// Every revision of an owner, oldest first, with its health and what it holds.
pub(crate) async fn listed(
    ledger: &Catalog,
    owner: &DestinationOwner,
    held: &Held,
    now: DateTime<Utc>,
) -> Result<Result<Vec<Value>>, AdminFault> {
    let views = ledger.list_destinations(owner).await?;
    let ids: Vec<i64> = views.iter().map(|view| view.revision).collect();
    let health = ledger.destination_health(&ids).await?;
    let each = views.iter().map(|view| {
        let shown = shown::shown(view, now)?;
        let mut shown = shown::with_health(shown, health.get(&view.revision))?;
        let counts = held.counts.get(&view.revision).copied();
        shown::add_counts(&mut shown, counts.unwrap_or(held.none));
        Ok(shown)
    });
    Ok(each.collect())
}

/// Tries all that the fleet does there; whether another owner's keys could lie among its own, only
/// the ledger knows.
pub(crate) async fn checked(
    checker: &dyn Checker,
    ledger: &Catalog,
    destination: &Destination,
    account: &AccountId,
) -> Result<CheckReport, AdminFault> {
    let mut report = checker.check(destination, account).await;
    report.put(ledger.find_overlap(destination).await?);
    Ok(report)
}

/// What was found, as one JSON object.
pub(crate) fn told(destination: &Destination, report: &CheckReport) -> Result<Value> {
    let mut value = serde_json::to_value(report).context("writing the answer as JSON")?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("owner".to_owned(), json!(destination.owner.to_string()));
        fields.insert("revision".to_owned(), json!(destination.revision));
        fields.insert("location".to_owned(), json!(destination.store.location()));
        fields.insert("usable".to_owned(), json!(report.is_usable()));
    }
    Ok(value)
}
