//! When what is unfinished is driven on. Production keeps the defaults; demonstrations and tests
//! shorten them.

use serde::Deserialize;
use serde_json::{Value, json};

/// The `[drive]` table. All in seconds, but for the size of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Drive {
    /// A stored recording without an acknowledgment is driven after this long.
    pub(crate) unacknowledged_s: u64,
    /// An acknowledged recording that is not released is driven after this long.
    pub(crate) unreleased_s: u64,
    /// A driven row without a claim is driven again after this long, doubling each time.
    pub(crate) redrive_s: u64,
    /// No interval between two drives of a row grows beyond this.
    pub(crate) redrive_cap_s: u64,
    /// Any other event that is not confirmed is published again after this long.
    pub(crate) unannounced_s: u64,
    /// How long an original that is absent or too small is taken to be still growing.
    pub(crate) growing_s: u64,
    /// How long a handler waits for a ledger or staging that is down before everything is given
    /// back.
    pub(crate) outage_s: u64,
    /// How often cleanup looks through the trash.
    pub(crate) trash_every_s: u64,
    /// How old a trash entry must be before that look takes an interest in it.
    pub(crate) trash_age_s: u64,
    /// How long a transfer may last before its delivery is acked and the ledger alone carries it.
    pub(crate) hand_off_s: u64,
    /// How often housekeeping reads the ledger for the gauges in `/metrics`.
    pub(crate) reading_every_s: u64,
    /// How often housekeeping looks for open uploads in buckets that nobody will go on with.
    pub(crate) sweep_every_s: u64,
    /// How old such an upload must be before it is aborted.
    pub(crate) leftover_age_s: u64,
    /// How long after a destination became unhealthy the first recording tries it again, doubling.
    pub(crate) probe_s: u64,
    /// No interval between two such recordings grows beyond this, and none of them keeps the next
    /// one waiting for longer.
    pub(crate) probe_cap_s: u64,
    /// How long a change of a destination's health must last before its event is published.
    pub(crate) settle_s: u64,
    /// How often each destination in use is checked.
    pub(crate) check_every_s: u64,
    /// How soon again where a check found trouble or came to nothing.
    pub(crate) recheck_s: u64,
    /// How often housekeeping looks for destinations whose check is due.
    pub(crate) check_poll_s: u64,
    /// How long an account's sweep rests between two batches of copies that retention takes.
    pub(crate) retention_pause_s: u64,
    /// How many copies are in one such batch.
    pub(crate) retention_batch: u32,
    /// How long after somebody worked on a recording that is erased before it was stored what he
    /// sent may still arrive: what lies at its key is ended then.
    pub(crate) late_writes_s: u64,
}

impl Default for Drive {
    fn default() -> Self {
        Self {
            unacknowledged_s: 60,
            unreleased_s: 300,
            redrive_s: 600,
            redrive_cap_s: 6 * 3600,
            unannounced_s: 60,
            growing_s: 3600,
            outage_s: 60,
            trash_every_s: 30,
            trash_age_s: 60,
            hand_off_s: 600,
            reading_every_s: 15,
            sweep_every_s: 60,
            leftover_age_s: 3600,
            probe_s: 30,
            probe_cap_s: 120,
            settle_s: 5,
            check_every_s: 24 * 3600,
            recheck_s: 3600,
            check_poll_s: 30,
            retention_pause_s: 1,
            retention_batch: 16,
            late_writes_s: 360,
        }
    }
}

impl Drive {
    /// Every key.
    pub(super) fn shown(&self) -> Value {
        json!({
            "unacknowledged_s": self.unacknowledged_s,
            "unreleased_s": self.unreleased_s,
            "redrive_s": self.redrive_s,
            "redrive_cap_s": self.redrive_cap_s,
            "unannounced_s": self.unannounced_s,
            "growing_s": self.growing_s,
            "outage_s": self.outage_s,
            "trash_every_s": self.trash_every_s,
            "trash_age_s": self.trash_age_s,
            "hand_off_s": self.hand_off_s,
            "reading_every_s": self.reading_every_s,
            "sweep_every_s": self.sweep_every_s,
            "leftover_age_s": self.leftover_age_s,
            "probe_s": self.probe_s,
            "probe_cap_s": self.probe_cap_s,
            "settle_s": self.settle_s,
            "check_every_s": self.check_every_s,
            "recheck_s": self.recheck_s,
            "check_poll_s": self.check_poll_s,
            "retention_pause_s": self.retention_pause_s,
            "retention_batch": self.retention_batch,
            "late_writes_s": self.late_writes_s,
        })
    }
}
