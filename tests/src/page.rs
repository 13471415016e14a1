//! Pages beside the tests that are written from a run, so that they say what was seen.

use std::fs;

use anyhow::{Result, bail};

use crate::environment::{local, repository};

/// Compares `tests/{name}` with what was seen. Where they differ, the new page is left in `.local`.
///
/// # Errors
/// When the page says something else, with how to take the new one.
pub fn compare(name: &str, written: &str) -> Result<()> {
    let path = repository().join("tests").join(name);
    let known = fs::read_to_string(&path).unwrap_or_default();
    if known == written {
        return Ok(());
    }
    let new = local().join(name);
    fs::write(&new, written)?;
    let differs = known.lines().zip(written.lines()).find(|(a, b)| a != b);
    bail!(
        "{} is not what was seen; first at {differs:?}. If that is meant: cp {} {}",
        path.display(),
        new.display(),
        path.display()
    )
}

/// Text as a cell of a table, on one line, and nothing that a page could obey.
#[must_use]
pub fn cell(text: &str) -> String {
    let mut cell = String::new();
    for letter in text.chars() {
        match letter {
            '|' => cell.push_str("\\|"),
            '<' => cell.push_str("&lt;"),
            letter if letter.is_control() => cell.extend(letter.escape_default()),
            letter => cell.push(letter),
        }
    }
    cell
}
