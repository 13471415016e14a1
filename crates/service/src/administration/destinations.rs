//! Checking a destination, and what is told of it.

use anyhow::{Context as _, Result};
use catalog::{AdminFault, Catalog};
use recording::{AccountId, CheckReport, Checker, Destination};
use serde_json::{Value, json};

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
