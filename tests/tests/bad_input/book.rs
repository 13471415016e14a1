//! The book: `BAD_INPUT.md`, written from a run, so that it says what was seen.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use callferry_tests::page::{self, cell};

use super::case::{Case, Row};
use super::differences::{ELSEWHERE, OTHERWISE};
use super::judge::Seen;

/// One line: what was seen of a case.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    row: &'static str,
    what: String,
    seen: Seen,
    later: bool,
}

impl Line {
    /// What was seen of a case.
    pub(crate) fn new(case: &Case, seen: Seen) -> Self {
        let what = case.what.clone();
        Self {
            row: case.row,
            what,
            seen,
            later: false,
        }
    }

    /// What was seen of it later.
    pub(crate) fn later(case: &Case, seen: Seen) -> Self {
        let done = case.later.as_ref().map_or("", |later| later.done);
        let what = format!("{} — then: {done}", case.what);
        Self {
            row: case.row,
            what,
            seen,
            later: true,
        }
    }

    /// What the command line said when it refused.
    pub(crate) fn refused(case: &Case, stderr: &str) -> Result<Self> {
        let line = |begin: &str| {
            let line = stderr.lines().find_map(|line| line.strip_prefix(begin));
            line.map(str::to_owned)
                .with_context(|| format!("no {begin}in {stderr}"))
        };
        let seen = Seen {
            place: "refused, exit code 2".to_owned(),
            message: line("error: ")?,
            hint: line("hint: ")?,
        };
        Ok(Self::new(case, seen))
    }
}

const HEAD: &str = "\
# Bad input: what an operator sees

Every row of the catalogue of bad input (`RELIABILITY.md` section 3, B01 to B41) with the inputs
that `tests/bad_input` puts through real servers and the real binary. Each line was *seen*: the
place by `callferry quarantine list`, `recording show` or an exit code; the message and what helps
as they are printed. After the run everything that was not stored lay in staging as it had been
put there, every bucket held its own account's recordings byte for byte, only what was stored had
been acknowledged, and each refusal had moved its counter once:

- quarantine: `callferry_refused_messages_total{reason=…}`; `callferry quarantine list` names the
  message, `quarantine show` has its body and what helps, `quarantine requeue` returns it;
- parked: `callferry_transfer_parked_total{reason=…}`; `callferry parked list` has what helps and
  when it is tried again, `parked retry` tries it now;
- somebody may be reaching for what is not theirs: `unsafe_path`, `conflict`, `receipt_unknown` and
  `not_a_plain_file` also move `callferry_suspicious_total{kind=…}`.

Written by `cargo test -p callferry-tests --test bad_input every_bad_input`, which fails when this
page says something else, and then says where it left the new one.
";

/// Compares the page with what was seen.
pub(crate) fn compare(rows: &[Row], lines: &[Line]) -> Result<()> {
    page::compare("BAD_INPUT.md", &written(rows, lines))
}

fn written(rows: &[Row], lines: &[Line]) -> String {
    let mut page = HEAD.to_owned();
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_key(|row| row.number);
    for row in rows {
        let head = "| input | where it lands | the message | what helps |\n|---|---|---|---|";
        line(
            &mut page,
            &format!("\n## {}: {}\n\n{head}", row.number, row.input),
        );
        let mine = |later| {
            lines
                .iter()
                .filter(move |l| l.row == row.number && l.later == later)
        };
        for seen in mine(false).chain(mine(true)) {
            let Seen {
                place,
                message,
                hint,
            } = &seen.seen;
            let cells = [&seen.what, place, message, hint].map(|text| cell(text));
            line(&mut page, &format!("| {} |", cells.join(" | ")));
        }
    }
    line(
        &mut page,
        "\n## Where the catalogue and the design differ\n",
    );
    line(
        &mut page,
        "The design decides.\n\n| row | what is built |\n|---|---|",
    );
    let mut differences = [OTHERWISE, ELSEWHERE].concat();
    differences.sort_by_key(|(row, _)| if *row == "all" { "" } else { *row });
    for (row, text) in differences {
        line(&mut page, &format!("| {row} | {} |", cell(text)));
    }
    page
}

fn line(page: &mut String, text: &str) {
    writeln!(page, "{text}").expect("a text takes more text");
}
