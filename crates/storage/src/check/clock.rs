//! Whether our clock and the store's agree.

use chrono::TimeDelta;
use recording::{Capability, Fault, ParkReason};

use super::Subject;

/// A clock that differs more is worth a word.
const SKEW_SEEN: TimeDelta = TimeDelta::seconds(60);
/// AWS refuses signatures that are a quarter of an hour off; what differs more than this soon will.
const SKEW_MAX: TimeDelta = TimeDelta::minutes(10);

impl Subject<'_> {
    /// Judges how far the store's clock is ahead of ours.
    pub(super) fn judge_clock(&self, skew: Option<TimeDelta>) {
        let Some(skew) = skew else {
            let detail = "the store does not say what time it is";
            self.book.warned(Capability::Clock, detail, None);
            return;
        };
        let seconds = skew.num_seconds();
        let detail = match seconds {
            0.. => format!("the store's clock is {seconds} s ahead of ours"),
            _ => format!("the store's clock is {} s behind ours", seconds.abs()),
        };
        let remedy = "see that the clock of this machine is kept by NTP: `timedatectl`";
        if skew.abs() > SKEW_MAX {
            let fault = Fault::new(ParkReason::DestinationUnreachable, detail);
            self.book.failed(Capability::Clock, &fault, &[], remedy);
        } else if skew.abs() > SKEW_SEEN {
            let remedy = Some(remedy.to_owned());
            self.book.warned(Capability::Clock, detail, remedy);
        } else {
            self.book.passed(Capability::Clock, detail);
        }
    }
}
