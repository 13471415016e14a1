//! The house rules that no compiler checks: how files begin, how long they are, what they are
//! called, and which crate may know which library. An ordinary test, so that continuous
//! integration adds nothing to what anybody can run.

#![expect(
    clippy::unwrap_used,
    reason = "a test's own helper functions fail by panicking, as the test does"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use callferry_tests::environment::repository;

/// The longest file.
const LINES: usize = 500;
/// The longest line, in characters.
const COLUMNS: usize = 100;

/// Our own crates, and which of them each may depend on.
const LAYERS: &[(&str, &[&str])] = &[
    ("recording", &[]),
    ("retry", &[]),
    ("telemetry", &["recording"]),
    ("broker", &["recording", "retry"]),
    ("catalog", &["recording"]),
    ("custody", &["recording"]),
    ("storage", &["recording", "retry"]),
    ("roles", &["recording", "storage", "retry", "telemetry"]),
    (
        "service",
        &[
            "recording",
            "retry",
            "telemetry",
            "broker",
            "storage",
            "catalog",
            "custody",
            "roles",
        ],
    ),
];

/// Libraries that exactly one crate may know.
const SECRETS: &[(&str, &str)] = &[
    ("lapin", "broker"),
    ("object_store", "storage"),
    ("aws-config", "storage"),
    ("tokio-postgres", "catalog"),
    ("tokio-postgres-rustls", "catalog"),
    ("deadpool-postgres", "catalog"),
    ("prometheus", "telemetry"),
    ("backoff", "retry"),
    ("axum", "service"),
    ("jsonwebtoken", "service"),
    ("clap", "service"),
    ("anyhow", "service"),
];

/// All files of the tree that are ours: not built, not fetched, not hidden state.
fn files() -> Vec<PathBuf> {
    let root = repository();
    let mut found = Vec::new();
    let mut left = vec![root.clone()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).unwrap().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let name = entry.file_name().to_string_lossy().into_owned();
            if kind.is_dir() && !["target", ".git", ".local", "node_modules"].contains(&&*name) {
                left.push(path);
            } else if kind.is_file() {
                found.push(path.strip_prefix(&root).unwrap().to_owned());
            }
        }
    }
    found.sort();
    assert!(found.len() > 20, "the tree was not found: {found:?}");
    found
}

fn rust_files() -> Vec<(PathBuf, String)> {
    let rust = files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "rs"));
    rust.map(|path| {
        (
            path.clone(),
            fs::read_to_string(repository().join(&path)).unwrap(),
        )
    })
    .collect()
}

/// Fails with all offences at once: one round of repairs, not twenty.
fn none(rule: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

#[test]
fn every_rust_file_says_first_what_it_is_for() {
    let silent = rust_files().into_iter().filter(|(_, text)| {
        text.lines()
            .next()
            .is_none_or(|line| line.strip_prefix("//! ").is_none_or(str::is_empty))
    });
    let silent: Vec<_> = silent.map(|(path, _)| path.display().to_string()).collect();
    none(
        "these files do not begin with `//! ` and what they are for",
        &silent,
    );
}

#[test]
fn no_file_is_longer_than_a_person_reads() {
    let long = rust_files()
        .into_iter()
        .filter(|(_, text)| text.lines().count() > LINES);
    let long: Vec<_> = long.map(|(path, _)| path.display().to_string()).collect();
    none(&format!("these files have more than {LINES} lines"), &long);
}

#[test]
fn no_line_is_wider_than_a_window() {
    let mut wide = Vec::new();
    for (path, text) in rust_files() {
        for (number, line) in text.lines().enumerate() {
            if line.chars().count() > COLUMNS {
                wide.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    none(
        &format!("these lines have more than {COLUMNS} columns"),
        &wide,
    );
}

#[test]
fn no_file_is_named_after_nothing() {
    let vague = [
        "mod", "util", "utils", "common", "helper", "helpers", "manager", "misc",
    ];
    let named = rust_files().into_iter().filter(|(path, _)| {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        vague.contains(&&*stem)
    });
    let named: Vec<_> = named.map(|(path, _)| path.display().to_string()).collect();
    none("a file is named after what is in it", &named);
}

#[test]
fn nothing_is_left_for_later_in_the_code() {
    // Put together here, or this file would offend itself.
    let marks = [
        concat!("to", "do!("),
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
        concat!("X", "XX"),
    ];
    let marks = marks.iter().chain(&["<<<<<<<", ">>>>>>>"]);
    let mut left = Vec::new();
    for (path, text) in rust_files() {
        for mark in marks.clone() {
            if path != Path::new("tests/tests/tidy.rs") && text.contains(mark) {
                left.push(format!("{}: {mark}", path.display()));
            }
        }
    }
    none("these marks mean that something is not done", &left);
}

#[test]
fn no_test_is_ignored() {
    let mark = concat!("#[ig", "nore");
    let ignored = rust_files()
        .into_iter()
        .filter(|(_, text)| text.contains(mark));
    let ignored: Vec<_> = ignored
        .map(|(path, _)| path.display().to_string())
        .collect();
    none("a test that does not run is not a test", &ignored);
}

#[test]
fn no_registry_is_named_outside_the_lock_file() {
    let hosts = [
        concat!("crates", ".io"),
        concat!("py", "pi.org"),
        concat!("python", "hosted.org"),
        concat!("npm", "js.org"),
        concat!("deb.", "debian.org"),
        concat!("proxy.", "golang.org"),
    ];
    let mut named = Vec::new();
    for path in files()
        .into_iter()
        .filter(|path| !path.ends_with("Cargo.lock"))
    {
        let Ok(text) = fs::read_to_string(repository().join(&path)) else {
            continue;
        };
        for host in hosts.iter().filter(|host| text.contains(**host)) {
            named.push(format!("{}: {host}", path.display()));
        }
    }
    none("registries are the ordinary clients' affair", &named);
}

#[test]
fn the_readmes_that_people_are_sent_to_exist() {
    for path in ["crates/README.md", "tests/README.md"] {
        let text = fs::read_to_string(repository().join(path)).unwrap_or_default();
        assert!(
            text.lines().count() > 10,
            "{path} is missing or says nothing"
        );
    }
}

/// The names of a crate's dependencies, build dependencies included, and of its tests' own.
fn dependencies(manifest: &toml::Table) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut tables = vec![manifest];
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    tables.extend(
        targets
            .into_iter()
            .flat_map(toml::Table::values)
            .filter_map(|t| t.as_table()),
    );
    let keys = |section: &str| -> BTreeSet<String> {
        let sections = tables
            .iter()
            .filter_map(|table| table.get(section)?.as_table());
        let entries = sections.flatten();
        let real = |(name, value): (&String, &toml::Value)| {
            let renamed = value.get("package").and_then(toml::Value::as_str);
            renamed.map_or_else(|| name.clone(), str::to_owned)
        };
        entries.map(real).collect()
    };
    let mut built = keys("dependencies");
    built.extend(keys("build-dependencies"));
    (built, keys("dev-dependencies"))
}

fn manifests() -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(repository().join("crates")).unwrap().flatten() {
        let Ok(text) = fs::read_to_string(entry.path().join("Cargo.toml")) else {
            continue;
        };
        let manifest: toml::Table = text.parse().unwrap();
        let name = manifest
            .get("package")
            .and_then(|package| package.get("name")?.as_str());
        let name = name.unwrap().to_owned();
        let folder = entry.file_name().to_string_lossy().into_owned();
        assert_eq!(name, folder, "a crate is called as its folder");
        found.insert(name, dependencies(&manifest));
    }
    found
}

#[test]
fn crates_depend_on_each_other_in_one_direction_only() {
    let known: BTreeMap<_, _> = LAYERS.iter().copied().collect();
    let mut wrong = Vec::new();
    for (name, (built, tested)) in manifests() {
        let Some(allowed) = known.get(name.as_str()) else {
            panic!("{name} has no place in LAYERS: which crates may it know?");
        };
        for other in built
            .union(&tested)
            .filter(|other| known.contains_key(other.as_str()))
        {
            if !allowed.contains(&other.as_str()) {
                wrong.push(format!("{name} must not know {other}"));
            }
        }
    }
    none(
        "who may know whom (LAYERS in this file, .cargo/deny.toml)",
        &wrong,
    );
}

#[test]
fn each_library_with_a_secret_is_known_by_one_crate() {
    let manifests = manifests();
    let mut wrong = Vec::new();
    for (library, keeper) in SECRETS {
        for (name, (built, tested)) in &manifests {
            let knows = built.contains(*library) || tested.contains(*library);
            if knows && name != keeper {
                wrong.push(format!(
                    "{name} must not know {library}, only {keeper} does"
                ));
            }
        }
    }
    none(
        "who may know which library (SECRETS in this file, .cargo/deny.toml)",
        &wrong,
    );
}

#[test]
fn both_lists_of_who_may_know_what_agree() {
    let text = fs::read_to_string(repository().join(".cargo/deny.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let banned = manifest
        .get("bans")
        .and_then(|bans| bans.get("deny")?.as_array())
        .unwrap();
    let mut wrappers = BTreeMap::new();
    for ban in banned {
        let name = ban.get("crate").and_then(toml::Value::as_str).unwrap();
        let mine = ban.get("wrappers").and_then(toml::Value::as_array);
        let mine = mine.into_iter().flatten().filter_map(toml::Value::as_str);
        wrappers.insert(name, mine.collect::<BTreeSet<_>>());
    }
    for (name, _) in LAYERS
        .iter()
        .filter(|(name, _)| wrappers.contains_key(name))
    {
        let mut users: BTreeSet<_> = LAYERS
            .iter()
            .filter(|(_, allowed)| allowed.contains(name))
            .map(|(user, _)| *user)
            .collect();
        users.insert("callferry-tests");
        assert_eq!(wrappers.get(name), Some(&users), "who may use {name}");
    }
    for library in [
        "lapin",
        "object_store",
        "tokio-postgres",
        "prometheus",
        "backoff",
    ] {
        let keeper = SECRETS
            .iter()
            .find(|(name, _)| *name == library)
            .map(|(_, keeper)| *keeper);
        assert!(
            wrappers.get(library).unwrap().contains(keeper.unwrap()),
            "who may use {library}"
        );
    }
}
