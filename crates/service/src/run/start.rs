//! From a process that only answers on its operations port to one whose roles work.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use broker::{BrokerStats, Publisher, Settings};
use catalog::{AdminFault, Catalog};
use custody::ReceiptKeys;
use recording::{Clock, Isolation, Ledger, LedgerFault, Meter, Originals, Publisher as _};
use retry::{Policy, Verdict};
use storage::Stores;
use telemetry::Metrics;
use uuid::Uuid;

use super::Stops;
use super::parts::{note, watch};
use super::readings;
use super::roles_side::{self, Broker, Http, Outside};
use super::staging;
use super::tasks::Tasks;
use crate::cli::role::Role;
use crate::config::{Config, KeysAt};
use crate::failure::Failure;
use crate::http::{self, Keys, Source};
use crate::ops::{Readiness, Seen};
use crate::wiring;

/// How to wait for a part that is down.
const WAITING: Policy = Policy {
    initial: Duration::from_millis(250),
    cap: Duration::from_secs(5),
    jitter: 0.5,
    attempts: None,
    patience: None,
};

/// What starting needs to know.
pub(super) struct Process<'a> {
    /// The configuration.
    pub(super) config: &'a Config,
    /// The roles that were asked for.
    pub(super) roles: &'a BTreeSet<Role>,
    /// The process's metrics.
    pub(super) metrics: &'a Arc<Metrics>,
    /// The parts of the process and how they are.
    pub(super) readiness: &'a Arc<Readiness>,
    /// What stops it.
    pub(super) stops: &'a Stops,
    /// Starts processes of their own for suspicious recordings; `None` within such a one.
    pub(super) isolation: Option<Arc<dyn Isolation>>,
}

/// Starts everything; returns when every part is there.
pub(super) async fn start(process: &Process<'_>, tasks: &mut Tasks) -> Result<()> {
    let outside = outside(process, tasks).await?;
    roles_side::spawn(process, outside, tasks);
    Ok(())
}

/// Opens everything that the roles reach, and watches it.
pub(super) async fn outside(process: &Process<'_>, tasks: &mut Tasks) -> Result<Outside> {
    let clock = wiring::clock();
    let config = process.config;
    let with_files = process.roles.iter().any(|role| match role {
        Role::Transfer | Role::Cleanup => true,
        Role::Housekeeping | Role::Playback => false,
    });
    // What playback has done goes through the ledger, and housekeeping drives it on.
    let with_broker = process.roles.iter().any(|role| *role != Role::Playback);
    let meter: Arc<dyn Meter> = Arc::<Metrics>::clone(process.metrics);
    // What can only be wrong, never down, comes first: a misspelt URL ends the process at once.
    let ledger = Arc::new(wiring::catalog(config, &clock, &meter)?);
    let settings = with_broker.then(|| wiring::broker(config, &clock));
    let settings = settings.transpose()?;
    let buckets = wiring::buckets(config, &clock, &meter)?;
    let receipt_keys = receipt_keys(process)?;
    let place = with_files.then(|| wiring::staging(config, || Ok(buckets.stores.clone())));
    let place = place.transpose()?;
    let stores = buckets.stores.clone();
    process
        .metrics
        .watch(Box::new(move || readings::stores(&stores)));

    let http = take_http(process, &clock, &buckets.stores).await?;
    let broker = settings.map(|settings| Broker {
        publisher: publish(process, tasks, &settings),
        settings,
    });
    close_at_the_end(process, tasks, &ledger);
    let staging_id = waited(process, "ledger", || usable(&ledger)).await?;
    watch_ledger(process, tasks, &ledger);
    let mut files = None;
    if let Some(place) = &place {
        let deletes = process.roles.contains(&Role::Cleanup);
        let open = || staging::open(place, staging_id, deletes);
        let opened = waited(process, "staging", open).await?;
        watch_staging(process, tasks, &opened.originals);
        files = Some(opened);
    }
    if let Some(Broker { publisher, .. }) = &broker {
        publisher.until_live().await;
        watch_topology(process, tasks, publisher);
    }
    Ok(Outside {
        clock,
        ledger,
        broker,
        buckets,
        files,
        http,
        receipt_keys,
    })
}

/// The keys of custody receipts, for the roles that sign them and the one that publishes them.
fn receipt_keys(process: &Process<'_>) -> Result<Option<ReceiptKeys>> {
    let signs = process.roles.iter().any(|role| match role {
        Role::Transfer | Role::Housekeeping => true,
        Role::Cleanup | Role::Playback => false,
    });
    if !signs && !process.roles.contains(&Role::Playback) {
        return Ok(None);
    }
    let keys = wiring::receipt_keys(process.config, signs)?;
    let signing = keys.as_ref().and_then(ReceiptKeys::signing_id);
    match signing {
        Some(key_id) if signs => {
            tracing::info!(
                receipt_key.current = key_id,
                "acknowledgments and expiries carry signed receipts"
            );
        }
        None if signs => tracing::info!(
            "acknowledgments and expiries carry no signed receipt: CALLFERRY_RECEIPT_KEY_FILE is \
             not set"
        ),
        Some(_) | None => {}
    }
    Ok(keys)
}

/// Takes the HTTP port and finds out where keys are, where the role is asked for. A file of keys
/// that cannot be used is wrong; an issuer that does not answer is merely down.
async fn take_http(
    process: &Process<'_>,
    clock: &Arc<dyn Clock>,
    stores: &Stores,
) -> Result<Option<Http>> {
    if !process.roles.contains(&Role::Playback) {
        return Ok(None);
    }
    let tokens = process.config.expected_tokens()?;
    let source = match &tokens.keys {
        KeysAt::File(path) => Source::File(path.clone()),
        KeysAt::Address(address) => Source::Address(stores.key_set(address)),
    };
    let metrics = Arc::clone(process.metrics);
    let keys = Arc::new(Keys::new(source, Arc::clone(clock), metrics));
    if let KeysAt::File(_) = &tokens.keys {
        let read = keys.read().await;
        read.map_err(|why| {
            Failure::usage(format!("`jwt_keys`: {why}")).hint(
                "name a file with public keys: PEM (`openssl pkey -pubout`), or a JSON Web Key Set",
            )
        })?;
    }
    let listener = http::bind(process.config.http_addr).await?;
    let address = listener.local_addr().map(|address| address.to_string());
    tracing::info!(http = address.unwrap_or_default(), "the HTTP port is taken");
    Ok(Some(Http {
        listener,
        tokens,
        keys,
    }))
}

/// Why a part cannot be used yet, or at all.
pub(super) enum NotYet {
    /// It is down: wait.
    Down(String),
    /// It is wrong: waiting does not help.
    Wrong(anyhow::Error),
}

/// Asks a part until it can be used, for as long as it is merely down.
async fn waited<T, Fut>(
    process: &Process<'_>,
    part: &'static str,
    ask: impl Fn() -> Fut,
) -> Result<T>
where
    Fut: Future<Output = Result<T, NotYet>>,
{
    let asked = || async {
        let answer = ask().await;
        match &answer {
            Ok(_) => {}
            Err(NotYet::Down(why)) => note(part, process.readiness, Err(why.clone())),
            Err(NotYet::Wrong(error)) => {
                note(part, process.readiness, Err(format!("{error:#}")));
            }
        }
        answer
    };
    let verdict = |not_yet: &NotYet| match not_yet {
        NotYet::Down(_) => Verdict::Retry,
        NotYet::Wrong(_) => Verdict::GiveUp,
    };
    match retry::run(&WAITING, asked, verdict).await {
        Ok(value) => Ok(value),
        Err(NotYet::Wrong(error)) => Err(error),
        // The policy has no limit, so this is the same as the arm above.
        Err(NotYet::Down(why)) => Err(Failure::failed(why)
            .hint("start the process again once that part is there")
            .into()),
    }
}

/// Whether the ledger can be used: reachable, of this release's schema, and one that keeps what
/// it commits. Returns the id of its staging.
async fn usable(ledger: &Catalog) -> Result<Uuid, NotYet> {
    let not_yet = |fault: AdminFault| match fault {
        AdminFault::Ledger(LedgerFault::Unavailable(why)) => NotYet::Down(why),
        AdminFault::Ledger(LedgerFault::Corrupt(_))
        | AdminFault::NotFound { .. }
        | AdminFault::Exists { .. }
        | AdminFault::Refused { .. }
        | AdminFault::Overlap { .. }
        | AdminFault::Misconfigured { .. } => NotYet::Wrong(wiring::admin_failure(fault)),
    };
    if !ledger.schema_is_current().await.map_err(not_yet)? {
        return Err(NotYet::Wrong(wiring::old_schema()));
    }
    ledger.check_durability().await.map_err(not_yet)?;
    ledger.staging_id().await.map_err(not_yet)
}

/// Starts what publishes; it connects by itself, again and again.
fn publish(process: &Process<'_>, tasks: &mut Tasks, settings: &Settings) -> Publisher {
    let stats = Arc::new(BrokerStats::default());
    let (publisher, worker) = broker::publisher(settings, &stats);
    let stop = process.stops.rest.clone();
    tasks.rest("publisher", async move {
        worker.run(stop).await;
        Ok(())
    });
    let asked = publisher.clone();
    process.readiness.ask("publisher", move || {
        if asked.is_live() {
            Seen::fine("live")
        } else {
            Seen::down("no live session with the broker, or it blocks publishing")
        }
    });
    process
        .metrics
        .watch(Box::new(move || readings::publisher(&stats)));
    publisher
}

/// Writes the notes that wait and closes the ledger's connections, after everybody who uses them.
fn close_at_the_end(process: &Process<'_>, tasks: &mut Tasks, ledger: &Arc<Catalog>) {
    let (ledger, stop) = (Arc::clone(ledger), process.stops.rest.clone());
    tasks.rest("ledger", async move {
        stop.cancelled().await;
        ledger.close().await;
        Ok(())
    });
}

fn watch_ledger(process: &Process<'_>, tasks: &mut Tasks, ledger: &Arc<Catalog>) {
    note("ledger", process.readiness, Ok("answers".to_owned()));
    let ledger = Arc::clone(ledger);
    // Weak, because the ledger itself tells the metrics how long its statements take.
    let seen = Arc::downgrade(&ledger);
    process.metrics.watch(Box::new(move || {
        let there = seen.upgrade();
        there.map_or_else(Default::default, |ledger| readings::ledger(&ledger))
    }));
    let ask = move || {
        let ledger = Arc::clone(&ledger);
        async move {
            let asked = ledger.probe().await;
            asked.map_or_else(
                |fault| Err(fault.to_string()),
                |()| Ok("answers".to_owned()),
            )
        }
    };
    let (readiness, stop) = (Arc::clone(process.readiness), process.stops.rest.clone());
    tasks.rest("ledger probe", watch("ledger", readiness, stop, ask));
}

fn watch_staging(process: &Process<'_>, tasks: &mut Tasks, originals: &Arc<dyn Originals>) {
    note("staging", process.readiness, Ok("marked".to_owned()));
    let originals = Arc::clone(originals);
    let ask = move || {
        let originals = Arc::clone(&originals);
        async move {
            let asked = originals.probe().await;
            asked.map_or_else(|fault| Err(fault.to_string()), |()| Ok("marked".to_owned()))
        }
    };
    let (readiness, stop) = (Arc::clone(process.readiness), process.stops.rest.clone());
    tasks.rest("staging probe", watch("staging", readiness, stop, ask));
}

fn watch_topology(process: &Process<'_>, tasks: &mut Tasks, publisher: &Publisher) {
    let publisher = publisher.clone();
    let ask = move || {
        let publisher = publisher.clone();
        async move {
            let report = publisher.topology().await;
            let report = report.map_err(|fault| fault.to_string())?;
            let missing: Vec<_> = report.faults().map(|f| f.what.as_str()).collect();
            if missing.is_empty() {
                Ok("declared".to_owned())
            } else {
                let missing = missing.join(", ");
                Err(format!(
                    "missing or different: {missing}; run `callferry topology apply`"
                ))
            }
        }
    };
    let (readiness, stop) = (Arc::clone(process.readiness), process.stops.rest.clone());
    tasks.rest("topology probe", watch("topology", readiness, stop, ask));
}
