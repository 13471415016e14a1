//! One run: from a seed to a verdict.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::sleep;

use super::bucket::customer_acts;
use super::call::{Call, End};
use super::dice::Dice;
use super::mix::Mix;
use super::mutant::Mutant;
use super::process::supervise;
use super::producer::{Oddity, Producer};
use super::script::Rule;
use super::settled::{going_on, judge};
use super::stage::{self, Later};
use super::weather::blow;
use super::world::{Flight, Sim, World};

/// How long everything may take to come to rest, in virtual time.
const LIMIT: Duration = Duration::from_secs(40 * 3600);
/// How often the referee looks whether it has.
const LOOKS: Duration = Duration::from_secs(10);

/// What to run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// The seed.
    pub seed: u64,
    /// Which rule is removed.
    pub mutant: Option<Mutant>,
    /// Whether every request is written down.
    pub trace: bool,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// A hash of every line of the trace: equal for equal runs.
    pub hash: u64,
    /// Requests made.
    pub steps: u64,
    /// Virtual time.
    pub lasted: Duration,
    /// Broken promises.
    pub violations: Vec<String>,
    /// Every request, if it was asked for.
    pub trace: Vec<String>,
    /// The mix of faults.
    pub mix: String,
    /// What happened how often, for people.
    pub seen: BTreeMap<String, u64>,
    /// How many requests of each kind ended how; late ones apart.
    pub coverage: BTreeMap<String, u64>,
    /// The last state of every recording, its history, and the number of acknowledgments.
    pub rows: Vec<String>,
}

impl Report {
    /// Seed, mix and the end of the trace: what a person needs to begin.
    #[must_use]
    pub fn describe(&self, lines: usize) -> String {
        let mut text = format!("seed {}\n{}\n", self.seed, self.mix);
        let tail = self.trace.len().saturating_sub(lines);
        for line in self.trace.iter().skip(tail) {
            text.push_str(line);
            text.push('\n');
        }
        for violation in &self.violations {
            // Writing to a String cannot fail.
            let written = writeln!(text, "=> {violation}");
            debug_assert!(written.is_ok(), "a String takes everything");
        }
        text
    }
}

/// A run that is told rather than drawn.
pub(crate) struct Told {
    /// What goes wrong.
    pub(crate) script: Vec<Rule>,
    /// What is odd about the recording.
    pub(crate) oddity: Oddity,
    /// When the customer deletes a copy, if so.
    pub(crate) deleted_at: Option<Duration>,
    /// Whether every request is written down.
    pub(crate) trace: bool,
}

/// Runs one seed.
///
/// # Errors
/// There is no runtime to be had.
pub fn run(options: Options) -> std::io::Result<Report> {
    let mut dice = Dice::new(options.seed);
    let mut mix = Mix::drawn(&mut dice);
    if let Some(mutant) = options.mutant {
        mix.exercise(mutant);
    }
    let described = format!("{mix:?}");
    in_virtual_time(async {
        let (flights, arriving) = unbounded_channel();
        let mut world = World::new(dice, mix, flights, options.trace);
        world.mutate(options.mutant);
        stage::processes(&mut world);
        let later = stage::accounts(&mut world);
        let producers = stage::producers(&mut world, later);
        stage::bad_events(&mut world);
        let sim = Sim::new(world);
        play(&sim, arriving, producers, Some(later)).await;
        report(&sim, options.seed, described)
    })
}

/// Runs one plain recording with a script.
pub(crate) fn tell(told: Told) -> std::io::Result<Report> {
    let mix = Mix::quiet();
    let described = format!("{:?}", told.script);
    in_virtual_time(async {
        let (flights, arriving) = unbounded_channel();
        let mut world = World::new(Dice::new(0), mix, flights, told.trace);
        world.script = told.script;
        world.calm = true;
        stage::processes(&mut world);
        let producers = stage::one(&mut world, told.oddity);
        let sim = Sim::new(world);
        let delete = async {
            match told.deleted_at {
                Some(at) => sleep(at).await,
                None => std::future::pending().await,
            }
            sim.world().apply(|world| customer_acts(world, false));
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = delete => {}
            () = play(&sim, arriving, producers, None) => {}
        }
        report(&sim, 0, described)
    })
}

fn in_virtual_time<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    Ok(runtime.block_on(work))
}

impl World {
    fn mutate(&mut self, mutant: Option<Mutant>) {
        self.mutant = mutant;
        self.ledger.unfenced = self.mutated(Mutant::NoFencing);
        self.ledger.never_probes = self.mutated(Mutant::NeverHalfOpen);
        self.ledger.forgetful = self.mutated(Mutant::ForgetfulQuarantine);
        self.ledger.hasty = self.mutated(Mutant::HastyReroute);
    }
}

/// Everything at once, in one task: what is ready runs, and time goes on when nothing is.
async fn play(
    sim: &Sim,
    arriving: UnboundedReceiver<Flight>,
    producers: Vec<Producer>,
    later: Option<Later>,
) {
    let mut tasks: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
    let processes = sim.world().processes.len();
    for process in 0..processes {
        tasks.push(Box::pin(supervise(sim.clone(), process)));
    }
    for producer in producers {
        tasks.push(Box::pin(producer.run(sim.clone())));
    }
    if let Some(later) = later {
        tasks.push(Box::pin(blow(sim.clone(), later)));
    }
    tasks.push(Box::pin(carry(sim.clone(), arriving)));
    let referee = referee(sim);
    let mut referee = std::pin::pin!(referee);
    loop {
        tokio::select! {
            biased;
            () = &mut referee => return,
            Some(()) = tasks.next() => {}
        }
    }
}

/// Carries what is under way to its end.
async fn carry(sim: Sim, mut arriving: UnboundedReceiver<Flight>) {
    let mut flights = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some(flight) = arriving.recv() => {
                sim.world().in_flight += 1;
                flights.push(flight);
            }
            Some(()) = flights.next(), if !flights.is_empty() => {
                let mut world = sim.world();
                world.in_flight = world.in_flight.saturating_sub(1);
            }
        }
    }
}

/// Ends the run when it came to rest, when it never does, or when a promise is broken.
async fn referee(sim: &Sim) {
    loop {
        sleep(LOOKS).await;
        let mut world = sim.world();
        if world.over {
            return;
        }
        if !world.calm {
            continue;
        }
        let going = going_on(&world);
        if going.is_empty() {
            for wrong in judge(&world) {
                world.violate(wrong);
            }
            world.over = true;
            return;
        }
        if world.now() > LIMIT {
            world.violate(format!("I6 this never ends: {}", going.join("; ")));
            return;
        }
    }
}

/// Every kind of request and every end it can have: what a long enough run must have covered.
#[must_use]
pub fn cells() -> Vec<String> {
    let calls = Call::ALL.iter();
    let all = calls.flat_map(|call| End::ALL.map(|end| cell(*call, end, false)));
    all.collect()
}

fn cell(call: Call, end: End, late: bool) -> String {
    format!("{call:?} {end:?}{}", if late { " late" } else { "" })
}

fn report(sim: &Sim, seed: u64, mix: String) -> Report {
    let mut world = sim.world();
    let rows = world.ledger.rows.iter().map(|(key, row)| {
        let acknowledged: u64 = world
            .truth
            .acknowledgments
            .values()
            .filter(|one| one.key == *key)
            .map(|one| one.arrived)
            .sum();
        let history: Vec<_> = row.history.iter().map(|(_, to, _)| to.as_str()).collect();
        format!(
            "{key} {} {history:?} acknowledged {acknowledged}",
            row.state.as_str()
        )
    });
    let rows = rows.collect();
    let lasted = world.now();
    let (hash, trace) = world.finish();
    let mut seen = std::mem::take(&mut world.truth.seen);
    for row in world.ledger.rows.values() {
        *seen
            .entry(format!("ended {}", row.state.as_str()))
            .or_default() += 1;
    }
    Report {
        seed,
        hash,
        steps: world.steps,
        lasted,
        violations: world.violations.clone(),
        trace,
        mix,
        seen,
        coverage: world
            .coverage
            .iter()
            .map(|((call, end, late), count)| (cell(*call, *end, *late), *count))
            .collect(),
        rows,
    }
}
