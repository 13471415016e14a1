//! `callferry run`: the life of a worker process.
//!
//! **What it does.** Serves the operations port at once, waits for the ledger and staging and
//! checks them, wires the adapters into the roles that were asked for, and waits for a signal.
//!
//! **Order of effects.** Ledger (schema, durability) → staging (marker) → broker → roles. A ledger,
//! staging or broker that is *down* is waited for, not ready meanwhile; one that is *wrong* (an
//! old schema, another staging) ends the process with a hint.
//!
//! **Retries.** Waiting has no limit: the orchestrator sees `/readyz`.
//!
//! **Crashes.** A task that ends by itself ends the process with exit code 1; the broker and the
//! ledger's leases make that harmless.
//!
//! **Shutdown.** SIGTERM or SIGINT: nothing new is taken on, what is in progress ends; shortly
//! before the deadline leases are given back; at the deadline the rest is dropped and listed. A
//! second signal ends the process at once.

mod isolation;
mod one;
mod parent;
mod parts;
mod readings;
mod roles_side;
mod signals;
mod staging;
mod start;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use telemetry::Metrics;
use tokio_util::sync::CancellationToken;

use crate::cli::Global;
use crate::cli::role::{RoleWord, roles};
use crate::config::Config;
use crate::failure::Failure;
use crate::ops::{self, Pages, Readiness};
pub(crate) use one::{OneArgs, one};
use signals::Signals;
use start::Process;
use tasks::Tasks;

/// How long before the deadline of a shutdown leases are given back.
const HURRY_BEFORE: Duration = Duration::from_secs(5);

/// Run one or more roles until SIGTERM or SIGINT
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callferry run all
  callferry run transfer --json
  callferry run cleanup housekeeping --config /etc/callferry/callferry.toml

/metrics, /livez and /readyz are served on CALLFERRY_OPS_ADDR, 127.0.0.1:9464 by default.
The log goes to standard error; with --json as one JSON object a line (log_format = 'json').")]
pub(crate) struct RunArgs {
    /// transfer, cleanup, housekeeping or all
    #[arg(required = true, value_name = "ROLE")]
    roles: Vec<RoleWord>,
}

/// What stops a process, in the order of firing.
#[derive(Debug, Clone, Default)]
struct Stops {
    /// Nothing new is taken on.
    intake: CancellationToken,
    /// What is in progress gives its lease back.
    hurry: CancellationToken,
    /// Nobody publishes, scrapes or reports any more.
    rest: CancellationToken,
}

/// Runs the roles until they are told to stop.
pub(crate) async fn run(args: RunArgs, config: Config, global: &Global) -> Result<()> {
    let roles = roles(&args.roles);
    let mut signals = Signals::listen()?;
    let metrics = Metrics::new()
        .map_err(|error| Failure::failed(error.to_string()).hint("this is a defect"))?;
    let readiness = Arc::new(Readiness::default());
    let stops = Stops::default();
    let mut tasks = Tasks::default();

    let (isolation, abandoned) = isolation::isolation(global);
    tasks.rest(
        "processes of their own",
        abandoned.end_in_order(stops.rest.clone()),
    );
    let process = Process {
        config: &config,
        roles: &roles,
        metrics: &metrics,
        readiness: &readiness,
        stops: &stops,
        isolation: Some(Arc::new(isolation)),
    };
    serve_operations(&process, &mut tasks).await?;
    let starting = start::start(&process, &mut tasks);
    let early = tokio::select! {
        started = starting => match started {
            Ok(()) => None,
            Err(error) => Some(Err(error)),
        },
        name = signals.next() => {
            tracing::info!(signal = name, "stopped before everything was there");
            Some(Ok(()))
        }
    };
    let verdict = match early {
        Some(verdict) => verdict,
        None => {
            readiness.started();
            tracing::info!("ready");
            tokio::select! {
                name = signals.next() => {
                    tracing::info!(signal = name, "draining");
                    Ok(())
                }
                failure = tasks.ended_early() => Err(failure),
            }
        }
    };
    readiness.stopping();
    tokio::select! {
        () = drain(&stops, &mut tasks, Duration::from_secs(config.drain_s)) => {}
        name = signals.next() => {
            tracing::warn!(signal = name, orphans = tasks.names().join(", "), "stopped at once");
            return Err(Failure::failed("a second signal ended the process at once")
                .hint("what was in progress comes again; one signal lets it end in order")
                .into());
        }
    }
    verdict
}

/// Serves the operations port, from the first moment on.
async fn serve_operations(process: &Process<'_>, tasks: &mut Tasks) -> Result<()> {
    let parts = Arc::clone(process.readiness);
    process
        .metrics
        .watch_parts(Box::new(move || parts.parts_ready()));
    let listener = ops::bind(process.config.ops_addr).await?;
    let pages = Pages {
        metrics: Arc::clone(process.metrics),
        readiness: Arc::clone(process.readiness),
    };
    let words: Vec<_> = process.roles.iter().map(|role| role.as_str()).collect();
    let address = listener.local_addr().map(|address| address.to_string());
    tracing::info!(
        roles = words.join(" "),
        ops = address.unwrap_or_default(),
        version = env!("CARGO_PKG_VERSION"),
        "started"
    );
    tasks.rest(
        "operations port",
        ops::serve(listener, pages, process.stops.rest.clone()),
    );
    Ok(())
}

/// Lets what is in progress end, in order, under one deadline.
async fn drain(stops: &Stops, tasks: &mut Tasks, limit: Duration) {
    stops.intake.cancel();
    let calm = limit.saturating_sub(HURRY_BEFORE.min(limit / 2));
    let hurried = tokio::time::timeout(calm, tasks.intake_ends())
        .await
        .is_err();
    if hurried {
        tracing::info!(still = tasks.names().join(", "), "leases are given back");
        stops.hurry.cancel();
        let left = limit.saturating_sub(calm);
        if tokio::time::timeout(left, tasks.intake_ends())
            .await
            .is_err()
        {
            tracing::warn!(
                orphans = tasks.names().join(", "),
                "not ended in time: dropped"
            );
        }
    }
    stops.rest.cancel();
    if tokio::time::timeout(Duration::from_secs(3), tasks.rest_ends())
        .await
        .is_err()
    {
        tracing::warn!(
            orphans = tasks.names().join(", "),
            "not closed in time: dropped"
        );
    }
    tasks.drop_all().await;
    tracing::info!("stopped");
}
