//! Retention in the small.
//!
//! The real sweep, in several processes, over a ledger and buckets in
//! memory, in virtual time and from one seed. Requests fail before or after they did something,
//! processes die and freeze at every request, holds come and go, stores deny and lock, customers
//! put things of their own at our keys.
//!
//! Judged at every deletion and in the end:
//! - **H1** nothing is deleted under a hold that was placed before its deletion was granted;
//! - **H2** nothing is deleted before its time, unless its erasure was asked for;
//! - **H3** nothing is deleted but the due copy: no other recording's, nothing of the customer's;
//! - **H4** nothing is called gone of which a version is there;
//! - **H5** once nothing goes wrong any more, all that is due, not held and not locked is gone.
//!
//! Some are not released yet: transfers claim them, send and end, or die. The real sweep of
//! erasures takes the originals of those that are to be erased:
//! - **O1** no original goes that nobody asked the erasure of;
//! - **O2** none goes while a transfer holds a live lease;
//! - **O3** none goes under a hold that was placed before its deletion was granted;
//! - **O4** none is called erased that is still in staging.

mod bucket;
mod ledger;
mod originals;
mod world;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use recording::Unsigned;
use roles::{Clocks, ErasurePorts, Erasures, Retention, RetentionPorts, Tuning};
use telemetry::Metrics;
use tokio::time::{sleep, timeout};

use bucket::Bucket;
use ledger::{Told, Tongue};
use originals::Staging;
use world::{Life, Shared, Time, World};

/// How long requests fail and processes die, in virtual time.
const STORM: Duration = Duration::from_secs(6 * 3600);
/// How long everything may take to come to rest: longer than any rung and any lock.
const LIMIT: Duration = Duration::from_secs(20 * 24 * 3600);

/// One removed rule, which the oracles must miss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetentionMutant {
    /// The ledger grants whatever holds say.
    IgnoresHolds,
    /// The ledger grants a day too early.
    Hasty,
    /// A store deletes everything at a key, whoever's it is.
    Sweeping,
    /// A look that fails is taken for an empty key.
    Blind,
    /// The ledger grants the deletion of originals that nobody asked the erasure of.
    Unasked,
    /// It grants that while a transfer holds a live lease.
    OverLeases,
}

impl RetentionMutant {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::IgnoresHolds,
        Self::Hasty,
        Self::Sweeping,
        Self::Blind,
        Self::Unasked,
        Self::OverLeases,
    ];
}

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct RetentionRun {
    /// The seed.
    pub seed: u64,
    /// How many recordings, over as many accounts as are a twentieth of them, a thousand at most.
    pub recordings: usize,
    /// Which rule is removed.
    pub mutant: Option<RetentionMutant>,
    /// Whether anything goes wrong. Holds, locks, denials and customers' objects are there anyway.
    pub storm: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct RetentionReport {
    /// Broken promises.
    pub violations: Vec<String>,
    /// Copies that are proven to be gone.
    pub gone: usize,
    /// Of these, erased.
    pub erased: usize,
    /// Copies that a hold keeps although their time has come.
    pub held: usize,
    /// Copies that the store keeps although their time has come.
    pub locked: usize,
    /// Copies whose time has not come.
    pub young: usize,
    /// Recordings that are not released, and not to be erased.
    pub unreleased: usize,
    /// Originals that an erasure took.
    pub originals: usize,
    /// Things of customers' at our keys, all of which are still there.
    pub others: usize,
    /// Deletions that a store carried out.
    pub deletions: u64,
    /// Processes that died.
    pub deaths: u64,
    /// Requests made.
    pub requests: u64,
    /// Virtual time until the last copy was gone.
    pub lasted: Duration,
}

/// Runs one seed.
///
/// # Errors
/// There is no runtime to be had.
pub fn retention(run: RetentionRun) -> io::Result<RetentionReport> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(async {
        let shared = Shared::new(World::new(run));
        let processes: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
        for process in 0..3 {
            processes.push(Box::pin(supervise(shared.clone(), process)));
        }
        processes.push(Box::pin(people(shared.clone())));
        let rest = timeout(LIMIT, until_at_rest(&shared));
        let working = processes.for_each(|()| async {});
        tokio::select! {
            biased;
            _ = rest => {}
            () = working => {}
        }
        Ok(shared.world().judged())
    })
}

async fn until_at_rest(shared: &Shared) {
    if shared.world().run.storm {
        sleep(STORM).await;
        shared.world().calm();
    }
    while !shared.world().at_rest() {
        sleep(Duration::from_secs(3600)).await;
    }
}

/// A process that comes back whenever it died.
async fn supervise(shared: Shared, process: u64) {
    let metrics = Metrics::new();
    let Ok(metrics) = metrics else {
        return;
    };
    loop {
        sleep(Duration::from_millis(100 * (process + 1))).await;
        let life = Life::new(shared.clone());
        let ports = RetentionPorts {
            ledger: Arc::new(Told(life.clone())),
            removers: Arc::new(Bucket(life.clone())),
            leftovers: Arc::new(Bucket(life.clone())),
            publisher: Arc::new(Tongue(life.clone())),
            signer: Arc::new(Unsigned),
            clock: Arc::<Time>::clone(&shared.clock),
            metrics: Arc::clone(&metrics),
        };
        let tuning = Tuning {
            jitter: 0.0,
            ..Tuning::production()
        };
        let retention = Retention::new(ports, tuning);
        let ports = ErasurePorts {
            ledger: Arc::new(Told(life.clone())),
            erasers: Arc::new(Staging(life.clone())),
            metrics: Arc::clone(&metrics),
        };
        let erasures = Erasures::new(ports, tuning);
        let sweeping = async {
            let mut clocks = Clocks::default();
            loop {
                // A ledger that fails is asked again, as the role does.
                drop(erasures.sweep().await);
                drop(retention.sweep(&mut clocks).await);
                let pause = shared.world().pause();
                sleep(pause).await;
            }
        };
        tokio::select! {
            biased;
            () = life.died() => {}
            () = sweeping => {}
        }
    }
}

/// Holds come and go, and erasures are asked for.
async fn people(shared: Shared) {
    loop {
        let wait = shared.world().people_act();
        sleep(wait).await;
    }
}
