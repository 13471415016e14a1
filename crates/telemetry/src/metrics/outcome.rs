//! How deliveries end, by role.

use recording::RefusalReason;

use super::closed::{Closed, Label};
use super::words::words;

words! {
    /// How a delivery to transfer ends.
    pub TransferOutcome: "outcome", "how a delivery to transfer ends" {
        /// Copied, proven, recorded, acknowledged.
        Stored "stored",
        /// Recorded, and the process froze until its lease was over: the ledger goes on.
        StoredLate "stored_late",
        /// Recorded; the acknowledgment is not confirmed yet, and the ledger repeats it.
        StoredUnacknowledged "stored_unacknowledged",
        /// Parked.
        Parked "parked",
        /// Parked untried: its destination's breaker is open.
        Held "held",
        /// Parked by the claim itself: no destination covers it.
        NoDestination "no_destination",
        /// Another process has it, or its time has not come.
        Waits "waits",
        /// Stored before; nothing to do.
        Duplicate "duplicate",
        /// Stored before; its acknowledgment is published again.
        AcknowledgedAgain "acknowledged_again",
        /// The lease was lost to another process.
        Overtaken "overtaken",
        /// A drive for a recording without a row.
        NoRow "no_row",
        /// It went on in a process of its own.
        Isolated "isolated",
        /// Given back at a shutdown.
        GivenBack "given_back",
        /// Given back because the ledger or staging is down.
        Outage "outage",
        /// The message is refused: quarantine.
        Refused "refused",
    }
}

words! {
    /// How a delivery to cleanup, or an entry of the trash, ends.
    pub CleanupOutcome: "outcome", "how a delivery to cleanup ends" {
        /// The original is deleted.
        Released "released",
        /// It was gone already.
        AlreadyGone "already_gone",
        /// The original is kept: the release is refused.
        Refused "refused",
        /// The copy is provably gone: it is copied again.
        CopyLost "copy_lost",
        /// Another process has it, or its time has not come.
        Waits "waits",
        /// Not stored, any more or again: the ledger drives it.
        NotStored "not_stored",
        /// The lease was lost to another process.
        Overtaken "overtaken",
        /// A drive for a recording without a row.
        NoRow "no_row",
        /// An entry of the trash is back at its path.
        PutBack "put_back",
        /// An entry of the trash that nothing explains; it stays.
        TrashUnexplained "trash_unexplained",
        /// Given back because the ledger or staging is down.
        Outage "outage",
        /// The message is refused: quarantine.
        RefusedMessage "refused_message",
    }
}

/// How a delivery ends: the role is part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// In transfer.
    Transfer(TransferOutcome),
    /// In cleanup.
    Cleanup(CleanupOutcome),
    /// In the intake of quarantine: kept, for this reason.
    Intake(RefusalReason),
}

impl From<TransferOutcome> for Outcome {
    fn from(outcome: TransferOutcome) -> Self {
        Self::Transfer(outcome)
    }
}

impl From<CleanupOutcome> for Outcome {
    fn from(outcome: CleanupOutcome) -> Self {
        Self::Cleanup(outcome)
    }
}

impl From<RefusalReason> for Outcome {
    fn from(kept: RefusalReason) -> Self {
        Self::Intake(kept)
    }
}

impl Outcome {
    /// The role.
    #[must_use]
    pub fn role(self) -> &'static str {
        match self {
            Self::Transfer(_) => "transfer",
            Self::Cleanup(_) => "cleanup",
            Self::Intake(_) => "intake",
        }
    }

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transfer(outcome) => outcome.as_str(),
            Self::Cleanup(outcome) => outcome.as_str(),
            Self::Intake(reason) => reason.as_str(),
        }
    }
}

impl Closed for Outcome {
    fn labels() -> Vec<Label> {
        let every = Self::every();
        let distinct = |word: fn(Self) -> &'static str| {
            let mut words: Vec<_> = Vec::new();
            for word in every.iter().map(|outcome| word(*outcome)) {
                if !words.contains(&word) {
                    words.push(word);
                }
            }
            words
        };
        vec![
            Label {
                name: "role",
                what: "who handled a delivery",
                values: distinct(Self::role),
            },
            Label {
                name: "outcome",
                what: "how a delivery ended",
                values: distinct(Self::as_str),
            },
        ]
    }

    fn every() -> Vec<Self> {
        let transfer = TransferOutcome::ALL.iter().copied().map(Self::Transfer);
        let cleanup = CleanupOutcome::ALL.iter().copied().map(Self::Cleanup);
        let intake = RefusalReason::ALL.iter().copied().map(Self::Intake);
        transfer.chain(cleanup).chain(intake).collect()
    }

    fn values(self) -> Vec<&'static str> {
        vec![self.role(), self.as_str()]
    }
}
