//! The kit and the check speak of the same table: a role of the kit passes every part of
//! `destination check`, and each permission that is taken away is named by it, and no other.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;

use super::setting::{Customer, KEY, Setting, without};

/// What a check found wrong, and every permission that it misses.
async fn check(setting: &Setting, account: &str) -> Result<(Vec<String>, BTreeSet<String>)> {
    let args = ["destination", "check", account, "--json"];
    let report = setting.platform.fleet.run(&args).await?.json()?;
    let findings = report["findings"].as_array().context("no findings")?;
    let is_wrong = |one: &&Value| matches!(one["verdict"].as_str(), Some("failed" | "warned"));
    let wrong: Vec<_> = findings.iter().filter(is_wrong).collect();
    let missing = wrong.iter().filter_map(|one| one["missing"].as_array());
    let missing = missing
        .flatten()
        .filter_map(Value::as_str)
        .map(ToOwned::to_owned);
    Ok((
        wrong.iter().map(ToString::to_string).collect(),
        missing.collect(),
    ))
}

/// Every action of the kit's permission policy.
fn actions(customer: &Customer) -> Result<Vec<String>> {
    let policy: Value = serde_json::from_str(customer.document("permissions.json")?)?;
    let statements = policy["Statement"].as_array().context("no statements")?;
    let actions = statements.iter().filter_map(|one| one["Action"].as_str());
    Ok(actions.map(ToOwned::to_owned).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_any_permission_of_the_kit_is_named_by_the_check() -> Result<()> {
    let mut setting = Setting::new("kit-checked").await?;
    let wishes = ["--with", "playback,retention", "--prefix", "calls"];
    let options = [&wishes[..], &["--kms-key", KEY]].concat();
    // In a bucket that keeps versions, under a key, every permission matters.
    let acme = setting.customer("acme", true, &options).await?;
    let (wrong, missing) = check(&setting, "acme").await?;
    assert!(missing.is_empty(), "{wrong:?}");
    let actions = actions(&acme)?;
    assert!(actions.len() >= 11, "{actions:?}");
    let mut unnamed = Vec::new();
    for action in &actions {
        setting.grant(&acme, |policy| without(policy, action))?;
        let (wrong, missing) = check(&setting, "acme").await?;
        if missing != BTreeSet::from([action.clone()]) {
            unnamed.push(format!("without {action}: {missing:?}, of {wrong:?}"));
        }
    }
    assert_eq!(unnamed, Vec::<String>::new());
    setting.grant(&acme, |policy| Ok(policy.to_owned()))?;
    let (wrong, missing) = check(&setting, "acme").await?;
    assert!(missing.is_empty(), "{wrong:?}");
    Ok(())
}
