//! Whether clocks contradict each other: retention counts days, and a clock that jumped would end
//! all of them at once.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// How far apart clocks may be, or time may have gone since the last look. Retention is counted in
/// days; a store refuses what is signed fifteen minutes off.
const CLOCKS_MAY_DIFFER: TimeDelta = TimeDelta::minutes(5);

/// The clocks, as they were at the last look.
#[derive(Debug, Default)]
pub struct Clocks {
    last: Option<(DateTime<Utc>, Duration)>,
    /// When the gauges were read last.
    pub(super) read: Option<Duration>,
}

impl Clocks {
    /// What contradicts what, if something does: the ledger's time our own, or the time that went
    /// by there the time that went by here. Our own clock, in turn, is checked by every store.
    pub fn contradiction(
        &mut self,
        ledger: DateTime<Utc>,
        wall: DateTime<Utc>,
        boot: Duration,
    ) -> Option<String> {
        let found = self.compare(ledger, wall, boot);
        if found.is_none() {
            self.last = Some((ledger, boot));
        }
        found
    }

    /// Goes on from here: what contradicted is written down, and a person decides.
    pub fn noted(&mut self, ledger: DateTime<Utc>, boot: Duration) {
        self.last = Some((ledger, boot));
    }

    fn compare(
        &self,
        ledger: DateTime<Utc>,
        wall: DateTime<Utc>,
        boot: Duration,
    ) -> Option<String> {
        let apart = ledger - wall;
        if apart.abs() > CLOCKS_MAY_DIFFER {
            return Some(format!(
                "the ledger's clock says {ledger} and this machine's {wall}"
            ));
        }
        let (then, boot_then) = self.last?;
        let here = TimeDelta::from_std(boot.saturating_sub(boot_then)).unwrap_or(TimeDelta::MAX);
        let there = ledger - then;
        ((there - here).abs() > CLOCKS_MAY_DIFFER).then(|| {
            let (there, here) = (there.num_seconds(), here.num_seconds());
            format!("{there} s went by for the ledger while {here} s went by here")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    #[test]
    fn clocks_that_agree_are_fine_and_each_that_jumps_is_found() {
        let boot = |minutes: u64| Duration::from_secs(minutes * 60);
        let mut clocks = Clocks::default();
        assert_eq!(clocks.contradiction(at(100), at(101), boot(7)), None);
        assert_eq!(clocks.contradiction(at(160), at(160), boot(67)), None);
        // The ledger's alone, either way.
        assert!(clocks.contradiction(at(600), at(220), boot(127)).is_some());
        clocks.noted(at(600), boot(127));
        assert!(clocks.contradiction(at(-900), at(221), boot(128)).is_some());
        // Both together: only the time that went by tells.
        let mut both = Clocks::default();
        assert_eq!(both.contradiction(at(0), at(0), boot(0)), None);
        let found = both.contradiction(at(525_600), at(525_600), boot(1));
        assert!(found.unwrap().contains("went by for the ledger"));
        // Until it is written down, it is found again.
        assert!(
            both.contradiction(at(525_601), at(525_601), boot(2))
                .is_some()
        );
        both.noted(at(525_600), boot(1));
        // Nothing goes on by itself because it stays wrong.
        assert_eq!(both.contradiction(at(525_601), at(525_601), boot(2)), None);
    }
}
