//! The alert rules as a text, and what stands in it.

use std::fs;

use anyhow::{Context, Result};
use callferry_tests::servers::prometheus::rules;

/// The rules as a text.
pub(crate) fn text() -> Result<String> {
    fs::read_to_string(rules()).context("reading the rules")
}

/// The values of a key in the rules, in order; each stands alone on a line.
pub(crate) fn values(key: &str) -> Result<Vec<String>> {
    let rules = text()?;
    let start = format!("{key}: ");
    let lines = rules
        .lines()
        .map(|line| line.trim().trim_start_matches("- "));
    let values = lines.filter_map(|line| line.strip_prefix(&start));
    Ok(values.map(str::to_owned).collect())
}
