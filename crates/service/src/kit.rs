//! The set-up kit: documents with which a customer's administrator gives us exactly what we use of
//! a bucket or container, and nothing else. Made from the table of permissions, so that what the
//! kit grants, what sessions ask for and what a check names are the same words.
//!
//! Nothing here reads or asks anything: from a [`Kit`]'s parts to text.

mod aws;
mod azure;
mod azure_cli;
mod bicep;
mod cloudformation;
mod iam;
mod terraform;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub(crate) use aws::{AwsKit, Partition, RoleName, permissions};
pub(crate) use azure::{AzureKit, Workload};

/// The role's permission policy, trust policy and so on, in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kit {
    /// The files.
    pub(crate) documents: Vec<Document>,
    /// What the customer's administrator does with them, a line each.
    pub(crate) steps: Vec<String>,
    /// What we run when they have: commands.
    pub(crate) next: Vec<String>,
    /// What both should know.
    pub(crate) notes: Vec<String>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Document {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it is, for people.
    pub(crate) what: String,
    /// Its text, with a line end at its end.
    pub(crate) text: String,
}

impl Document {
    fn new(name: &'static str, what: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name,
            what: what.into(),
            text: text.into(),
        }
    }

    /// A JSON file.
    fn json(name: &'static str, what: impl Into<String>, value: &impl Serialize) -> Self {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        Self::new(name, what, text + "\n")
    }
}

/// A word as a shell reads it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=,@+".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Text as a string of JSON, which YAML and HCL read as well. What could begin an interpolation
/// of HCL cannot be in a name or prefix that is taken (`$` and `%`).
fn text(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

/// A command of ours over several lines.
fn command(first: &str, options: &[(&str, &str)]) -> String {
    let mut command = first.to_owned();
    for (option, value) in options {
        command.push_str(&format!(" \\\n    {option} {}", quoted(value)));
    }
    command
}

/// Lines before each of which a sign is put, for comments.
fn comment(sign: &str, text: &str) -> String {
    let line = |line: &str| format!("{sign} {line}").trim_end().to_owned() + "\n";
    text.lines().map(line).collect()
}
