//! The process-wide byte budget: what is read from originals and not yet sent.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use recording::Progress;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Bytes in one permit, because a semaphore counts in `u32` at a time.
const UNIT: u64 = 1024;
/// How often a wait is told: more often than a lease is renewed.
const TELL_EVERY: Duration = Duration::from_secs(3);

/// Shared by all transfers of a process.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    permits: Arc<Semaphore>,
    units: u32,
}

/// A share of the budget; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Share {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        let units = u32::try_from(bytes.div_ceil(UNIT))
            .unwrap_or(u32::MAX)
            .max(1);
        let permits = usize::try_from(units)
            .unwrap_or(Semaphore::MAX_PERMITS)
            .min(Semaphore::MAX_PERMITS);
        Self {
            permits: Arc::new(Semaphore::new(permits)),
            units,
        }
    }

    /// All of it, and what is in use, in bytes.
    pub(crate) fn reading(&self) -> (u64, u64) {
        let all = u64::from(self.units);
        let free = u64::try_from(self.permits.available_permits()).unwrap_or(all);
        let used = all.saturating_sub(free);
        (all.saturating_mul(UNIT), used.saturating_mul(UNIT))
    }

    /// Waits for `bytes`, in turn. What is larger than the budget waits for all of it, and is
    /// then alone.
    pub(crate) async fn take(&self, bytes: u64) -> Share {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let units = units.min(self.units);
        // The semaphore is never closed, so there always is a permit in the end.
        let permit = Arc::clone(&self.permits).acquire_many_owned(units).await;
        Share {
            _permit: permit.ok(),
        }
    }

    /// The same, telling whoever keeps the lease meanwhile that it waits for memory of our own.
    pub(crate) async fn take_telling(&self, bytes: u64, progress: &Progress) -> Share {
        telling(progress, self.take(bytes)).await
    }
}

/// Waits for something during which no byte can move, and tells whoever keeps the lease.
pub(crate) async fn telling<T>(progress: &Progress, wait: impl Future<Output = T>) -> T {
    let mut wait = pin!(wait);
    loop {
        match timeout(TELL_EVERY, &mut wait).await {
            Ok(done) => return done,
            Err(_) => progress.waits(),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_is_larger_than_the_budget_waits_for_all_of_it() {
        let budget = Budget::new(1 << 20);
        let small = budget.take(1).await;
        assert!(budget.take(1 << 30).now_or_never().is_none());
        assert!(budget.take(0).now_or_never().is_some());
        drop(small);
        let huge = budget.take(1 << 30).await;
        assert!(budget.take(1).now_or_never().is_none());
        drop(huge);
        assert!(budget.take(1).now_or_never().is_some());
    }
}
