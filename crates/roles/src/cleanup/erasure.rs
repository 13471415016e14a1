//! The end of originals that no copy was proven of: erasures that were asked for.
//!
//! **Order of effects.** The ledger grants the deletion and writes the intent down, from when on
//! nobody claims the recording for transfer; what is at the path, and what earlier leases left in
//! the trash, is deleted; a new look follows; and only when nothing is left the ledger is told. A
//! process that dies in between leaves its intent, and the next one begins again with all of it.
//!
//! **What wins.** A legal hold: the ledger asks for it when it grants, in the database. Where one
//! came after a deletion may have been begun, the original is looked at and nothing more: one that
//! is still there goes on as any other.
//!
//! **Retries.** On a ladder. **Shutdown.** In between two effects.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use recording::{
    Advance, Erasers, ErasingOriginal, ErasureLedger, Kept, LedgerFault, OriginalRemains, Retained,
    StagingFault,
};
use telemetry::Metrics;
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
        let left = || erasing.lease().fence.left();
        let erased = match erasing.erasable() {
            Some(permission) => {
                let erasing = ports.erasers.erase(permission);
                let Ok(erased) = tokio::time::timeout(left(), erasing).await else {
                    tracing::info!(recording.key = %key, "an original could not be erased in time");
                    return Ok(());
                };
                Some(erased)
            }
            None => None,
        };
        let looking = ports.erasers.left(key, erasing.path());
        let Ok(remains) = tokio::time::timeout(left(), looking).await else {
            tracing::info!(recording.key = %key, "an original could not be looked at in time");
            return Ok(());
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
        (Some(Ok(_)), Ok(remains)) => {
            let (at_path, in_trash) = (u32::from(remains.at_path), remains.in_trash);
            let detail = format!("a look finds {at_path} at the path, {in_trash} in the trash");
            (Retained::Unclear, detail)
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_says_why_and_comes_back_on_a_ladder() {
        let there = OriginalRemains {
            at_path: true,
            in_trash: 0,
        };
        let held = kept(1, None, Ok(there));
        assert_eq!(held.why, Retained::Held);
        let down = || Err(StagingFault::Unavailable("unmounted".to_owned()));
        for (erased, remains, says) in [
            (Some(down()), Ok(there), "unmounted"),
            (Some(Ok(1)), Err(StagingFault::Changed), "changed"),
            (Some(Ok(1)), Ok(there), "a look finds 1 at the path"),
            (None, Err(StagingFault::Changed), "changed"),
        ] {
            let kept = kept(2, erased, remains);
            assert_eq!((kept.why, kept.after.as_secs()), (Retained::Unclear, 600));
            assert!(kept.detail.contains(says), "{kept:?}");
        }
        assert_eq!(kept(99, Some(Ok(0)), Ok(there)).after.as_secs(), 6 * 3600);
    }
}
