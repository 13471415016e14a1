//! A command's answer on standard output: one JSON document with `--json`, something readable
//! without it. Nothing else is ever written there.
//!
//! Writing is checked: an answer that nobody received is a failure, not a success. A reader that
//! had enough (`callferry recording list | head`) is neither; the command then ends quietly.

use std::io::{BufWriter, ErrorKind, Stdout, Write};

use anyhow::{Context, Result};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::Value;

/// How answers are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// Whether a machine reads it.
    pub(crate) json: bool,
}

impl Output {
    /// Writes the answer: `value` as JSON, or `readable` of it.
    pub(crate) fn answer<T: Serialize + ?Sized>(
        self,
        value: &T,
        readable: impl FnOnce(&T) -> String,
    ) -> Result<()> {
        let mut text = if self.json {
            serde_json::to_string_pretty(value).context("writing the answer as JSON")?
        } else {
            readable(value)
        };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        write(&text)
    }
}

impl Output {
    /// Writes many things: as a JSON array, or as a table of these columns (dotted for what is
    /// inside), or `nothing` where there are none.
    pub(crate) fn list<T: Serialize>(
        self,
        things: &[T],
        columns: &[&str],
        nothing: &str,
    ) -> Result<()> {
        let things = serde_json::to_value(things).context("writing the answer as JSON")?;
        self.answer(&things, |things| tabular(things, columns, nothing))
    }

    /// Writes one thing: as a JSON object, or as a list of its fields.
    pub(crate) fn one<T: Serialize + ?Sized>(self, thing: &T) -> Result<()> {
        let thing = serde_json::to_value(thing).context("writing the answer as JSON")?;
        self.answer(&thing, listed)
    }
}

/// An answer of any length: one JSON document a line, written as they come.
#[derive(Debug)]
pub(crate) struct Lines {
    out: BufWriter<Stdout>,
    /// The reader had enough.
    gone: bool,
}

impl Lines {
    /// Begins one.
    pub(crate) fn new() -> Self {
        Self {
            out: BufWriter::new(std::io::stdout()),
            gone: false,
        }
    }

    /// Writes one thing.
    pub(crate) fn write(&mut self, thing: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_string(thing).context("writing the answer as JSON")?;
        text.push('\n');
        let written = self.out.write_all(text.as_bytes());
        self.noted(written)
    }

    /// Whether nobody reads on.
    pub(crate) fn nobody_reads(&self) -> bool {
        self.gone
    }

    /// Ends it: what was not written is a failure.
    pub(crate) fn end(mut self) -> Result<()> {
        let written = self.out.flush();
        self.noted(written)
    }

    fn noted(&mut self, written: std::io::Result<()>) -> Result<()> {
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(())
            }
            done => done.context("writing the answer to standard output"),
        }
    }
}

/// Many things as a table of these columns (dotted for what is inside), or `nothing` where there
/// are none.
pub(crate) fn tabular(things: &Value, columns: &[&str], nothing: &str) -> String {
    let mut rows = table(columns);
    for thing in things.as_array().into_iter().flatten() {
        let cell = |column: &&str| {
            let inside = column
                .split('.')
                .try_fold(thing, |value, name| value.get(name));
            inside.map_or_else(String::new, plain)
        };
        rows.add_row(columns.iter().map(cell));
    }
    or_nothing(&rows, nothing)
}

/// One thing as lines; what is inside it has a dotted name, a list of things becomes a table.
pub(crate) fn listed(thing: &Value) -> String {
    let mut rows = Vec::new();
    let mut tables = String::new();
    flatten("", thing, &mut rows, &mut tables);
    let mut text = fields(&rows);
    text.push_str(&tables);
    text
}

fn flatten(name: &str, value: &Value, rows: &mut Vec<(String, String)>, tables: &mut String) {
    match value {
        Value::Object(inner) => {
            for (key, value) in inner {
                let dot = if name.is_empty() { "" } else { "." };
                flatten(&format!("{name}{dot}{key}"), value, rows, tables);
            }
        }
        Value::Array(things) if things.iter().any(Value::is_object) => {
            let first = things.first().and_then(Value::as_object);
            let columns = first.map(|first| first.keys().map(String::as_str));
            let columns: Vec<_> = columns.into_iter().flatten().collect();
            tables.push_str(&format!("\n{name}\n{}\n", tabular(value, &columns, "")));
        }
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            rows.push((name.to_owned(), plain(value)));
        }
    }
}

/// A value as a person writes it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => harmless(text),
        Value::Array(things) => things.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// Text that others wrote, as it may be shown at a terminal.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// A terminal obeys control characters; what others wrote (a path, a quarantined body) must not
/// give it orders.
fn visible(c: char) -> char {
    if c.is_control() && c != '\n' {
        '\u{fffd}'
    } else {
        c
    }
}

fn write(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.context("writing the answer to standard output"),
    }
}

/// A table with these headers, one column each.
fn table(headers: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(headers.iter().map(|header| header.to_uppercase()));
    table
}

/// A table, or `nothing` where it has no rows.
fn or_nothing(table: &Table, nothing: &str) -> String {
    if table.row_count() == 0 {
        nothing.to_owned()
    } else {
        table.trim_fmt()
    }
}

/// Lines of name and value, aligned, as in one thing shown.
fn fields(rows: &[(String, String)]) -> String {
    let width = rows
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or_default();
    rows.iter()
        .map(|(name, value)| format!("{name:<width$}  {value}\n"))
        .collect()
}

/// Tells a person something that is not the answer, on standard error.
pub(crate) fn tell(text: &str) {
    // Where standard error is closed there is nobody left to tell.
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// Tells a person that a listing of at most `limit` things may have been cut off there, and which
/// `options` show more.
pub(crate) fn tell_if_cut(count: usize, limit: u32, options: &str) {
    if let Some(told) = cut_off(count, limit, options) {
        tell(&told);
    }
}

fn cut_off(count: usize, limit: u32, options: &str) -> Option<String> {
    let full = u32::try_from(count).map_or(true, |count| count >= limit);
    full.then(|| format!("cut at {limit}; there may be more: {options}"))
}

/// Reports an error the way every command does.
pub(crate) fn report(error: &anyhow::Error) {
    tell(&format!("error: {error:#}"));
    if let Some(hint) = crate::failure::hint(error) {
        tell(&format!("hint: {hint}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn many_things_are_a_table_or_a_sentence() {
        let things = json!([{"account_id": "acme", "name": null, "receipt": {"size_bytes": 7}}]);
        let text = tabular(
            &things,
            &["account_id", "name", "receipt.size_bytes"],
            "none",
        );
        let lines: Vec<_> = text
            .lines()
            .map(|l| l.split_whitespace().collect::<Vec<_>>())
            .collect();
        let header = vec!["ACCOUNT_ID", "NAME", "RECEIPT.SIZE_BYTES"];
        assert_eq!(lines, [header, vec!["acme", "-", "7"]]);
        assert_eq!(
            tabular(&json!([]), &["account_id"], "No accounts."),
            "No accounts."
        );
    }

    #[test]
    fn one_thing_is_its_fields_with_dotted_names_and_its_lists_as_tables() {
        let thing = json!({"state": "stored", "receipt": {"etag": "x"},
            "history": [{"at": "now", "to": "stored"}]});
        let text = listed(&thing);
        assert!(text.contains("receipt.etag"), "{text}");
        let (fields, table) = text.split_once("\nhistory\n").unwrap();
        assert!(fields.contains("state"), "{text}");
        assert!(table.contains("AT") && table.contains("stored"), "{text}");
    }

    #[test]
    fn a_list_that_is_as_long_as_its_limit_says_that_there_may_be_more() {
        assert_eq!(cut_off(1, 2, "--limit"), None);
        let told = cut_off(2, 2, "--limit, --after").unwrap();
        assert_eq!(told, "cut at 2; there may be more: --limit, --after");
    }

    #[test]
    fn what_others_wrote_cannot_give_a_terminal_orders() {
        assert_eq!(plain(&json!("a\u{1b}[2Jb")), "a\u{fffd}[2Jb");
    }
}
