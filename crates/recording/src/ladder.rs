//! The one ladder: how long a parked recording waits before its next attempt. It has no last
//! rung, because nothing is ever given up silently.

use std::time::Duration;

/// Waits before the first, second, … attempt; the last one repeats for ever.
pub const RUNGS: [Duration; 5] = [
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(3600),
    Duration::from_secs(6 * 3600),
];

/// The wait after `attempts` ended attempts (0 and 1 both mean the first rung), before jitter.
/// The ledger applies the jitter, ±20 %, so that a fleet does not come back in step.
#[must_use]
pub fn rung(attempts: u32) -> Duration {
    let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let [.., last] = RUNGS;
    RUNGS.get(index).copied().unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_climbs_and_then_stays_on_its_last_rung() {
        let waits: Vec<u64> = (0..8).map(|n| rung(n).as_secs()).collect();
        assert_eq!(waits, [30, 30, 120, 600, 3600, 21_600, 21_600, 21_600]);
        assert_eq!(rung(u32::MAX), RUNGS[4]);
    }
}
