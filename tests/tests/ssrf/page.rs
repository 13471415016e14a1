//! The page: `SSRF.md`, written from a run, so that it says what was seen.

use std::fmt::Write as _;

use anyhow::Result;
use callferry_tests::page::{self, cell};

use super::attempts::{ATTEMPTS, Attempt, NAMES};
use super::connecting::Of;

/// What was seen of an attempt.
pub(crate) struct Line {
    pub(crate) attempt: &'static Attempt,
    pub(crate) of: Of,
    /// What the command line said.
    pub(crate) set_up: String,
    /// What became of a write.
    pub(crate) connect: String,
}

const HEAD: &str = "\
# Endpoints that reach for what is not theirs

A customer chooses the endpoint of a destination. Whoever could have it lead into our own network,
to this machine or to its metadata service would have a proxy there that carries signed requests
(`RELIABILITY.md` B46). Each line was *seen*, of S3 and of Azure: `destination set` refuses it with
exit code 2 and a hint that names `--endpoint`; and where it is in the ledger all the same, a
process refuses it at every connect, for a write and for a look, the second time as the first.
Nobody came to the listeners that waited on every loopback address, at port `PORT`.

Beside the table, each with a test of its own (`tests/ssrf/rebinding.rs`):

- a name that resolves to an allowed address first and to a private one then (*rebinding*): passes
  set-up, is judged again at the next connect, in the middle of a request's repetitions, and parked
  as `address_refused`; the private listener hears nothing. Each connect asks the resolver once, and
  goes to the very address that was judged;
- an endpoint that redirects (301, 302, 307, 308) to a private listener: not connected to at set-up;
  at the connect `wrong_region`, and nothing follows. Neither do our own requests to STS and Entra;
- ranges of `CALLFERRY_ALLOWED_PRIVATE_RANGES` are reached, as an address and by name, in every
  spelling of theirs, and no others.

Written by `cargo test -p callferry-tests --test ssrf every_attempt`, which fails when this page
says something else, and then says where it left the new one.
";

/// Compares the page with what was seen.
pub(crate) fn compare(lines: &[Line]) -> Result<()> {
    page::compare("SSRF.md", &written(lines)?)
}

fn written(lines: &[Line]) -> Result<String> {
    let mut page = HEAD.to_owned();
    writeln!(page, "\n## The attempts\n")?;
    writeln!(
        page,
        "| attempt | endpoint | cloud | set-up says | a connect says |"
    )?;
    writeln!(page, "|---|---|---|---|---|")?;
    for attempt in ATTEMPTS {
        let mine = lines
            .iter()
            .filter(|it| it.attempt.endpoint == attempt.endpoint);
        let mine: Vec<_> = mine.collect();
        let is_same = |a: &Line, b: &Line| (&a.set_up, &a.connect) == (&b.set_up, &b.connect);
        let both = mine.windows(2).all(|two| is_same(two[0], two[1]));
        for line in mine.iter().take(if both { 1 } else { 2 }) {
            let cloud = match line.of {
                _ if both => "both",
                Of::S3 => "S3",
                Of::Azure => "Azure",
            };
            let endpoint = cell(attempt.endpoint);
            let (set_up, connect) = (cell(&line.set_up), cell(&line.connect));
            let what = attempt.what;
            writeln!(
                page,
                "| {what} | `{endpoint}` | {cloud} | {set_up} | {connect} |"
            )?;
        }
    }
    writeln!(page, "\n## The names\n\n| name | resolves to |\n|---|---|")?;
    for (name, addresses) in NAMES {
        writeln!(page, "| {name} | {} |", addresses.join(", "))?;
    }
    Ok(page)
}
