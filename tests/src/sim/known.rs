//! Faults that the roles are known not to survive. Drawn runs leave them out, or every long run
//! would end at the same ones; told runs and `sim --known` do not. Whoever mends one deletes it
//! here, and the test that tells it.

use super::call::{Call, End};

/// Which known faults happen all the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// `Trash::take_over` renames and then fails (its `fsync`, say). Cleanup repeats it with the
    /// entry's old name, finds nothing, and takes that for "somebody was faster", although the
    /// entry carries this very lease's token: the original stays in the trash, unseen by this
    /// claim, which then says that it is not in its place. Told by `lost_take_over`.
    pub(crate) take_over_is_unknown: bool,
    /// Cleanup asks the fence once and then repeats `Trash::take_over` and `Trash::put_back` for
    /// as long as staging fails, past the end of its lease. `sim --known --seed 68`.
    pub(crate) moves_repeat_past_the_fence: bool,
    /// A cleanup freezes between its fence and its `rename`, and moves the original after its
    /// successor looked into the empty trash. The successor says "already gone", or that the copy
    /// is lost, and nobody takes the entry up: the ledger no longer calls the row stored, and the
    /// timer handles stored rows only. Told by `late_move`.
    pub(crate) moves_come_late: bool,
}

impl Known {
    /// None of them.
    pub(crate) const SPARED: Self = Self {
        take_over_is_unknown: false,
        moves_repeat_past_the_fence: false,
        moves_come_late: false,
    };

    /// All of them.
    pub(crate) const ALL: Self = Self {
        take_over_is_unknown: true,
        moves_repeat_past_the_fence: true,
        moves_come_late: true,
    };

    /// Whether a drawn request may end like this.
    pub(crate) fn allows(self, call: Call, end: End) -> bool {
        self.take_over_is_unknown || (call, end) != (Call::TakeOver, End::FailsAfter)
    }
}
