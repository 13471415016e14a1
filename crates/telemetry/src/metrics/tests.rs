//! What a scrape holds, before and after something happened.

mod counts;
mod readings;
mod sets;

use std::collections::BTreeMap;

use super::Metrics;

/// A scrape as a map from series to value.
fn scrape(metrics: &Metrics) -> BTreeMap<String, f64> {
    let text = metrics.text().unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// Asserts the value of each series.
fn assert_series(now: &BTreeMap<String, f64>, expected: &[(&str, f64)]) {
    for (series, value) in expected {
        let found = now.get(&format!("callferry_{series}"));
        assert_eq!(found, Some(value), "{series}");
    }
}
