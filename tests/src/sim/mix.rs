//! The mix of faults of one run. Each seed draws which faults are on and how likely they are
//! (swarm testing): a run in which everything fails all the time never gets anywhere interesting.

use std::time::Duration;

use super::call::{Call, End, Port};
use super::dice::Dice;
use super::mutant::Mutant;

/// What a run may do to the roles.
#[derive(Debug, Clone)]
pub(crate) struct Mix {
    /// Every request takes up to this long.
    pub(crate) latency: Duration,
    /// Requests that fail, per million, by neighbour.
    pub(crate) fails: [u64; 4],
    /// Requests that are late, per million, by neighbour.
    pub(crate) late: [u64; 4],
    /// Requests at which the calling process dies, per million.
    pub(crate) crash: u64,
    /// Ends of requests that this run is keen on: every other time, while it is stormy.
    pub(crate) favourites: Vec<(Call, End)>,
    /// How long faults go on.
    pub(crate) chaos: Duration,
    /// How often, at most, something happens by itself.
    pub(crate) weather: Duration,
    /// Neighbours that can be down for a while.
    pub(crate) outages: bool,
    /// Whether processes freeze.
    pub(crate) freezes: bool,
    /// Whether processes are killed or stopped at any moment.
    pub(crate) kills: bool,
    /// Whether sessions with the broker are cut.
    pub(crate) cuts: bool,
    /// Whether the customers delete copies.
    pub(crate) deletes: bool,
    /// Whether the customers overwrite copies.
    pub(crate) overwrites: bool,
    /// Whether buckets deny for a while.
    pub(crate) denials: bool,
    /// Whether wall clocks jump.
    pub(crate) jumps: bool,
    /// Stores that damage what they store and say yes, per million.
    pub(crate) damages: u64,
    /// Stores that store nothing and say yes, per million.
    pub(crate) loses: u64,
    /// Messages that are delivered twice, per million.
    pub(crate) duplicates: u64,
    /// Recordings with something wrong about their file or event, per million.
    pub(crate) flaws: u64,
    /// Whether recordings of an account use one path, one after the other.
    pub(crate) one_path: bool,
    /// Whether buckets report a checksum of the whole object.
    pub(crate) reports_checksum: bool,
    /// Whether buckets keep versions.
    pub(crate) keeps_versions: bool,
    /// Whether the ledger refuses a write under a lease that ran out although nobody took it.
    pub(crate) strict_expiry: bool,
    /// Whether the ledger knows an outcome again that it was asked to write before.
    pub(crate) remembers: bool,
    /// Above this size an original is sent in parts.
    pub(crate) part_size: usize,
    /// Messages a process handles at a time.
    pub(crate) prefetch: usize,
    /// After this many returns a message is dead-lettered.
    pub(crate) delivery_limit: u32,
    /// Housekeeping's tick.
    pub(crate) tick: Duration,
    /// Cleanup's timer.
    pub(crate) trash_every: Duration,
    /// How many housekeepers there are.
    pub(crate) housekeepers: usize,
    /// Whether the buckets are of the other cloud.
    pub(crate) other_cloud: bool,
    /// After this many leases that ran out a recording gets a process of its own.
    pub(crate) suspect_after: u32,
    /// After this long a delivery is handed off.
    pub(crate) hand_off_after: Duration,
    /// Processes of their own that die, per million.
    pub(crate) child_deaths: u64,
    /// How old an open upload must be before a sweep takes it up, and how long after the last one
    /// was begun that is.
    pub(crate) leftover_age: Duration,
    /// How often leftovers are looked for.
    pub(crate) sweep_every: Duration,
    /// Whether destinations are checked.
    pub(crate) checks: bool,
    /// How often each is.
    pub(crate) check_every: Duration,
    /// Whether somebody gives recordings that are not stored yet other revisions.
    pub(crate) reroutes: bool,
    /// How long nobody may have worked on them.
    pub(crate) reroute_quiet: Duration,
}

fn rate(dice: &mut Dice) -> u64 {
    if dice.coin() {
        dice.pick(&[2_000, 10_000, 40_000, 120_000], 0)
    } else {
        0
    }
}

impl Mix {
    /// Nothing goes wrong: for scripts, which bring their own trouble.
    pub(crate) fn quiet() -> Self {
        Self {
            latency: Duration::from_millis(20),
            fails: [0; 4],
            late: [0; 4],
            crash: 0,
            favourites: Vec::new(),
            chaos: Duration::ZERO,
            weather: Duration::ZERO,
            outages: false,
            freezes: false,
            kills: false,
            cuts: false,
            deletes: false,
            overwrites: false,
            denials: false,
            jumps: false,
            damages: 0,
            loses: 0,
            duplicates: 0,
            flaws: 0,
            one_path: false,
            reports_checksum: true,
            keeps_versions: false,
            strict_expiry: true,
            remembers: false,
            part_size: 1 << 20,
            prefetch: 4,
            delivery_limit: 1000,
            tick: Duration::from_secs(5),
            trash_every: Duration::from_secs(30),
            housekeepers: 1,
            other_cloud: false,
            suspect_after: 5,
            hand_off_after: Duration::from_secs(600),
            child_deaths: 0,
            leftover_age: Duration::from_secs(3600),
            sweep_every: Duration::from_secs(60),
            checks: false,
            check_every: Duration::from_secs(24 * 3600),
            reroutes: false,
            reroute_quiet: Duration::from_secs(360),
        }
    }

    /// The mix of a seed.
    pub(crate) fn drawn(dice: &mut Dice) -> Self {
        Self {
            latency: Duration::from_millis(dice.pick(&[0, 5, 50, 900], 5)),
            fails: [rate(dice), rate(dice), rate(dice), rate(dice)],
            late: [rate(dice), rate(dice), rate(dice), rate(dice)],
            crash: rate(dice) / 4,
            favourites: (0..8).map(|_| End::favourite(dice)).collect(),
            chaos: Duration::from_secs(dice.pick(&[120, 300, 600, 1500], 300)),
            weather: Duration::from_secs(dice.pick(&[10, 40, 120], 40)),
            outages: dice.coin(),
            freezes: dice.coin(),
            kills: dice.coin(),
            cuts: dice.coin(),
            deletes: dice.below(3) == 0,
            overwrites: dice.below(5) == 0,
            denials: dice.coin(),
            jumps: dice.coin(),
            damages: rate(dice) / 2,
            loses: rate(dice),
            duplicates: rate(dice),
            flaws: dice.pick(&[0, 200_000, 600_000], 0),
            one_path: dice.below(8) == 0,
            reports_checksum: dice.below(4) != 0,
            keeps_versions: dice.coin(),
            strict_expiry: dice.coin(),
            remembers: dice.coin(),
            part_size: dice.pick(&[8, 16, 1 << 20], 16),
            prefetch: dice.pick(&[1, 2, 5], 2),
            delivery_limit: dice.pick(&[3, 20, 1000], 20),
            tick: Duration::from_secs(dice.pick(&[1, 5, 15], 5)),
            trash_every: Duration::from_secs(dice.pick(&[30, 300], 30)),
            housekeepers: dice.pick(&[1, 2], 1),
            other_cloud: dice.below(3) == 0,
            suspect_after: dice.pick(&[1, 2, 5], 5),
            hand_off_after: Duration::from_secs(dice.pick(&[1, 30, 600], 600)),
            child_deaths: dice.pick(&[0, 200_000, 700_000], 0),
            leftover_age: Duration::from_secs(dice.pick(&[10, 60, 3600], 60)),
            sweep_every: Duration::from_secs(dice.pick(&[5, 60], 60)),
            checks: dice.coin(),
            check_every: Duration::from_secs(dice.pick(&[120, 900, 24 * 3600], 900)),
            reroutes: dice.coin(),
            reroute_quiet: Duration::from_secs(dice.pick(&[1, 30, 360], 30)),
        }
    }

    /// Switches on what a removed rule was there for, where a seed might leave it off.
    pub(crate) fn exercise(&mut self, mutant: Mutant) {
        match mutant {
            Mutant::NoFencing | Mutant::OpenFence => self.freezes = true,
            Mutant::OverwritingBucket => {
                self.reports_checksum = false;
                self.other_cloud = false;
                self.damages = self.damages.max(40_000);
                self.freezes = true;
                self.set_late(Port::Bucket, 200_000);
            }
            Mutant::TrustedWrite => {
                self.reports_checksum = false;
                self.other_cloud = false;
                self.damages = self.damages.max(40_000);
            }
            Mutant::BlindCleanup => self.deletes = true,
            Mutant::EarlyAck => self.kills = true,
            Mutant::CarelessTrash => self.flaws = 600_000,
            Mutant::TrustedUnmount => self.outages = true,
            Mutant::ForgetfulQuarantine => {
                self.flaws = 0;
                self.one_path = true;
                self.latency = Duration::from_millis(900);
            }
            Mutant::NeverHalfOpen => {
                self.denials = true;
                self.checks = false;
            }
            Mutant::BlindReroute => {
                self.reroutes = true;
                self.reroute_quiet = Duration::from_secs(1);
                self.deletes = false;
                self.overwrites = false;
                self.set_fails(Port::Bucket, 120_000);
            }
            Mutant::HastyReroute => {
                self.reroutes = true;
                self.latency = Duration::from_millis(900);
                self.set_late(Port::Bucket, 120_000);
            }
            Mutant::LyingConfirm => self.set_fails(Port::Broker, 120_000),
        }
    }

    fn set_fails(&mut self, port: Port, ppm: u64) {
        Self::set(&mut self.fails, port, ppm);
    }

    fn set_late(&mut self, port: Port, ppm: u64) {
        Self::set(&mut self.late, port, ppm);
    }

    fn set(rates: &mut [u64; 4], port: Port, ppm: u64) {
        for (one, slot) in Port::ALL.into_iter().zip(rates) {
            if one == port {
                *slot = ppm;
            }
        }
    }

    fn of(rates: [u64; 4], port: Port) -> u64 {
        let mut pairs = Port::ALL.into_iter().zip(rates);
        pairs
            .find(|(one, _)| *one == port)
            .map_or(0, |(_, ppm)| ppm)
    }

    /// How likely a request to `port` fails, per million.
    pub(crate) fn fails(&self, port: Port) -> u64 {
        Self::of(self.fails, port)
    }

    /// How likely a request to `port` is late, per million.
    pub(crate) fn late(&self, port: Port) -> u64 {
        Self::of(self.late, port)
    }
}
