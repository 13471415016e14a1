//! The world: everything outside the roles, the order in which things happen, and the trace. One
//! lock around all of it; nothing is awaited under it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;
use uuid::Uuid;

use super::broker::Broker;
use super::bucket::Bucket;
use super::call::{Call, End, Fate, Port};
use super::dice::Dice;
use super::ledger::Rows;
use super::mix::Mix;
use super::mutant::Mutant;
use super::oracle;
use super::process::Process;
use super::script::{Rule, Then};
use super::staging::Files;
use super::truth::Truth;

/// No run takes more requests than this.
const STEPS: u64 = 3_000_000;

/// Something under way that arrives whatever becomes of its sender.
pub(crate) type Flight = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a call of the ledger needs besides its arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// The ledger's clock.
    pub(crate) now: Duration,
    /// A fresh token.
    pub(crate) fresh: Uuid,
    /// The ledger's jitter, in per cent of what is asked for: 80 to 120.
    pub(crate) per_cent: u32,
}

/// Everything outside the roles.
pub(crate) struct World {
    /// Chance.
    pub(crate) dice: Dice,
    /// What may go wrong.
    pub(crate) mix: Mix,
    /// Which rule is removed.
    pub(crate) mutant: Option<Mutant>,
    /// What must go wrong, and when.
    pub(crate) script: Vec<Rule>,
    /// No more faults: what is left must come right by itself.
    pub(crate) calm: bool,
    /// The run is over: nothing happens any more.
    pub(crate) over: bool,
    /// Effects so far.
    pub(crate) seq: u64,
    /// Requests so far.
    pub(crate) steps: u64,
    /// The ledger.
    pub(crate) ledger: Rows,
    /// The broker.
    pub(crate) broker: Broker,
    /// Staging.
    pub(crate) files: Files,
    /// The buckets, by name.
    pub(crate) buckets: BTreeMap<String, Bucket>,
    /// The processes.
    pub(crate) processes: Vec<Process>,
    /// What is really so.
    pub(crate) truth: Truth,
    /// Broken promises.
    pub(crate) violations: Vec<String>,
    /// Until when each neighbour is down.
    pub(crate) outages: BTreeMap<Port, Duration>,
    /// What is under way.
    pub(crate) flights: UnboundedSender<Flight>,
    /// How many of them.
    pub(crate) in_flight: u64,
    /// How requests ended, for the table of what was covered.
    pub(crate) coverage: BTreeMap<(Call, End, bool), u64>,
    began: Instant,
    hash: u64,
    line: String,
    trace: Option<Vec<String>>,
}

impl World {
    pub(crate) fn new(dice: Dice, mix: Mix, flights: UnboundedSender<Flight>, trace: bool) -> Self {
        Self {
            ledger: Rows::new(&mix),
            broker: Broker::new(mix.delivery_limit),
            dice,
            mix,
            mutant: None,
            script: Vec::new(),
            calm: false,
            over: false,
            seq: 0,
            steps: 0,
            files: Files::default(),
            buckets: BTreeMap::new(),
            processes: Vec::new(),
            truth: Truth::default(),
            violations: Vec::new(),
            outages: BTreeMap::new(),
            flights,
            in_flight: 0,
            coverage: BTreeMap::new(),
            began: Instant::now(),
            hash: 0xCBF2_9CE4_8422_2325,
            line: String::new(),
            trace: trace.then(Vec::new),
        }
    }

    /// Virtual time since the beginning.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// The same as a wall clock that never jumps.
    pub(crate) fn wall(&self) -> DateTime<Utc> {
        wall_at(self.now())
    }

    /// The instant of a virtual time.
    pub(crate) fn instant(&self, at: Duration) -> Instant {
        self.began + at
    }

    pub(crate) fn mutated(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// What the ledger needs for one statement.
    pub(crate) fn moment(&mut self) -> Moment {
        let fresh = self.dice.uuid();
        let per_cent = u32::try_from(self.dice.between(80, 120)).unwrap_or(100);
        Moment {
            now: self.now(),
            fresh,
            per_cent,
        }
    }

    /// A line of the trace. The hash of all lines is what two runs of a seed must share.
    pub(crate) fn say(&mut self, what: fmt::Arguments<'_>) {
        use fmt::Write as _;
        self.line.clear();
        let millis = self.now().as_millis();
        // Writing to a String cannot fail.
        let written = write!(self.line, "{millis:>9} {what}");
        debug_assert!(written.is_ok(), "a String takes everything");
        for byte in self.line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        if let Some(trace) = &mut self.trace {
            trace.push(self.line.clone());
        }
    }

    /// A broken promise: the run ends here.
    pub(crate) fn violate(&mut self, what: String) {
        self.say(format_args!("VIOLATION {what}"));
        self.violations.push(what);
        self.over = true;
    }

    /// Does something and lets the oracles look at what became of the world.
    pub(crate) fn apply<T>(&mut self, effect: impl FnOnce(&mut Self) -> T) -> T {
        self.seq = self.seq.saturating_add(1);
        let value = effect(self);
        oracle::after_effect(self);
        value
    }

    /// Draws what becomes of a request. `None`: the caller is dead, or the run is over.
    pub(crate) fn begin(
        &mut self,
        process: usize,
        life: u64,
        call: Call,
        about: &(dyn fmt::Display + Sync),
    ) -> Option<Fate> {
        if self.over || !self.is_alive(process, life) {
            return None;
        }
        self.steps = self.steps.saturating_add(1);
        if self.steps > STEPS {
            self.violate("I6 this goes round in circles".to_owned());
            return None;
        }
        let fate = self.fate(process, call);
        let done = (call, fate.end, fate.is_late());
        *self.coverage.entry(done).or_default() += 1;
        let name = self.processes.get(process).map_or("?", |p| p.name);
        let (hold, transit) = (fate.hold.as_millis(), fate.transit.as_millis());
        let (end, answer) = (fate.end, fate.answer.as_millis());
        self.say(format_args!(
            "{name} {call:?} {about} {end:?} {hold}+{transit}+{answer}"
        ));
        Some(fate)
    }

    fn fate(&mut self, process: usize, call: Call) -> Fate {
        let mut fate = Fate {
            answer: self.dice.up_to(self.mix.latency),
            ..Fate::PLAIN
        };
        if let Some(then) = self.scripted(process, call) {
            match then {
                Then::Ends(end) => fate.end = end,
                Then::Held(time) => fate.hold = time,
                Then::FreezesBefore(time) => self.freeze(process, time),
                Then::FreezesAfter(time) => {
                    self.freeze(process, time);
                    fate.through = true;
                }
            }
            return fate;
        }
        let down = self.outages.get(&call.port()).copied().unwrap_or_default();
        if self.now() < down {
            fate.end = End::FailsBefore;
            return fate;
        }
        if self.calm {
            return fate;
        }
        let share = |ppm: u64| {
            if call.is_idle() {
                ppm / 10
            } else if call.is_rare() {
                ppm.saturating_mul(6).min(400_000)
            } else {
                ppm
            }
        };
        if let Some(end) = self.favourite(call) {
            fate.end = end;
        } else if self.dice.chance(share(self.mix.crash)) {
            fate.end = if self.dice.coin() {
                End::CrashesBefore
            } else {
                End::CrashesAfter
            };
        } else if self.dice.chance(share(self.mix.fails(call.port()))) {
            fate.end = if self.dice.coin() {
                End::FailsBefore
            } else {
                End::FailsAfter
            };
        }
        if self.dice.chance(share(self.mix.late(call.port()))) {
            self.delay(call, &mut fate);
        }
        fate
    }

    fn favourite(&mut self, call: Call) -> Option<End> {
        let favourites = self.mix.favourites.iter();
        let (_, end) = favourites.copied().find(|(one, _)| *one == call)?;
        // One that never stops is an outage, and nothing after it is ever tried.
        let share = if call.is_rare() { 500_000 } else { 30_000 };
        self.dice.chance(share).then_some(end)
    }

    fn delay(&mut self, call: Call, fate: &mut Fate) {
        let most = Duration::from_secs(self.dice.pick(&[2, 12, 29, 45, 120, 600], 45));
        let late = self.dice.up_to(most);
        match self.dice.below(3) {
            0 => fate.hold = late,
            // A system call does not travel.
            1 if call.port() != Port::Staging => fate.transit = late,
            _ => fate.answer = fate.answer.saturating_add(late),
        }
    }

    fn scripted(&mut self, process: usize, call: Call) -> Option<Then> {
        let role = self.processes.get(process).map(|p| p.role)?;
        let step = self.steps;
        let rules = self.script.iter_mut();
        // Every rule counts, also when another one is due.
        let due = rules.filter_map(|rule| rule.due(step, role, call)).last()?;
        self.say(format_args!("script: {due:?}"));
        Some(due)
    }

    /// Ends the run and hands out what is worth keeping.
    pub(crate) fn finish(&mut self) -> (u64, Vec<String>) {
        self.over = true;
        (self.hash, self.trace.take().unwrap_or_default())
    }
}

/// The wall clock at a virtual time.
pub(crate) fn wall_at(at: Duration) -> DateTime<Utc> {
    // 2026-11-22T10:00:00Z.
    let began = DateTime::from_timestamp(1_795_341_600, 0).unwrap_or_default();
    began + at
}

/// The world, shared by everything that runs in it.
#[derive(Clone)]
pub(crate) struct Sim(Arc<Mutex<World>>);

impl Sim {
    pub(crate) fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    /// The world, for a moment; never across an await.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
