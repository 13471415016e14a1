//! The documentation of all metrics, as Markdown, from their declarations.

use std::fmt::Write as _;

use super::closed::Label;
use super::family::{ANSWER, Declared, JOURNEY, Kind, PREFIX, STAGE};

const INTRODUCTION: &str = "# Metrics

Every process serves them on `CALLFERRY_OPS_ADDR` under `/metrics`. Every family and every label
value is there from the first scrape, as zero. Labels are closed sets; no label ever holds text
from outside, except `account`, which is capped.

Made from the code (`crates/telemetry`); do not edit. To make it anew:
`cargo run -p telemetry --example metrics_table > deploy/METRICS.md`
";

fn kind(declared: &Declared) -> String {
    match declared.kind {
        Kind::Counter => "counter".to_owned(),
        Kind::Gauge => "gauge".to_owned(),
        Kind::Histogram(buckets) => format!("histogram ({})", buckets.what),
    }
}

fn names(labels: &[Label]) -> String {
    let names: Vec<_> = labels
        .iter()
        .map(|label| format!("`{}`", label.name))
        .collect();
    names.join(", ")
}

fn families(text: &mut String, declared: &[Declared]) -> std::fmt::Result {
    let mut part = "";
    for family in declared {
        if family.part != part {
            part = family.part;
            writeln!(text, "\n## {part}\n")?;
            writeln!(text, "| family | kind | labels | unit | what it says |")?;
            writeln!(text, "|---|---|---|---|---|")?;
        }
        let (name, kind, labels) = (family.family.name, kind(family), names(&family.labels));
        let (unit, help) = (family.family.unit, family.family.help);
        writeln!(
            text,
            "| `{PREFIX}_{name}` | {kind} | {labels} | {unit} | {help} |"
        )?;
    }
    Ok(())
}

fn labels(text: &mut String, declared: &[Declared]) -> std::fmt::Result {
    writeln!(text, "\n## Labels\n")?;
    writeln!(text, "| label | what it says | values | families |")?;
    writeln!(text, "|---|---|---|---|")?;
    let mut told: Vec<&Label> = Vec::new();
    for label in declared.iter().flat_map(|family| &family.labels) {
        if told.contains(&label) {
            continue;
        }
        told.push(label);
        let values: Vec<_> = label.values.iter().map(|v| format!("`{v}`")).collect();
        let users = declared.iter().filter(|f| f.labels.contains(label));
        let users: Vec<_> = users.map(|f| format!("`{}`", f.family.name)).collect();
        writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            label.name,
            label.what,
            values.join(" "),
            users.join(" ")
        )?;
    }
    Ok(())
}

fn buckets(text: &mut String) -> std::fmt::Result {
    writeln!(text, "\n## Buckets\n")?;
    writeln!(text, "Upper bounds in seconds.\n")?;
    for buckets in [STAGE, JOURNEY, ANSWER] {
        let bounds: Vec<_> = buckets.bounds.iter().map(ToString::to_string).collect();
        writeln!(text, "- {}: {}", buckets.what, bounds.join(", "))?;
    }
    Ok(())
}

/// The page.
pub(crate) fn markdown(declared: &[Declared]) -> Result<String, std::fmt::Error> {
    let mut text = INTRODUCTION.to_owned();
    families(&mut text, declared)?;
    labels(&mut text, declared)?;
    buckets(&mut text)?;
    Ok(text)
}
