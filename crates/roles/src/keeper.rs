//! Keeps a lease while a stage lasts, and lets go when it should: when the stage's own deadline
//! passes, when sending stalls, or when the ledger says that the recording is somebody else's.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use recording::{Advance, Lease, LeaseLost, Ledger, Progress, RecordingKey};
use tokio::time::Instant;

use crate::Tuning;

/// Why a stage was left before its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LetGo {
    /// The recording is somebody else's now.
    Lost,
    /// The stage's deadline passed.
    Deadline,
}

/// How long a stage may last.
pub(crate) struct Bounds<'a> {
    /// From its beginning.
    pub(crate) deadline: Duration,
    /// While sending: the bytes that moved, without which the lease is not renewed.
    pub(crate) progress: Option<&'a Progress>,
}

/// Whose lease is kept.
pub(crate) struct Keeper<'a> {
    pub(crate) ledger: &'a dyn Ledger,
    pub(crate) key: &'a RecordingKey,
    pub(crate) lease: &'a Lease,
    pub(crate) tuning: &'a Tuning,
}

impl Keeper<'_> {
    /// Runs one stage under the lease.
    ///
    /// SUBTLE: `work` is polled before the timers (`biased`), so work that is ready always ends
    /// as itself. Dropping `work` is a crash of the request it made: its outcome is unknown, and
    /// whoever holds the recording next looks before sending.
    pub(crate) async fn during<T>(
        &self,
        bounds: Bounds<'_>,
        work: impl Future<Output = T>,
    ) -> Result<T, LetGo> {
        let mut work = pin!(work);
        let mut ends = Instant::now() + bounds.deadline;
        let (mut seen_bytes, mut seen_waits) = (0, 0);
        let mut moved_at = Instant::now();
        loop {
            let next = Instant::now() + self.tuning.renew_every;
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                () = tokio::time::sleep_until(next.min(ends)) => {}
            }
            if let Some(progress) = bounds.progress {
                // Reading anew what an earlier claim sent is on the way to the first new byte.
                let bytes = progress.bytes().saturating_add(progress.resumed_bytes());
                let waits = progress.waited();
                if waits != seen_waits {
                    // Waiting for memory of our own is not the destination's time.
                    seen_waits = waits;
                    moved_at = Instant::now();
                    ends += self.tuning.renew_every;
                } else if bytes != seen_bytes {
                    seen_bytes = bytes;
                    moved_at = Instant::now();
                } else if moved_at.elapsed() >= self.tuning.stall_max {
                    return Err(LetGo::Deadline);
                }
            }
            if Instant::now() >= ends {
                return Err(LetGo::Deadline);
            }
            let renewal = pin!(self.renew());
            // The work goes on while the ledger answers: a slow ledger must not stall a transfer.
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                kept = renewal => kept.map_err(|LeaseLost| LetGo::Lost)?,
            }
        }
    }

    /// Renews once. A ledger that does not answer is no verdict: the fence itself ends the lease
    /// if no later renewal comes through.
    async fn renew(&self) -> Result<(), LeaseLost> {
        match self.ledger.renew(self.key, self.lease).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(LeaseLost)) => {
                self.lease.fence.lost();
                Err(LeaseLost)
            }
            Err(fault) => {
                tracing::warn!(error = %fault, recording.key = %self.key, "lease not renewed");
                self.lease.fence.check()
            }
        }
    }

    /// Ends the lease without an outcome. One attempt: if it fails, the lease runs out by itself.
    pub(crate) async fn give_back(&self) {
        match self.ledger.give_back(self.key, self.lease).await {
            Ok(Advance::Done(()) | Advance::Overtaken) => {}
            Err(fault) => tracing::warn!(
                recording.key = %self.key, error = %fault,
                "a lease could not be given back; it runs out by itself"
            ),
        }
    }

    /// Waits between two in-process attempts, and makes sure that the lease lasts into the next.
    pub(crate) async fn pause(&self, wait: Duration) -> Result<(), LetGo> {
        let wait = retry::jittered(wait, self.tuning.jitter);
        tokio::time::sleep(wait).await;
        self.renew().await.map_err(|LeaseLost| LetGo::Lost)
    }
}
