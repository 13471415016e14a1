//! Processes: each runs one real role over its side of the ports, is killed, stopped or frozen,
//! and comes back.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use recording::{
    Checker, ChildEnd, Clock, Isolation, Ledger, Lookers, Originals, Publisher, Queue,
    RecordingKey, Trash, Unsigned, Writers,
};
use roles::{
    Cleanup, CleanupPorts, Housekeeping, HousekeepingPorts, Intake, IntakePorts, Transfer,
    TransferPorts, Tuning,
};
use telemetry::Metrics;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::broker::{PublishPort, consume};
use super::bucket::{CheckPort, LeftoverPort, LookPort, WritePort};
use super::ledger::LedgerPort;
use super::mutant::Mutant;
use super::operator::operate;
use super::side::{Side, SimClock};
use super::staging::{OriginalsPort, TrashPort};
use super::world::{Sim, World};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Transfer.
    Transfer,
    /// Cleanup, with its timer.
    Cleanup,
    /// Housekeeping, with the intake of quarantine.
    Housekeeping,
    /// A person at the command line.
    Operator,
}

/// One process.
#[derive(Debug)]
pub(crate) struct Process {
    /// For the trace.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) role: Role,
    /// Which of its lives this is.
    pub(crate) life: u64,
    /// Whether it runs.
    pub(crate) alive: bool,
    frozen_until: Duration,
    killed: CancellationToken,
    stopped: CancellationToken,
}

impl Process {
    pub(crate) fn new(name: &'static str, role: Role) -> Self {
        Self {
            name,
            role,
            life: 0,
            alive: false,
            frozen_until: Duration::ZERO,
            killed: CancellationToken::new(),
            stopped: CancellationToken::new(),
        }
    }
}

impl World {
    /// Whether this life of the process goes on.
    pub(crate) fn is_alive(&self, process: usize, life: u64) -> bool {
        self.processes
            .get(process)
            .is_some_and(|one| one.alive && one.life == life)
    }

    /// Until when the process is frozen.
    pub(crate) fn frozen_until(&self, process: usize) -> Instant {
        let one = self.processes.get(process);
        self.instant(one.map_or(Duration::ZERO, |one| one.frozen_until))
    }

    /// Stops every thread of a process for a while.
    pub(crate) fn freeze(&mut self, process: usize, time: Duration) {
        let until = self.now() + time;
        if let Some(one) = self.processes.get_mut(process) {
            one.frozen_until = one.frozen_until.max(until);
            let name = one.name;
            self.say(format_args!("{name} freezes until {until:?}"));
        }
    }

    /// Kills a process: everything it was doing ends at once, what it held comes back.
    pub(crate) fn crash(&mut self, process: usize) {
        if let Some(one) = self.processes.get_mut(process).filter(|one| one.alive) {
            one.alive = false;
            one.frozen_until = Duration::ZERO;
            one.killed.cancel();
            let name = one.name;
            self.say(format_args!("{name} dies"));
            self.broker.cut(process);
            self.ledger.forget_notes(process);
        }
    }

    /// Asks a process to stop in order.
    pub(crate) fn stop(&mut self, process: usize) {
        if let Some(one) = self.processes.get(process).filter(|one| one.alive) {
            one.stopped.cancel();
            let name = one.name;
            self.say(format_args!("{name} is asked to stop"));
        }
    }

    fn start(&mut self, process: usize) -> Option<Life> {
        let one = self.processes.get_mut(process)?;
        one.life = one.life.saturating_add(1);
        one.alive = true;
        one.killed = CancellationToken::new();
        one.stopped = CancellationToken::new();
        let life = Life {
            number: one.life,
            role: one.role,
            killed: one.killed.clone(),
            stopped: one.stopped.clone(),
            skew: chrono::Duration::zero(),
        };
        let name = one.name;
        self.say(format_args!("{name} starts"));
        let jumps = self.mix.jumps && self.dice.coin();
        let off = i64::try_from(self.dice.below(7200)).unwrap_or(0);
        let skew = chrono::Duration::seconds(if jumps { off - 3600 } else { 0 });
        Some(Life { skew, ..life })
    }
}

struct Life {
    number: u64,
    role: Role,
    killed: CancellationToken,
    stopped: CancellationToken,
    skew: chrono::Duration,
}

/// Runs a process, life after life, until the run is over.
pub(crate) async fn supervise(sim: Sim, process: usize) {
    loop {
        let (life, clock, tuning) = {
            let mut world = sim.world();
            let Some(life) = world.start(process) else {
                return;
            };
            let began = world.instant(Duration::ZERO);
            let open = world.mutated(Mutant::OpenFence);
            let clock = SimClock::new(began, life.skew, open);
            let tuning = Tuning {
                jitter: 0.0,
                tick: world.mix.tick,
                suspect_after: world.mix.suspect_after,
                hand_off_after: world.mix.hand_off_after,
                leftover_age: world.mix.leftover_age,
                sweep_every: world.mix.sweep_every,
                trash_every: world.mix.trash_every,
                ..Tuning::production()
            };
            (life, Arc::new(clock), tuning)
        };
        let side = Side {
            sim: sim.clone(),
            process,
            life: life.number,
            role: life.role,
            clock,
        };
        tokio::select! {
            biased;
            () = life.killed.cancelled() => {}
            () = run(side, tuning, life.stopped.clone()) => {}
        }
        let rest = {
            let mut world = sim.world();
            // An orderly end: nothing is held any more, but what was not noted is gone.
            world.crash(process);
            let most = Duration::from_secs(20);
            world.dice.up_to(most)
        };
        sleep(rest).await;
    }
}

async fn run(side: Side, tuning: Tuning, stop: CancellationToken) {
    let Ok(metrics) = Metrics::new() else {
        side.sim
            .world()
            .violate("the metrics cannot be registered".to_owned());
        return;
    };
    match side.role {
        Role::Transfer => transfer(side, tuning, stop, metrics).await,
        Role::Cleanup => cleanup(side, tuning, stop, metrics).await,
        Role::Housekeeping => housekeeping(side, tuning, stop, metrics).await,
        Role::Operator => operate(side, stop).await,
    }
}

fn ledger(side: &Side) -> Arc<dyn Ledger> {
    Arc::new(LedgerPort(side.clone()))
}

fn publisher(side: &Side) -> Arc<dyn Publisher> {
    Arc::new(PublishPort(side.clone()))
}

fn clock(side: &Side) -> Arc<dyn Clock> {
    Arc::<SimClock>::clone(&side.clock)
}

fn lookers(side: &Side) -> Arc<dyn Lookers> {
    Arc::new(LookPort(side.clone()))
}

async fn transfer(side: Side, tuning: Tuning, stop: CancellationToken, metrics: Arc<Metrics>) {
    let originals: Arc<dyn Originals> = Arc::new(OriginalsPort(side.clone()));
    let writers: Arc<dyn Writers> = Arc::new(WritePort(side.clone()));
    let ports = TransferPorts {
        ledger: ledger(&side),
        originals,
        writers,
        lookers: lookers(&side),
        publisher: publisher(&side),
        signer: Arc::new(Unsigned),
        clock: clock(&side),
        metrics,
        draining: stop.clone(),
        hurry: stop.clone(),
        isolation: None,
    };
    let isolation: Arc<dyn Isolation> = Arc::new(Children {
        side: side.clone(),
        child: Transfer::new(ports.clone(), tuning),
    });
    let ports = TransferPorts {
        isolation: Some(isolation),
        ..ports
    };
    let role = Arc::new(Transfer::new(ports, tuning));
    consume(side, Queue::Transfer, role, stop).await;
}

/// Processes of their own. Each lives within its parent, and may die alone.
struct Children {
    side: Side,
    child: Transfer,
}

#[async_trait]
impl Isolation for Children {
    async fn transfer_one(&self, key: &RecordingKey) -> ChildEnd {
        let dies_after = {
            let mut world = self.side.sim.world();
            let deadly = if world.calm {
                0
            } else {
                world.mix.child_deaths
            };
            let dies = world.dice.chance(deadly);
            dies.then(|| world.dice.up_to(Duration::from_secs(10)))
        };
        let death = async {
            match dies_after {
                Some(after) => sleep(after).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            ended = self.child.one(key) => match ended {
                Ok(_) => ChildEnd::Settled,
                Err(why) => ChildEnd::NotStarted(why),
            },
            () = death => ChildEnd::Died("killed".to_owned()),
        }
    }
}

async fn cleanup(side: Side, tuning: Tuning, stop: CancellationToken, metrics: Arc<Metrics>) {
    let trash: Arc<dyn Trash> = Arc::new(TrashPort(side.clone()));
    let ports = CleanupPorts {
        ledger: ledger(&side),
        trash,
        lookers: lookers(&side),
        publisher: publisher(&side),
        clock: clock(&side),
        metrics,
    };
    let role = Arc::new(Cleanup::new(ports, tuning));
    let consuming = consume(side, Queue::Cleanup, Arc::clone(&role), stop.clone());
    tokio::join!(consuming, role.run_timer(stop));
}

async fn housekeeping(side: Side, tuning: Tuning, stop: CancellationToken, metrics: Arc<Metrics>) {
    let checks = side.sim.world().mix.checks;
    let checker: Arc<dyn Checker> = Arc::new(CheckPort(side.clone()));
    let ports = HousekeepingPorts {
        ledger: ledger(&side),
        publisher: publisher(&side),
        signer: Arc::new(Unsigned),
        leftovers: Arc::new(LeftoverPort(side.clone())),
        checker: checks.then_some(checker),
        clock: clock(&side),
        metrics: Arc::clone(&metrics),
    };
    let role = Housekeeping::new(ports, tuning);
    let ports = IntakePorts {
        ledger: ledger(&side),
        metrics,
    };
    let intake = Arc::new(Intake::new(ports, &tuning));
    let consuming = consume(side, Queue::Quarantine, intake, stop.clone());
    tokio::join!(role.run(stop), consuming);
}
