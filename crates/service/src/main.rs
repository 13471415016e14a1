//! `callferry`, the binary: command line, configuration, wiring, shutdown.

mod administration;
mod cli;
mod clock;
mod config;
mod endpoint;
mod failure;
mod http;
mod kit;
mod ops;
mod output;
mod run;
mod wiring;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::cli::Cli;
use crate::config::{Config, environment};

fn main() -> ExitCode {
    if let Err(error) = memory_stays_here() {
        output::report(&error);
        return ExitCode::FAILURE;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // `--help` and `--version` also arrive here; clap knows where each is printed.
        Err(told) => {
            let printed = told.print().is_ok();
            return ExitCode::from(match (told.use_stderr(), printed) {
                (true, _) => 2,
                (false, true) => 0,
                (false, false) => 1,
            });
        }
    };
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::report(&error);
            ExitCode::from(failure::exit_code(&error))
        }
    }
}

/// What is in memory holds secrets: no core file is written of it, and no other process of our
/// user may attach to it or read it.
fn memory_stays_here() -> Result<()> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    match setrlimit(Resource::Core, none) {
        // A filter of system calls may refuse; whoever sets one sets the limit, too.
        Ok(()) | Err(Errno::PERM) => {}
        Err(error) => return Err(error).context("switching core files off"),
    }
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("closing memory to others")
}

fn start(cli: Cli) -> Result<()> {
    let config = Config::load(cli.global.config.as_deref(), &environment())?;
    cli.command.log(&config, cli.global.json)?;
    wiring::install_crypto_provider()?;
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    if let Some(count) = config.worker_threads {
        threads.worker_threads(count);
    }
    let runtime = threads.enable_all().build();
    let runtime = runtime.context("starting the threads")?;
    let done = runtime.block_on(cli::execute(cli.command, config, cli.global));
    // A read of a file system that hangs must not keep a process that has ended.
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}
