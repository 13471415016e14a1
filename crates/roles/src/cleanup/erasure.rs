//! The end of originals that no copy was proven of, or whose release was refused: erasures that
//! were asked for.
//!
//! **Order of effects.** The ledger grants the deletion and writes the intent down, from when on
//! nobody claims the recording for transfer; what of the original is at the path, and what earlier
//! leases left of it in the trash, is deleted; a new look follows; and only when nothing of it is
//! left the ledger is told. A process that dies in between leaves its intent, and the next one
//! begins again with all of it.
//!
//! **Another's file.** A recorder may have used the path twice. What is certainly another
//! recording's stays, and the erasure is over without it; what may be another's stays too, and a
//! person is told.
//!
//! **What wins.** A legal hold: the ledger asks for it when it grants, in the database. Where one
//! came after a deletion may have been begun, the original is looked at and nothing more: one that
//! is still there goes on as any other.
//!
//! **Retries.** On a ladder. **Shutdown.** In between two effects.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use recording::{
    Advance, AtPath, Erasers, ErasingOriginal, ErasureLedger, Kept, LeaseLost, LedgerFault,
    OriginalRemains, Retained, StagingFault,
};
use telemetry::Metrics;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Tuning;

/// Originals deleted at the same time by one process.
const AT_ONCE: usize = 8;

/// When an original that is still there is looked at again, in seconds.
const RUNGS: [u64; 4] = [60, 600, 3600, 6 * 3600];

/// What erasing originals reaches the outside through. It can neither write nor read anything.
#[derive(Clone)]
pub struct ErasurePorts {
    /// The ledger's side of erasures.
    pub ledger: Arc<dyn ErasureLedger>,
    /// Staging, for deleting what an erasure was asked for.
    pub erasers: Arc<dyn Erasers>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// The sweep; cleanup is who runs it.
pub struct Erasures {
    ports: ErasurePorts,
    tuning: Tuning,
}

impl Erasures {
    /// The sweep over its ports.
    #[must_use]
    pub fn new(ports: ErasurePorts, tuning: Tuning) -> Self {
        Self { ports, tuning }
    }

    /// Sweeps until `stop` fires.
    pub async fn run(&self, stop: CancellationToken) {
        loop {
            let wait = retry::jittered(self.tuning.expire_every, self.tuning.jitter);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                swept = self.sweep() => if let Err(fault) = swept {
                    tracing::debug!(error = %fault, "erasures are carried out later");
                },
            }
        }
    }

    /// One sweep.
    ///
    /// # Errors
    /// The ledger does not answer; what was begun is taken up again when its lease ends.
    pub async fn sweep(&self) -> Result<(), LedgerFault> {
        let ledger = &self.ports.ledger;
        let turn = ledger
            .begin_original_erasures(self.tuning.expire_batch)
            .await?;
        stream::iter(turn.begun)
            .map(|erasing| async move { self.erase_one(&erasing).await })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await
    }

    async fn erase_one(&self, erasing: &ErasingOriginal) -> Result<(), LedgerFault> {
        let (ports, key) = (&self.ports, erasing.key());
        let work = async {
            let erased = match erasing.erasable() {
                Some(permission) => Some(ports.erasers.erase(permission).await),
                None => None,
            };
            (erased, ports.erasers.left(erasing.original()).await)
        };
        let (erased, remains) = match self.leased(erasing, work).await {
            Worked::Done(done) => done,
            Worked::Lost => {
                tracing::info!(recording.key = %key, "an original could not be erased in time");
                return Ok(());
            }
            Worked::TooSlow => {
                let slow = "it could not be compared or deleted in time".to_owned();
                let slow = Err(StagingFault::Unreadable(slow));
                (None, slow)
            }
        };
        if let Some(gone) = remains
            .as_ref()
            .ok()
            .copied()
            .and_then(OriginalRemains::gone)
        {
            let deleted = erased.and_then(Result::ok).unwrap_or(0);
            return match ports.ledger.original_erased(erasing, gone, deleted).await? {
                Advance::Done(()) => {
                    ports.metrics.original_erased();
                    tracing::info!(recording.key = %key, deleted, "an original is erased");
                    Ok(())
                }
                Advance::Overtaken => Ok(()),
            };
        }
        let kept = kept(erasing.attempts(), erased, remains);
        tracing::warn!(
            recording.key = %key, why = kept.why.as_str(), detail = %kept.detail,
            "an original that is to be erased is still there"
        );
        ports.ledger.keep_original(erasing, &kept).await.map(drop)
    }

    /// Works under the lease, which is renewed while a file is read to be compared.
    ///
    /// SUBTLE: work that is dropped may go on where it blocks. The fence is told, so that it
    /// deletes nothing any more.
    async fn leased<T>(
        &self,
        erasing: &ErasingOriginal,
        work: impl Future<Output = T>,
    ) -> Worked<T> {
        let (tuning, fence) = (&self.tuning, &erasing.lease().fence);
        let size_bytes = erasing.original().known_by.size_bytes();
        let ends = Instant::now() + tuning.look_max.max(tuning.send_max(size_bytes));
        let mut work = pin!(work);
        loop {
            let next = tuning.renew_every.min(fence.left());
            tokio::select! {
                biased;
                done = &mut work => return Worked::Done(done),
                () = tokio::time::sleep(next) => {}
            }
            if Instant::now() >= ends {
                fence.lost();
                return Worked::TooSlow;
            }
            let renewal =
                tokio::time::timeout(fence.left(), self.ports.ledger.renew_erasure(erasing));
            tokio::select! {
                biased;
                done = &mut work => return Worked::Done(done),
                renewed = renewal => if let Ok(Ok(Err(LeaseLost))) = renewed {
                    fence.lost();
                }
            }
            // A ledger that does not answer is no verdict: the fence itself ends the lease.
            if fence.check().is_err() {
                return Worked::Lost;
            }
        }
    }
}

/// What became of work under a lease.
enum Worked<T> {
    Done(T),
    /// The lease is over.
    Lost,
    /// The work lasts longer than it may.
    TooSlow,
}

/// Why an original is still there, and when it is tried again.
fn kept(
    attempts: u32,
    erased: Option<Result<u32, StagingFault>>,
    remains: Result<OriginalRemains, StagingFault>,
) -> Kept {
    let (why, detail) = match (erased, remains) {
        (None, Ok(_)) => (
            Retained::Held,
            "a legal hold came before it was deleted".to_owned(),
        ),
        (Some(Err(fault)), _) | (None | Some(Ok(_)), Err(fault)) => {
            (Retained::Unclear, format!("staging: {fault}"))
        }
        (Some(Ok(_)), Ok(remains)) => (Retained::Unclear, left(remains)),
    };
    let rung = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let rung = RUNGS.get(rung).or(RUNGS.last()).copied();
    Kept {
        why,
        detail,
        lock_until: None,
        after: Duration::from_secs(rung.unwrap_or(3600)),
    }
}

/// What a look found, and, where a person has to decide, what about.
fn left(remains: OriginalRemains) -> String {
    match (remains.at_path, remains.in_trash) {
        (AtPath::Doubtful(doubt), _) => format!(
            "not deleted: {}; a person must say whose file it is, and delete it or move it away",
            doubt.seen()
        ),
        (AtPath::Another, in_trash @ 1..) => format!(
            "{in_trash} files in the trash are not it, and another file has the path: a person \
             must say whose they are, and move them away"
        ),
        (AtPath::It, in_trash) => format!("a look finds 1 at the path, {in_trash} in the trash"),
        (AtPath::Nothing | AtPath::Another, in_trash) => {
            format!("a look finds 0 at the path, {in_trash} in the trash")
        }
    }
}

#[cfg(test)]
mod tests {
    use recording::Doubt;

    use super::*;

    #[test]
    fn what_is_left_says_why_and_comes_back_on_a_ladder() {
        let there = OriginalRemains {
            at_path: AtPath::It,
            in_trash: 0,
        };
        let doubtful = OriginalRemains {
            at_path: AtPath::Doubtful(Doubt::PathIsWanted),
            in_trash: 0,
        };
        let beside = OriginalRemains {
            at_path: AtPath::Another,
            in_trash: 2,
        };
        let held = kept(1, None, Ok(there));
        assert_eq!(held.why, Retained::Held);
        let down = || Err(StagingFault::Unavailable("unmounted".to_owned()));
        for (erased, remains, says) in [
            (Some(down()), Ok(there), "unmounted"),
            (Some(Ok(1)), Err(StagingFault::Changed), "changed"),
            (Some(Ok(1)), Ok(there), "a look finds 1 at the path"),
            (None, Err(StagingFault::Changed), "changed"),
            (Some(Ok(0)), Ok(doubtful), "whose file it is"),
            (Some(Ok(0)), Ok(beside), "2 files in the trash are not it"),
        ] {
            let kept = kept(2, erased, remains);
            assert_eq!((kept.why, kept.after.as_secs()), (Retained::Unclear, 600));
            assert!(kept.detail.contains(says), "{kept:?}");
        }
        assert_eq!(kept(99, Some(Ok(0)), Ok(there)).after.as_secs(), 6 * 3600);
    }
}
