//! The alert rules in a copy with shorter times, for tests and pictures.
//!
//! SUBTLE: nobody can wait a day in a test. The copy differs from the rules in force only in its
//! times, and only as the list below says: a minute becomes a second, an hour twenty seconds, and
//! the ages that alerts compare with become seconds. The times in force are tested by
//! `promtool test rules`, which needs no waiting.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::environment::repository;

/// Ages that alerts compare with, and what the copy compares with. The longer come first: the
/// shorter ones are parts of them.
const AGES: [(&str, &str); 4] = [
    ("24 * 3600", "40"),
    ("15 * 60", "10"),
    ("5 * 60", "5"),
    ("2 * 60", "5"),
];
/// Every number of minutes that the rules name.
const MINUTES: [u32; 6] = [1, 2, 5, 10, 15, 30];

/// Where the rules are that operators get.
#[must_use]
pub fn rules() -> PathBuf {
    repository().join("deploy/prometheus/rules/callferry.rules.yml")
}

/// Writes the copy with shorter times into `dir`, and returns its path.
///
/// # Errors
/// When a time is left that the lists of this file do not know.
pub fn shortened_rules(dir: &Path) -> Result<PathBuf> {
    let mut rules = fs::read_to_string(rules()).context("reading the rules")?;
    for (age, short) in AGES {
        ensure!(rules.contains(age), "no rule compares with {age} any more");
        rules = rules.replace(age, short);
    }
    for minutes in MINUTES {
        for (before, after) in [("for: ", "\n"), ("[", "]"), ("offset ", "")] {
            let long = format!("{before}{minutes}m{after}");
            rules = rules.replace(&long, &format!("{before}{minutes}s{after}"));
        }
    }
    rules = rules
        .replace("[1h]", "[20s]")
        .replace("[1d]", "[20s]")
        .replace("offset 1h", "offset 20s")
        .replace("offset 90m", "offset 30s")
        .replace("for: 1d\n", "for: 20s\n");
    for line in rules.lines().filter(|line| !line.trim().starts_with('#')) {
        let timed = ["for: ", "[", "offset "]
            .iter()
            .any(|word| line.contains(word));
        let words = line.split(|c: char| !c.is_ascii_alphanumeric());
        let long = words.filter_map(|word| word.strip_suffix(['m', 'h', 'd']));
        let long = long.filter(|number| number.parse::<u32>().is_ok()).count();
        ensure!(!timed || long == 0, "this line keeps its time: {line}");
        let age = line.contains("* 60") || line.contains("* 3600");
        ensure!(!age, "this line keeps its age: {line}");
    }
    fs::create_dir_all(dir)?;
    let copy = dir.join("shortened.rules.yml");
    fs::write(&copy, rules)?;
    Ok(copy)
}
