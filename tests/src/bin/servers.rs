//! `servers COMMAND…`: starts one private broker and one private database, runs the command with
//! `CALLFERRY_AMQP_URL` and `CALLFERRY_DATABASE_URL` set to them, and stops them again.
//!
//! The exit code is the command's. What the environment already names is used and not started.

use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result};
use callferry_tests::environment;
use callferry_tests::scratch::Scratch;
use callferry_tests::servers::{Postgres, Rabbit};
use clap::Parser;

/// Runs a command beside a private broker and a private database.
#[derive(Debug, Parser)]
#[command(after_help = "Example: servers cargo test -p callferry-tests")]
struct Arguments {
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

async fn run(arguments: &Arguments) -> Result<u8> {
    let scratch = Scratch::new("servers")?;
    let mut command = tokio::process::Command::new("setpriv");
    // The command must not go on against servers that are gone.
    command
        .args(["--pdeathsig", "TERM", "--"])
        .args(&arguments.command)
        .stdin(Stdio::null());
    let mut rabbit = None;
    if environment::amqp_url().is_none() {
        let started = Rabbit::start(&scratch.folder("rabbit")?).await?;
        command.env("CALLFERRY_AMQP_URL", started.amqp_url());
        command.env(
            "CALLFERRY_MANAGEMENT_URL",
            started.management().url_with_credentials()?,
        );
        rabbit = Some(started);
    }
    let mut postgres = None;
    if environment::database_url().is_none() {
        let started = Postgres::start(&scratch.folder("postgres")?).await?;
        command.env("CALLFERRY_DATABASE_URL", started.url("postgres"));
        postgres = Some(started);
    }
    let status = command.status().await.context("running the command")?;
    drop((rabbit, postgres));
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1))
}

// One thread, which lives as long as the process: the command's parent-death signal hangs on it.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    run(&Arguments::parse()).await.map(ExitCode::from)
}
