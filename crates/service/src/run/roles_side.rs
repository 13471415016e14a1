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
use storage::{LocalStaging, LocalTrash};

use super::start::Process;
use super::tasks::Tasks;
use crate::cli::role::Role;
use crate::ops::Seen;
use crate::wiring::{self, Buckets};

/// Quarantined messages in hand at once: each is one statement.
const QUARANTINE_PREFETCH: u16 = 16;

/// Staging and buckets, for the roles that touch recordings.
pub(super) struct Files {
    /// Staging, for reading.
    pub(super) originals: Arc<LocalStaging>,
    /// Staging, for deleting.
    pub(super) trash: Arc<LocalTrash>,
    /// The customers' buckets.
    pub(super) buckets: Buckets,
}

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
    /// Staging and buckets; there whenever a role needs them.
    pub(super) files: Option<Files>,
}

impl Outside {
    fn ledger(&self) -> Arc<dyn Ledger> {
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

fn transfer(process: &Process<'_>, outside: &Outside, files: &Files, tasks: &mut Tasks) {
    let ports = TransferPorts {
        ledger: outside.ledger(),
        originals: Arc::<LocalStaging>::clone(&files.originals),
        writers: Arc::clone(&files.buckets.writers),
        lookers: Arc::clone(&files.buckets.lookers),
        publisher: outside.publisher(),
        clock: Arc::clone(&outside.clock),
        metrics: Arc::clone(process.metrics),
        hurry: process.stops.hurry.clone(),
    };
    let role = Arc::new(Transfer::new(ports, wiring::tuning(process.config)));
    let prefetch = process.config.prefetch;
    consume(process, outside, tasks, (Queue::Transfer, prefetch), role);
}

fn cleanup(process: &Process<'_>, outside: &Outside, files: &Files, tasks: &mut Tasks) {
    let ports = CleanupPorts {
        ledger: outside.ledger(),
        trash: Arc::<LocalTrash>::clone(&files.trash),
        lookers: Arc::clone(&files.buckets.lookers),
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
    process.readiness.count(&name, move || counts(&stats));
    let stop = process.stops.intake.clone();
    tasks.intake(&name, async move {
        consumer.run(stop).await;
        Ok(())
    });
}

/// What a publisher or consumer has done, by the names of its metrics.
pub(super) fn counts(stats: &BrokerStats) -> Vec<(&'static str, u64)> {
    let now = stats.snapshot();
    vec![
        ("sessions_opened_total", now.sessions_opened),
        ("sessions_lost_total", now.sessions_lost),
        ("deliveries_total", now.deliveries),
        ("acks_total", now.acks),
        ("requeues_total", now.requeues),
        ("quarantined_total", now.quarantined),
        ("handler_panics_total", now.handler_panics),
        ("settled_too_late_total", now.settled_too_late),
        ("give_backs_total", now.give_backs),
        ("publishes_confirmed_total", now.publishes_confirmed),
        ("publishes_returned_total", now.publishes_returned),
        ("publishes_nacked_total", now.publishes_nacked),
        ("publishes_unconfirmed_total", now.publishes_unconfirmed),
        ("publishes_disconnected_total", now.publishes_disconnected),
        ("blocked", u64::from(now.blocked)),
    ]
}
