//! The real clocks.

use std::time::Duration;

use chrono::{DateTime, Utc};
use recording::Clock;
use rustix::time::{ClockId, clock_gettime};

/// The machine's clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn boot(&self) -> Duration {
        let time = clock_gettime(ClockId::Boottime);
        // Neither is ever negative: it counts up from the boot.
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
        Duration::new(seconds, nanoseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_since_boot_is_positive_and_never_goes_back() {
        let first = SystemClock.boot();
        assert!(first > Duration::ZERO);
        assert!(SystemClock.boot() >= first);
    }
}
