//! A claim on a recording is a lease: the ledger fences every later write by its token, and the
//! holder checks *locally*, without asking anyone, that it may still begin something irrevocable.
//!
//! SUBTLE: the holder counts from the moment it *sent* the claim or renewal, the ledger from the
//! moment it executed it, which is later. So with equal clock rates the holder's view ends first,
//! and [`FENCE_MARGIN`] covers the request that is already on its way. The clock is the boot-time
//! clock, which also runs while the machine is suspended: a frozen worker that wakes finds its
//! lease over and can neither send, record nor acknowledge.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use uuid::Uuid;

use crate::Clock;

/// How long a claim lasts unless it is renewed, by the ledger's clock.
pub const LEASE: Duration = Duration::from_secs(30);
/// How long before its end a holder stops beginning things.
pub const FENCE_MARGIN: Duration = Duration::from_secs(5);

/// The lease ran out, or somebody else holds the recording now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lease on the recording ran out")]
pub struct LeaseLost;

/// The holder's view of its claim.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The random token that fences every write to the row.
    pub token: Uuid,
    /// The local check; clones share one view, so that a renewal is seen everywhere.
    pub fence: Fence,
}

/// The local check of a lease. Cheap to clone and to ask.
#[derive(Debug, Clone)]
pub struct Fence {
    ends_at_ms: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
    ttl: Duration,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Fence {
    /// A fence for a claim that was sent at `sent_at` (boot time) and lasts `ttl`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, sent_at: Duration, ttl: Duration) -> Self {
        let ends_at_ms = Arc::new(AtomicU64::new(millis(sent_at.saturating_add(ttl))));
        Self {
            ends_at_ms,
            clock,
            ttl,
        }
    }

    /// Notes that a renewal sent at `sent_at` (boot time) was granted.
    pub fn renewed(&self, sent_at: Duration) {
        self.ends_at_ms
            .fetch_max(millis(sent_at.saturating_add(self.ttl)), Ordering::AcqRel);
    }

    /// Notes that the ledger refused a renewal: nothing may be begun any more.
    pub fn lost(&self) {
        self.ends_at_ms.store(0, Ordering::Release);
    }

    /// The time left in which something may still be begun.
    #[must_use]
    pub fn left(&self) -> Duration {
        let ends = Duration::from_millis(self.ends_at_ms.load(Ordering::Acquire));
        ends.saturating_sub(FENCE_MARGIN)
            .saturating_sub(self.clock.boot())
    }

    /// Asked right before anything irrevocable is begun: a PUT or complete is signed, a row is
    /// written, a file is moved or unlinked.
    ///
    /// # Errors
    /// [`LeaseLost`] once less than the margin is left.
    pub fn check(&self) -> Result<(), LeaseLost> {
        if self.left() > Duration::ZERO {
            Ok(())
        } else {
            Err(LeaseLost)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Utc};

    #[derive(Debug, Default)]
    struct At(AtomicU64);
    impl Clock for At {
        fn now(&self) -> DateTime<Utc> {
            DateTime::UNIX_EPOCH
        }
        fn boot(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::Acquire))
        }
    }

    #[test]
    fn a_fence_closes_a_margin_before_the_lease_ends_and_opens_again_only_by_renewal() {
        let clock = Arc::new(At::default());
        let shared: Arc<dyn Clock> = Arc::<At>::clone(&clock);
        let fence = Fence::new(shared, Duration::ZERO, LEASE);
        assert_eq!(fence.check(), Ok(()));
        clock.0.store(24_999, Ordering::Release);
        assert_eq!(fence.check(), Ok(()));
        clock.0.store(25_000, Ordering::Release);
        assert_eq!(fence.check(), Err(LeaseLost));
        fence.renewed(Duration::from_secs(20));
        assert_eq!(fence.check(), Ok(()));
        fence.lost();
        assert_eq!(fence.check(), Err(LeaseLost));
    }
}
