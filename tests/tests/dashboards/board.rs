//! The dashboard as a file: its panels, their queries, and the metrics that a text names.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use callferry_tests::environment::repository;
use serde_json::Value;

/// Where it is.
pub(crate) fn path() -> PathBuf {
    repository().join("deploy/grafana/dashboards/fleet-overview.json")
}

/// The dashboard.
pub(crate) fn dashboard() -> Result<Value> {
    let text = fs::read_to_string(path()).context("reading the dashboard")?;
    serde_json::from_str(&text).context("the dashboard is no JSON")
}

/// Its panels, headings aside.
pub(crate) fn panels(dashboard: &Value) -> Vec<&Value> {
    let panels = dashboard["panels"].as_array().expect("panels");
    let drawn = panels.iter().filter(|panel| panel["type"] != "row");
    drawn.collect()
}

/// One query of a panel.
pub(crate) struct Query {
    /// The panel's title and the query's letter, for messages.
    pub(crate) name: String,
    /// What is asked, variables put in.
    pub(crate) expr: String,
    /// Whether only the present is asked for.
    pub(crate) instant: bool,
}

/// Puts in what Grafana would for its variables, with the intervals of a scrape each second.
pub(crate) fn substituted(expr: &str) -> String {
    let expr = expr
        .replace("$__rate_interval", "10s")
        .replace("$__range", "60s")
        .replace("$job", ".+");
    assert!(!expr.contains('$'), "a variable is left: {expr}");
    expr
}

/// Every query of every panel.
pub(crate) fn queries(dashboard: &Value) -> Vec<Query> {
    let mut queries = Vec::new();
    for panel in panels(dashboard) {
        let title = panel["title"].as_str().expect("a title");
        for target in panel["targets"].as_array().expect("targets") {
            let letter = target["refId"].as_str().expect("a refId");
            queries.push(Query {
                name: format!("{title} {letter}"),
                expr: substituted(target["expr"].as_str().expect("an expression")),
                instant: target["instant"] == true,
            });
        }
    }
    queries
}

/// Every metric that a text names: words that begin with our prefix. Recording rules have colons
/// in their names and are not meant.
pub(crate) fn metrics_named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    let ours = words.filter(|word| word.starts_with("callferry_") && !word.contains(':'));
    ours.map(str::to_owned).collect()
}
