//! Roles over their ports, and what drives them: consumers, timers, ticks. A role is given
//! exactly the powers it needs.

use std::sync::Arc;
use std::time::Duration;

use broker::{
    BrokerStats, Consumer, ConsumerHealth, ConsumerSettings, ConsumerState, Publisher, Settings,
};
use catalog::Catalog;
use custody::ReceiptKeys;
use recording::{Clock, ErasureLedger, Handler, Ledger, Probe, Queue, RetentionLedger};
use roles::{
    Cleanup, CleanupPorts, ErasurePorts, Erasures, Housekeeping, HousekeepingPorts, Intake,
    IntakePorts, RetentionPorts, Transfer, TransferPorts,
};
use tokio::net::TcpListener;

use super::readings;
use super::start::Process;
use super::tasks::Tasks;
use crate::cli::role::Role;
use crate::config::Tokens;
use crate::http::{self, Api, ApiPorts, Keys};
use crate::ops::Seen;
use crate::wiring::{self, Buckets, Files};

/// Quarantined messages in hand at once: each is one statement.
const QUARANTINE_PREFETCH: u16 = 16;

/// Everything outside of the roles.
pub(super) struct Outside {
    /// Time.
    pub(super) clock: Arc<dyn Clock>,
    /// The ledger.
    pub(super) ledger: Arc<Catalog>,
    /// The broker; there whenever a role needs it.
    pub(super) broker: Option<Broker>,
    /// The customers' buckets.
    pub(super) buckets: Buckets,
    /// Staging; there whenever a role needs it.
    pub(super) files: Option<Files>,
    /// The HTTP interface; there whenever its role is.
    pub(super) http: Option<Http>,
    /// The keys of custody receipts; there where they are configured and a role needs them.
    pub(super) receipt_keys: Option<ReceiptKeys>,
}

/// The broker, for the roles that are told by it.
pub(super) struct Broker {
    /// How to reach it.
    pub(super) settings: Settings,
    /// For publishing.
    pub(super) publisher: Publisher,
}

impl Broker {
    fn publisher(&self) -> Arc<dyn recording::Publisher> {
        Arc::new(self.publisher.clone())
    }
}

/// What the HTTP interface needs before it can answer.
pub(super) struct Http {
    /// Its port, which is taken.
    pub(super) listener: TcpListener,
    /// Whose tokens are believed.
    pub(super) tokens: Tokens,
    /// The issuer's keys.
    pub(super) keys: Arc<Keys>,
}

impl Outside {
    pub(super) fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::<Catalog>::clone(&self.ledger)
    }
}

/// Starts every role that was asked for.
pub(super) fn spawn(process: &Process<'_>, mut outside: Outside, tasks: &mut Tasks) {
    let http = outside.http.take();
    if let Some(http) = http {
        playback(process, &outside, http, tasks);
    }
    for role in process.roles {
        match (role, &outside.broker, &outside.files) {
            (Role::Transfer, Some(broker), Some(files)) => {
                transfer(process, &outside, (broker, files), tasks);
            }
            (Role::Cleanup, Some(broker), Some(files)) => {
                cleanup(process, &outside, (broker, files), tasks);
            }
            (Role::Housekeeping, Some(broker), _) => {
                housekeeping(process, &outside, broker, tasks);
            }
            (Role::Playback, _, _) => {}
            // Starting opens what each role needs before it comes here.
            (Role::Transfer | Role::Cleanup | Role::Housekeeping, _, _) => {
                tracing::error!(
                    role = role.as_str(),
                    "not started: not all of it was opened"
                );
            }
        }
    }
}

/// Serves the HTTP interface.
fn playback(process: &Process<'_>, outside: &Outside, http: Http, tasks: &mut Tasks) {
    let ports = ApiPorts {
        ledger: Arc::clone(&outside.ledger),
        clock: Arc::clone(&outside.clock),
        metrics: Arc::clone(process.metrics),
        checker: Arc::clone(&outside.buckets.checker),
        receipt_keys: outside.receipt_keys.clone(),
        players: outside.buckets.stores.players(),
    };
    let Http {
        listener,
        tokens,
        keys,
    } = http;
    let api = Api::new(ports, process.config, &tokens, Arc::clone(&keys));
    let asked = Arc::clone(&keys);
    process.readiness.ask("token keys", move || {
        if asked.are_there() {
            Seen::fine("read")
        } else {
            Seen::down("the issuer's keys could not be read yet")
        }
    });
    let stop = &process.stops.intake;
    let (keeping, forgetting) = (stop.clone(), stop.clone());
    tasks.intake("token keys", async move {
        keys.keep(keeping).await;
        Ok(())
    });
    let router = http::router(&api);
    tasks.intake("idle callers", async move {
        api.forget_idle(forgetting).await;
        Ok(())
    });
    let metrics = Arc::clone(process.metrics);
    let serving = http::serve(listener, router, metrics, stop.clone());
    tasks.intake("HTTP", serving);
}

/// The transfer role over its ports, the same for a worker and for a process of its own.
pub(super) fn transfer_role(
    process: &Process<'_>,
    outside: &Outside,
    (broker, files): (&Broker, &Files),
) -> Transfer {
    let ports = TransferPorts {
        ledger: outside.ledger(),
        originals: Arc::clone(&files.originals),
        writers: Arc::clone(&outside.buckets.writers),
        lookers: Arc::clone(&outside.buckets.lookers),
        publisher: broker.publisher(),
        signer: wiring::signer(outside.receipt_keys.as_ref()),
        clock: Arc::clone(&outside.clock),
        metrics: Arc::clone(process.metrics),
        draining: process.stops.intake.clone(),
        hurry: process.stops.hurry.clone(),
        isolation: process.isolation.clone(),
    };
    Transfer::new(ports, wiring::tuning(process.config))
}

fn transfer(
    process: &Process<'_>,
    outside: &Outside,
    (broker, files): (&Broker, &Files),
    tasks: &mut Tasks,
) {
    let role = Arc::new(transfer_role(process, outside, (broker, files)));
    let prefetch = process.config.prefetch;
    consume(process, broker, tasks, (Queue::Transfer, prefetch), role);
}

fn cleanup(
    process: &Process<'_>,
    outside: &Outside,
    (broker, files): (&Broker, &Files),
    tasks: &mut Tasks,
) {
    let ports = CleanupPorts {
        ledger: outside.ledger(),
        trash: Arc::clone(&files.trash),
        lookers: Arc::clone(&outside.buckets.lookers),
        publisher: broker.publisher(),
        clock: Arc::clone(&outside.clock),
        metrics: Arc::clone(process.metrics),
    };
    let tuning = wiring::tuning(process.config);
    let ledger: Arc<dyn ErasureLedger> = Arc::<Catalog>::clone(&outside.ledger);
    let erasures = ErasurePorts {
        ledger,
        erasers: Arc::clone(&files.erasers),
        metrics: Arc::clone(process.metrics),
    };
    let (erasures, stop) = (
        Erasures::new(erasures, tuning),
        process.stops.intake.clone(),
    );
    tasks.intake("erasures", async move {
        erasures.run(stop).await;
        Ok(())
    });
    let role = Arc::new(Cleanup::new(ports, tuning));
    let (timer, stop) = (Arc::clone(&role), process.stops.intake.clone());
    tasks.intake("trash timer", async move {
        timer.run_timer(stop).await;
        Ok(())
    });
    let prefetch = process.config.cleanup_prefetch;
    consume(process, broker, tasks, (Queue::Cleanup, prefetch), role);
}

fn housekeeping(process: &Process<'_>, outside: &Outside, broker: &Broker, tasks: &mut Tasks) {
    let tuning = wiring::tuning(process.config);
    let ports = IntakePorts {
        ledger: outside.ledger(),
        metrics: Arc::clone(process.metrics),
    };
    let intake = Arc::new(Intake::new(ports, &tuning));
    let queue = (Queue::Quarantine, QUARANTINE_PREFETCH);
    consume(process, broker, tasks, queue, intake);
    let ports = HousekeepingPorts {
        ledger: outside.ledger(),
        publisher: broker.publisher(),
        signer: wiring::signer(outside.receipt_keys.as_ref()),
        leftovers: Arc::clone(&outside.buckets.leftovers),
        checker: Some(Arc::clone(&outside.buckets.checker)),
        clock: Arc::clone(&outside.clock),
        metrics: Arc::clone(process.metrics),
    };
    let ledger: Arc<dyn RetentionLedger> = Arc::<Catalog>::clone(&outside.ledger);
    let retention = RetentionPorts {
        ledger,
        removers: Arc::clone(&outside.buckets.removers),
        leftovers: Arc::clone(&outside.buckets.leftovers),
        publisher: broker.publisher(),
        signer: wiring::signer(outside.receipt_keys.as_ref()),
        clock: Arc::clone(&outside.clock),
        metrics: Arc::clone(process.metrics),
    };
    let ticks = Housekeeping::new(ports, tuning).with_retention(retention);
    let stop = process.stops.intake.clone();
    tasks.intake("housekeeping ticks", async move {
        ticks.run(stop).await;
        Ok(())
    });
}

/// Starts one consumer.
fn consume<R: Handler + Probe>(
    process: &Process<'_>,
    broker: &Broker,
    tasks: &mut Tasks,
    (queue, prefetch): (Queue, u16),
    role: Arc<R>,
) {
    // A second less than the process has, so that acks are flushed and the session is closed.
    let drain = Duration::from_secs(process.config.drain_s.saturating_sub(1));
    let health = ConsumerHealth::new();
    let stats = Arc::new(BrokerStats::default());
    let consumer = Consumer {
        settings: ConsumerSettings {
            prefetch,
            drain,
            ..ConsumerSettings::new(broker.settings.clone(), queue)
        },
        handler: Arc::<R>::clone(&role),
        probe: role,
        quarantine: broker.publisher.clone(),
        health: health.clone(),
        stats: Arc::clone(&stats),
    };
    let name = format!("consumer {}", queue.name());
    process.readiness.ask(&name, move || match health.state() {
        ConsumerState::Consuming => Seen::fine("consuming"),
        ConsumerState::Connecting(None) => Seen::down("connecting"),
        ConsumerState::Connecting(Some(why)) => Seen::down(format!("connecting: {why}")),
        ConsumerState::Waiting(why) => Seen::down(format!("waiting: {why}")),
        ConsumerState::Stopped => Seen::down("stopped"),
    });
    process
        .metrics
        .watch(Box::new(move || readings::consumer(&stats)));
    let stop = process.stops.intake.clone();
    tasks.intake(&name, async move {
        consumer.run(stop).await;
        Ok(())
    });
}
