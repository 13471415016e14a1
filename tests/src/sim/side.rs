//! One process's side of the ports: every request goes through [`Side::step`], which draws what
//! becomes of it.

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use recording::Clock;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

use super::call::{Call, End, Lost};
use super::process::Role;
use super::world::{Sim, World, wall_at};

/// A process's clocks: the wall clock is off, the boot clock counts from somewhere.
#[derive(Debug)]
pub(crate) struct SimClock {
    began: Instant,
    skew: chrono::Duration,
    stopped: bool,
}

impl SimClock {
    /// A clock that is off by `skew`; a stopped one never lets a fence close.
    pub(crate) fn new(began: Instant, skew: chrono::Duration, stopped: bool) -> Self {
        Self {
            began,
            skew,
            stopped,
        }
    }
}

impl Clock for SimClock {
    fn now(&self) -> DateTime<Utc> {
        wall_at(self.began.elapsed()) + self.skew
    }

    fn boot(&self) -> Duration {
        let booted = Duration::from_secs(1000);
        if self.stopped {
            booted
        } else {
            booted + self.began.elapsed()
        }
    }
}

/// One life of one process.
#[derive(Clone)]
pub(crate) struct Side {
    pub(crate) sim: Sim,
    pub(crate) process: usize,
    pub(crate) life: u64,
    pub(crate) role: Role,
    pub(crate) clock: Arc<SimClock>,
}

impl Side {
    /// Waits while the process is frozen; never returns in a dead one.
    pub(crate) async fn awake(&self) {
        loop {
            let until = {
                let world = self.sim.world();
                if world.over || !world.is_alive(self.process, self.life) {
                    None
                } else {
                    Some(world.frozen_until(self.process))
                }
            };
            match until {
                None => pending().await,
                Some(at) if at > Instant::now() => sleep_until(at).await,
                Some(_) => return,
            }
        }
    }

    /// One request: drawn, sent, done, answered, or some of that.
    pub(crate) async fn step<T: Send + 'static>(
        &self,
        call: Call,
        about: &(dyn fmt::Display + Sync),
        effect: impl FnOnce(&mut World) -> T + Send + 'static,
    ) -> Result<T, Lost> {
        self.awake().await;
        let drawn = self.sim.world().begin(self.process, self.life, call, about);
        let Some(fate) = drawn else {
            return pending().await;
        };
        nap(fate.hold).await;
        if !fate.through {
            self.awake().await;
        }
        match fate.end {
            End::CrashesBefore => return self.die().await,
            End::FailsBefore => {
                nap(fate.answer).await;
                self.awake().await;
                return Err(Lost::Before);
            }
            End::Works | End::FailsAfter | End::CrashesAfter => {}
        }
        let value = if fate.transit.is_zero() {
            self.sim.world().apply(effect)
        } else {
            self.send_off(fate.transit, effect).await
        };
        if fate.end == End::CrashesAfter {
            return self.die().await;
        }
        nap(fate.answer).await;
        self.awake().await;
        if fate.end == End::FailsAfter {
            Err(Lost::After)
        } else {
            Ok(value)
        }
    }

    /// The request leaves the process and arrives, whatever becomes of the process.
    async fn send_off<T: Send + 'static>(
        &self,
        transit: Duration,
        effect: impl FnOnce(&mut World) -> T + Send + 'static,
    ) -> T {
        let (answer, answered) = oneshot::channel();
        let sim = self.sim.clone();
        let flight = async move {
            sleep(transit).await;
            let value = {
                let mut world = sim.world();
                if world.over {
                    return;
                }
                world.apply(effect)
            };
            // Nobody waits for the answer any more: the caller died or gave up.
            drop(answer.send(value));
        };
        let sent = self.sim.world().flights.send(Box::pin(flight));
        match (sent, answered.await) {
            (Ok(()), Ok(value)) => value,
            (Ok(()) | Err(_), _) => pending().await,
        }
    }

    async fn die<T>(&self) -> Result<T, Lost> {
        self.sim.world().crash(self.process);
        pending().await
    }
}

/// Sleeps, unless there is nothing to sleep.
pub(crate) async fn nap(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}
