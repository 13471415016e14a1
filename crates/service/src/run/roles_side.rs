//! Roles over their ports, and what drives them: consumers, timers, ticks. A role is given
//! exactly the powers it needs.

use std::sync::Arc;
use std::time::Duration;

use broker::{
    BrokerStats, Consumer, ConsumerHealth, ConsumerSettings, ConsumerState, Publisher, Settings,
};
use catalog::Catalog;
use recording::{Clock, Handler, Ledger, Probe, Queue};
use roles::{
    Cleanup, CleanupPorts, Housekeeping, HousekeepingPorts, Intake, IntakePorts, Transfer,
    TransferPorts,
};

use super::readings;
use super::start::Process;
use super::tasks::Tasks;
use crate::cli::role::Role;
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
    /// How to reach the broker.
    pub(super) settings: Settings,
    /// The broker, for publishing.
    pub(super) publisher: Publisher,
    /// The customers' buckets.
    pub(super) buckets: Buckets,
    /// Staging; there whenever a role needs it.
    pub(super) files: Option<Files>,
}

impl Outside {
    pub(super) fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::<Catalog>::clone(&self.ledger)
    }

    fn publisher(&self) -> Arc<dyn recording::Publisher> {
        Arc::new(self.publisher.clone())
    }
}

/// Starts every role that was asked for.
pub(super) fn spawn(process: &Process<'_>, outside: &Outside, tasks: &mut Tasks) {
    for role in process.roles {
        match (role, &outside.files) {
            (Role::Transfer, Some(files)) => transfer(process, outside, files, tasks),
            (Role::Cleanup, Some(files)) => cleanup(process, outside, files, tasks),
            (Role::Housekeeping, _) => housekeeping(process, outside, tasks),
            // Starting opens staging for these two before it comes here.
            (Role::Transfer | Role::Cleanup, None) => {
                tracing::error!(role = role.as_str(), "not started: staging was not opened");
            }
        }
    }
}

/// The transfer role over its ports, the same for a worker and for a process of its own.
pub(super) fn transfer_role(process: &Process<'_>, outside: &Outside, files: &Files) -> Transfer {
    let ports = TransferPorts {
        ledger: outside.ledger(),
        originals: Arc::clone(&files.originals),
        writers: Arc::clone(&outside.buckets.writers),
        lookers: Arc::clone(&outside.buckets.lookers),
        publisher: outside.publisher(),
        clock: Arc::clone(&outside.clock),
        metrics: Arc::clone(process.metrics),
        draining: process.stops.intake.clone(),
        hurry: process.stops.hurry.clone(),
        isolation: process.isolation.clone(),
    };
    Transfer::new(ports, wiring::tuning(process.config))
}

fn transfer(process: &Process<'_>, outside: &Outside, files: &Files, tasks: &mut Tasks) {
    let role = Arc::new(transfer_role(process, outside, files));
    let prefetch = process.config.prefetch;
    consume(process, outside, tasks, (Queue::Transfer, prefetch), role);
}

fn cleanup(process: &Process<'_>, outside: &Outside, files: &Files, tasks: &mut Tasks) {
    let ports = CleanupPorts {
        ledger: outside.ledger(),
        trash: Arc::clone(&files.trash),
        lookers: Arc::clone(&outside.buckets.lookers),
        publisher: outside.publisher(),
        clock: Arc::clone(&outside.clock),
        metrics: Arc::clone(process.metrics),
    };
    let role = Arc::new(Cleanup::new(ports, wiring::tuning(process.config)));
    let (timer, stop) = (Arc::clone(&role), process.stops.intake.clone());
    tasks.intake("trash timer", async move {
        timer.run_timer(stop).await;
        Ok(())
    });
    let prefetch = process.config.cleanup_prefetch;
    consume(process, outside, tasks, (Queue::Cleanup, prefetch), role);
}

fn housekeeping(process: &Process<'_>, outside: &Outside, tasks: &mut Tasks) {
    let tuning = wiring::tuning(process.config);
    let ports = IntakePorts {
        ledger: outside.ledger(),
        metrics: Arc::clone(process.metrics),
    };
    let intake = Arc::new(Intake::new(ports, &tuning));
    let queue = (Queue::Quarantine, QUARANTINE_PREFETCH);
    consume(process, outside, tasks, queue, intake);
    let ports = HousekeepingPorts {
        ledger: outside.ledger(),
        publisher: outside.publisher(),
        leftovers: Arc::clone(&outside.buckets.leftovers),
        clock: Arc::clone(&outside.clock),
        metrics: Arc::clone(process.metrics),
    };
    let ticks = Housekeeping::new(ports, tuning);
    let stop = process.stops.intake.clone();
    tasks.intake("housekeeping ticks", async move {
        ticks.run(stop).await;
        Ok(())
    });
}

/// Starts one consumer.
fn consume<R: Handler + Probe>(
    process: &Process<'_>,
    outside: &Outside,
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
            ..ConsumerSettings::new(outside.settings.clone(), queue)
        },
        handler: Arc::<R>::clone(&role),
        probe: role,
        quarantine: outside.publisher.clone(),
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
