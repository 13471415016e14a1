//! The page: `CREDENTIALS.md`, written from a run, so that it says what was seen.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use callferry_tests::page::{self, cell};
use callferry_tests::platform::Platform;
use serde_json::Value;

use super::trouble::Trouble;

/// What was seen of one.
pub(crate) struct Line {
    trouble: Trouble,
    waits_for: String,
    release: Option<String>,
    finding: String,
    remedy: String,
}

impl Line {
    /// The first failed finding is the one that the others follow from.
    pub(crate) fn new(
        trouble: Trouble,
        waits_for: String,
        release: Option<String>,
        failed: &[Value],
    ) -> Result<Self> {
        let first = failed.first().context("nothing failed")?;
        let text = |field: &str| {
            let text = first[field].as_str();
            text.map(steady)
                .with_context(|| format!("no {field} in {first}"))
        };
        let mut finding = format!("`{}`: {}", text("capability")?, text("detail")?);
        let missing = first["missing"].as_array().into_iter().flatten();
        let missing: Vec<_> = missing.filter_map(Value::as_str).collect();
        if !missing.is_empty() {
            write!(finding, "; missing: {}", missing.join(", "))?;
        }
        Ok(Self {
            trouble,
            waits_for,
            release,
            finding,
            remedy: text("remedy")?,
        })
    }
}

/// Without what differs from run to run: ports and random ids.
fn steady(text: &str) -> String {
    let mut steady = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("127.0.0.1:") {
        let (before, from) = rest.split_at(at + "127.0.0.1:".len());
        steady.push_str(before);
        steady.push_str("PORT");
        rest = from.trim_start_matches(|letter: char| letter.is_ascii_digit());
    }
    steady.push_str(rest);
    let mut words = Vec::new();
    for word in steady.split(' ') {
        let bare = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
        let is_id = uuid::Uuid::try_parse(bare).is_ok();
        words.push(match is_id {
            true => word.replace(bare, "ID"),
            false => word.to_owned(),
        });
    }
    let mut steady = words.join(" ");
    // An external id: minted at random.
    let minted = |at: usize| steady.get(at + 10..at + 42).map(str::to_owned);
    let at = steady.find("\"callferry-").map(|at| at + 1);
    if let Some(random) = at.and_then(minted) {
        steady = steady.replace(&random, "RANDOM");
    }
    steady
}

const HEAD: &str = "\
# Credentials that end, are revoked or are wrong

Each line was *seen* with the real binary, S3's laboratory, Azurite and Entra's laboratory, an
account for each (`tests/main_job/credentials`). One recording was stored while all was well and
its original kept; then it happened, and a second one came. Both wait as the table says, nothing
is lost, and `callferry destination check` exits with 1 and says what to do. After the repair, and
nothing else, both were delivered and released, byte for byte, and the destination was healthy
again: recordings that wait are tried with the newest credential for the same bucket or container,
whichever revision they are pinned to.

Written by `cargo test -p callferry-tests --test main_job every_broken_credential`, which fails when
this page says something else, and then says where it left the new one.
";

/// Compares the page with what was seen.
pub(crate) fn compare(lines: &[Line]) -> Result<()> {
    let mut written = HEAD.to_owned();
    writeln!(
        written,
        "\n| credential | what happened | a new recording waits as | a release waits as | the \
         check finds | and says to do | repaired by |\n|---|---|---|---|---|---|---|"
    )?;
    for line in lines {
        let [credential, happened, repaired] = line.trouble.told();
        let release = match &line.release {
            Some(reason) => format!("`{reason}`"),
            None => "it is released: looking is allowed".to_owned(),
        };
        let waits_for = format!("`{}`", line.waits_for);
        let bucket = Platform::bucket(line.trouble.account());
        let cells = [
            credential,
            happened,
            &waits_for,
            &release,
            &line.finding.replace(&bucket, "BUCKET"),
            &line.remedy.replace(&bucket, "BUCKET"),
            repaired,
        ];
        let cells = cells.map(cell);
        writeln!(written, "| {} |", cells.join(" | "))?;
    }
    page::compare("CREDENTIALS.md", &written)
}
