//! `callferry transfer-one`: one recording in a process of its own.
//!
//! **What it does.** What `run transfer` does for one recording, over the same wiring and with a
//! session of its own, without a queue and without a port for operations.
//!
//! **Order of effects.** As a worker starts: ledger, staging, broker; then the claim and all that
//! follows. **Retries.** A part that is down is waited for a minute; the ledger drives the
//! recording on after that.
//!
//! **Crashes.** The parent counts them: that is what this process is for. **Shutdown.** When the
//! parent is gone the lease is given back at once. With a parent, SIGTERM changes nothing: a
//! supervisor signals both, and the parent decides how long there is time.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use recording::{AccountId, RecordingId, RecordingKey, Settlement};
use serde_json::json;
use telemetry::Metrics;
use tokio::time::timeout;

use super::parent::Parent;
use super::signals::Signals;
use super::start::{self, Process};
use super::tasks::Tasks;
use super::{Stops, drain, roles_side};
use crate::cli::Context;
use crate::cli::role::Role;
use crate::failure::Failure;
use crate::ops::Readiness;
use crate::wiring::ledger_failure;

/// How long to wait for ledger, staging and broker.
const START_MAX: Duration = Duration::from_secs(60);
/// How long giving a lease back may take.
const GIVE_BACK_MAX: Duration = Duration::from_secs(5);
/// How long closing the sessions may take.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// Carry one recording to an outcome in a process of its own; `run transfer` starts it for
/// recordings that are suspected to take their process down. The ledger must know the recording.
/// Ends with 0 when it is settled: it has an outcome, or the ledger carries it on
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callferry transfer-one --account acme rec-7f3a
  callferry transfer-one --account acme rec-7f3a --json

If standard input is a pipe, its end is the parent's end: the lease is given back and the process
ends.")]
pub(crate) struct OneArgs {
    /// The account
    #[arg(long)]
    account: AccountId,
    /// The recording's id
    id: RecordingId,
}

/// Carries one recording to an outcome.
pub(crate) async fn one(args: OneArgs, context: &Context) -> Result<()> {
    let key = RecordingKey {
        account_id: args.account,
        recording_id: args.id,
    };
    let mut signals = Signals::listen()?;
    let mut parent = Parent::watch().context("watching standard input")?;
    tracing::info!(
        recording.key = %key, parent = parent.is_watched(), version = env!("CARGO_PKG_VERSION"),
        "a process of its own"
    );
    let metrics = Metrics::new()
        .map_err(|error| Failure::failed(error.to_string()).hint("this is a defect"))?;
    let (stops, mut tasks) = (Stops::default(), Tasks::default());
    let process = Process {
        config: &context.config,
        roles: &BTreeSet::from([Role::Transfer]),
        metrics: &metrics,
        readiness: &Arc::new(Readiness::default()),
        stops: &stops,
        isolation: None,
    };
    let settled = {
        let work: Pin<Box<dyn Future<Output = _>>> = Box::pin(carry(&process, &key, &mut tasks));
        until_told(work, &process, (&mut signals, &mut parent)).await
    };
    drain(&stops, &mut tasks, CLOSE_MAX).await;
    match settled? {
        Settlement::Ack => {
            let answer = json!({ "account_id": key.account_id, "recording_id": key.recording_id,
                                 "settled": true });
            context.output.answer(&answer, |_| {
                format!("{key} is settled: `callferry recording show` says how.")
            })
        }
        Settlement::Requeue(why) => Err(not_settled(&why)),
        Settlement::Quarantine(refusal) => Err(not_settled(&refusal.to_string())),
    }
}

fn not_settled(why: &str) -> anyhow::Error {
    Failure::failed(format!("not settled: {why}"))
        .hint("the ledger drives it on; `callferry recording show` says where it stands")
        .into()
}

/// Opens everything and does the work.
async fn carry(process: &Process<'_>, key: &RecordingKey, tasks: &mut Tasks) -> Result<Settlement> {
    let opened = timeout(START_MAX, start::outside(process, tasks)).await;
    let outside = opened.map_err(|_| {
        let seconds = START_MAX.as_secs();
        let what = format!("ledger, staging and broker are not all there after {seconds} s");
        Failure::failed(what).hint("the log says which; the ledger drives the recording on")
    })??;
    let files = outside.files.as_ref();
    let files = files.context("staging was not opened, though transfer needs it")?;
    let known = outside.ledger().known_upload(key).await;
    if known.map_err(ledger_failure)?.is_none() {
        return Err(Failure::failed(format!("recording {key} is not known"))
            .hint("its event may be on its way, or in quarantine: `callferry quarantine list`")
            .into());
    }
    let broker = outside.broker.as_ref();
    let broker = broker.context("the broker was not opened, though transfer needs it")?;
    let role = roles_side::transfer_role(process, &outside, (broker, files));
    let settled = role.one(key).await;
    settled.map_err(|outage| not_settled(&outage))
}

/// Does the work until it is done, or until somebody says that there is no time left.
async fn until_told(
    mut work: Pin<Box<dyn Future<Output = Result<Settlement>> + '_>>,
    process: &Process<'_>,
    (signals, parent): (&mut Signals, &mut Parent),
) -> Result<Settlement> {
    loop {
        tokio::select! {
            settled = &mut work => return settled,
            () = parent.gone() => {
                tracing::warn!("the parent is gone: the lease is given back");
                break;
            }
            name = signals.next() => {
                if parent.is_watched() {
                    tracing::info!(signal = name, "the parent decides how long there is time");
                } else {
                    tracing::info!(signal = name, "the lease is given back");
                    break;
                }
            }
        }
    }
    process.stops.hurry.cancel();
    let given_back = timeout(GIVE_BACK_MAX, work).await;
    given_back.unwrap_or_else(|_| Err(not_settled("the lease could not be given back in time")))
}
