//! The dashboard by what its file says: aligned, explained, and about metrics that exist.

use std::collections::BTreeSet;
use std::fs;

use anyhow::Result;
use callferry_tests::environment::repository;
use serde_json::Value;

use super::{board, rules};

fn place(panel: &Value) -> (u64, u64, u64, u64) {
    let side = |name: &str| {
        panel["gridPos"][name]
            .as_u64()
            .expect("a place on the grid")
    };
    (side("x"), side("y"), side("w"), side("h"))
}

#[test]
fn no_panel_covers_another_and_each_line_of_panels_is_full() -> Result<()> {
    let dashboard = board::dashboard()?;
    let mut taken = BTreeSet::new();
    let mut lines = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        let (x, y, w, h) = place(panel);
        lines.insert(y);
        for column in x..x + w {
            for line in y..y + h {
                assert!(column < 24, "{} leaves the grid", panel["title"]);
                assert!(
                    taken.insert((column, line)),
                    "{} covers another",
                    panel["title"]
                );
            }
        }
    }
    for line in lines {
        let wide = (0..24)
            .filter(|column| taken.contains(&(*column, line)))
            .count();
        assert_eq!(wide, 24, "the line of panels at {line} has a gap");
    }
    Ok(())
}

#[test]
fn every_panel_has_a_unit_and_says_what_to_do_when_it_looks_bad() -> Result<()> {
    let dashboard = board::dashboard()?;
    let mut ids = BTreeSet::new();
    for panel in board::panels(&dashboard) {
        let title = panel["title"].as_str().expect("a title");
        assert!(ids.insert(panel["id"].as_u64()), "{title} has another's id");
        let description = panel["description"].as_str().unwrap_or_default();
        assert!(
            description.len() > 80,
            "{title} explains nothing: {description}"
        );
        let units = [
            &panel["fieldConfig"]["defaults"]["unit"],
            &panel["options"]["yAxis"]["unit"],
        ];
        let table = panel["type"] == "table";
        assert!(
            table || units.iter().any(|unit| unit.is_string()),
            "{title} has no unit"
        );
    }
    Ok(())
}

#[test]
fn what_a_panel_refers_to_exists() -> Result<()> {
    let dashboard = board::dashboard()?;
    let panels = board::panels(&dashboard);
    let titles: BTreeSet<_> = panels.iter().filter_map(|p| p["title"].as_str()).collect();
    for panel in &panels {
        let description = panel["description"].as_str().unwrap_or_default();
        // Panels are named in *italics*, files without any.
        for title in description.split('*').skip(1).step_by(2) {
            let heading = dashboard["panels"].as_array().expect("panels").iter();
            let known = titles.contains(title) || heading.clone().any(|p| p["title"] == title);
            assert!(
                known,
                "{} refers to *{title}*, which is not there",
                panel["title"]
            );
        }
        let files = description
            .split(' ')
            .filter(|word| word.starts_with("deploy/"));
        for file in files.map(|word| word.trim_end_matches('.')) {
            let path = repository().join(file);
            assert!(
                path.exists(),
                "{} refers to {file}, which is not there",
                panel["title"]
            );
        }
    }
    Ok(())
}

#[test]
fn accounts_are_told_apart_in_one_place_only() -> Result<()> {
    for query in board::queries(&board::dashboard()?) {
        let apart = query.expr.contains("account)") || query.expr.contains("account,");
        assert!(
            !apart || query.expr.contains("callferry_account_open"),
            "{}: only account_open has accounts",
            query.name
        );
    }
    Ok(())
}

#[test]
fn every_metric_that_is_named_is_in_the_table_of_metrics() -> Result<()> {
    let table = fs::read_to_string(repository().join("deploy/METRICS.md"))?;
    let whole = board::dashboard()?.to_string() + &rules::text()?;
    for metric in board::metrics_named(&whole) {
        let family = metric.trim_end_matches("_bucket");
        assert!(
            table.contains(&format!("`{family}`")),
            "there is no {metric}"
        );
    }
    Ok(())
}
