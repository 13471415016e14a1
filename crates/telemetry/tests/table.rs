//! The documentation of the metrics and the names of the ledger's statements are what the code
//! says they are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use telemetry::{Metrics, STATEMENTS};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_documented_metrics_are_those_of_the_code() {
    let written = fs::read_to_string(repository().join("deploy/METRICS.md")).unwrap_or_default();
    let made = Metrics::new().unwrap().table().unwrap();
    assert!(
        written == made,
        "deploy/METRICS.md is not what the code says; make it anew:\n  \
         cargo run -p telemetry --example metrics_table > deploy/METRICS.md"
    );
}

/// Statements that only an operator's commands, or a process's first moments, run; they are
/// measured together, as `other`.
const OF_OPERATORS: &[&str] = &[
    "ask_breakers",
    "begin_action",
    "confirm_retention",
    "create_account",
    "destination_neighbours",
    "destination_owner",
    "destinations_before",
    "drop_quarantine",
    "end_action",
    "erase_recording",
    "erase_words",
    "hold_covers",
    "hold_gate",
    "hold_released",
    "hold_too_late",
    "list_accounts",
    "list_actions",
    "list_destinations",
    "list_holds",
    "list_parked",
    "list_quarantine",
    "list_recordings",
    "list_recordings_of_a_time",
    "lock_destinations",
    "page_accesses",
    "pin_waiting",
    "pinned_open",
    "pinned_released",
    "place_hold",
    "preview_days",
    "preview_held",
    "preview_kept",
    "preview_total",
    "reached_destination",
    "recording_history",
    "release_hold",
    "requeue_quarantine",
    "reroutable",
    "reroute",
    "reroute_due_now",
    "reroute_target",
    "retention_policies",
    "retention_stops",
    "retry_parked",
    "rewrap_secret",
    "schema_exists",
    "schema_migrations",
    "secret_expires",
    "secrets_by_key",
    "secrets_left",
    "secrets_to_rewrap",
    "set_destination",
    "set_retention",
    "settled_accesses",
    "show_account",
    "show_destination",
    "show_erasure",
    "show_health",
    "show_quarantine",
    "show_recording",
    "status_ages",
    "status_parked",
    "status_quarantine",
    "status_states",
    "succeed_destinations",
];

#[test]
fn every_statement_of_the_ledger_is_measured_by_its_name_or_known_to_be_an_operators() {
    let mut in_the_code = BTreeSet::new();
    for entry in fs::read_dir(repository().join("crates/catalog/src")).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let named = text.split("-- name: ").skip(1);
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let names = named.filter_map(|rest| rest.split(|c| !is_word(c)).next());
        let names = names.filter(|name| !name.is_empty());
        in_the_code.extend(names.map(str::to_owned));
    }
    let known = STATEMENTS.iter().chain(OF_OPERATORS);
    let known: BTreeSet<_> = known.map(|name| (*name).to_owned()).collect();
    let unknown: Vec<_> = in_the_code.difference(&known).collect();
    assert!(
        unknown.is_empty(),
        "add to telemetry::STATEMENTS what roles run, and to OF_OPERATORS here what people run: \
         {unknown:?}"
    );
    let gone: Vec<_> = known.difference(&in_the_code).collect();
    assert!(
        gone.is_empty(),
        "the ledger has no statements of these names: {gone:?}"
    );
}

/// All files below a folder of the repository, if it is there.
fn files_below(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![repository().join(folder)];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn dashboards_and_alerts_ask_for_families_that_exist() {
    let table = Metrics::new().unwrap().table().unwrap();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut unknown = BTreeSet::new();
    for path in ["deploy/grafana", "deploy/prometheus"]
        .into_iter()
        .flat_map(files_below)
    {
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        for rest in text.split("callferry_").skip(1) {
            let name = rest.split(|c| !is_word(c)).next().unwrap_or_default();
            let family = ["_bucket", "_sum", "_count"]
                .into_iter()
                .find_map(|end| name.strip_suffix(end))
                .unwrap_or(name);
            let known = [name, family]
                .into_iter()
                .any(|name| table.contains(&format!("| `callferry_{name}` |")));
            if !known && !name.is_empty() {
                unknown.insert(format!("{}: callferry_{name}", path.display()));
            }
        }
    }
    assert!(unknown.is_empty(), "no such families: {unknown:#?}");
}
