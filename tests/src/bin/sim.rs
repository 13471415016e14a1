//! `sim`: the simulation, for longer than a test run has time for, and one seed at a time with
//! every request written down.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use callferry_tests::sim::{Mutant, Options, Report, run};
use clap::Parser;

/// Runs seeds of the simulation.
#[derive(Debug, Parser)]
#[command(after_help = "Example: sim --seeds 10000 --from 1\n         sim --seed 4711 --trace")]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// One seed only.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Write every request down.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Remove one rule of the protocol.
    #[arg(long)]
    mutant: Option<Mutant>,
    /// Go on after a broken promise, and list all broken seeds at the end.
    #[arg(long)]
    keep_going: bool,
    /// Say how often each request ended how, and what was seen.
    #[arg(long)]
    coverage: bool,
}

/// How many lines of a trace are shown with a broken promise.
const TAIL: usize = 120;

#[derive(Default)]
struct Sum {
    steps: u64,
    virtual_s: u64,
    broken: BTreeMap<String, Vec<u64>>,
    seen: BTreeMap<String, u64>,
    coverage: BTreeMap<String, u64>,
}

impl Sum {
    fn add(&mut self, report: &Report) {
        self.steps += report.steps;
        self.virtual_s += report.lasted.as_secs();
        for violation in report.violations.iter().take(1) {
            let seeds = self.broken.entry(violation.clone()).or_default();
            seeds.push(report.seed);
        }
        for (what, count) in &report.seen {
            *self.seen.entry(what.clone()).or_default() += count;
        }
        for (what, count) in &report.coverage {
            *self.coverage.entry(what.clone()).or_default() += count;
        }
    }
}

fn one(arguments: &Arguments, seed: u64, out: &mut impl Write) -> Result<ExitCode> {
    let report = run(Options {
        seed,
        mutant: arguments.mutant,
        trace: arguments.trace,
    })?;
    write!(out, "{}", report.describe(usize::MAX))?;
    for row in &report.rows {
        writeln!(out, "{row}")?;
    }
    let (steps, lasted, hash) = (report.steps, report.lasted, report.hash);
    writeln!(out, "{steps} requests in {lasted:?}, hash {hash:016x}")?;
    Ok(verdict(report.violations.is_empty()))
}

fn verdict(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn many(arguments: &Arguments, out: &mut impl Write) -> Result<ExitCode> {
    let began = Instant::now();
    let mut sum = Sum::default();
    let mut done = 0_u64;
    for seed in (arguments.from..).take(usize::try_from(arguments.seeds)?) {
        let options = Options {
            seed,
            mutant: arguments.mutant,
            trace: false,
        };
        let report = run(options)?;
        done += 1;
        sum.add(&report);
        if !report.violations.is_empty() && !arguments.keep_going {
            let again = run(Options {
                trace: true,
                ..options
            })?;
            write!(out, "{}", again.describe(TAIL))?;
            break;
        }
    }
    let took = began.elapsed();
    if arguments.coverage {
        for (what, count) in sum.coverage.iter().chain(&sum.seen) {
            writeln!(out, "{count:>10} {what}")?;
        }
    }
    for (violation, seeds) in &sum.broken {
        writeln!(out, "{violation}: {seeds:?}")?;
    }
    let (steps, hours) = (sum.steps, sum.virtual_s / 3600);
    writeln!(
        out,
        "{done} seeds, {steps} requests, {hours} virtual hours in {took:?}"
    )?;
    Ok(verdict(sum.broken.is_empty()))
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout().lock();
    match arguments.seed {
        Some(seed) => one(&arguments, seed, &mut out),
        None => many(&arguments, &mut out),
    }
}
