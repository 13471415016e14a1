//! What a role can ask of the outside, one word per kind of request, and what can become of it.

use std::time::Duration;

use super::dice::Dice;

/// A neighbour whose requests fail together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Port {
    /// The ledger.
    Ledger,
    /// The broker.
    Broker,
    /// Staging.
    Staging,
    /// The customers' buckets.
    Bucket,
}

impl Port {
    /// Every neighbour.
    pub(crate) const ALL: [Self; 4] = [Self::Ledger, Self::Broker, Self::Staging, Self::Bucket];
}

macro_rules! calls {
    ($($port:ident { $($name:ident,)+ })+) => {
        /// One kind of request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Call { $($($name,)+)+ }

        impl Call {
            /// Every kind, for the table of what was covered.
            pub(crate) const ALL: &'static [Self] = &[$($(Self::$name,)+)+];

            /// Whom it is made to.
            pub(crate) fn port(self) -> Port {
                match self { $($(Self::$name => Port::$port,)+)+ }
            }
        }
    };
}

calls! {
    Ledger {
        Claim, ClaimDue, Renew, UploadBegun, UploadLanded, Lend, ChildDied, Store, Park, GiveBack,
        ClaimRelease, Release, RefuseRelease, CopyLost, Due, Undrive, Announcements, Sweeps, Swept,
        KnownUpload, Reroutable, Reroute, DueNow, Reading, Quarantine, Requeues, Requeued,
        LedgerProbe, Hold, TendBreakers, HealthAnnouncements, HealthAnnounced, Checks, Checked,
    }
    Broker { Publish, Ready, Settle, }
    Staging {
        Open, Read, StillSame, StagingProbe, TrashFind, TrashList, TakeOver, MoveIn, Compare,
        InPlace, PutBack, Unlink,
    }
    Bucket {
        AbortUpload, ListUploads, BeginUpload, PutPart, Complete, Put, Look, ReadBack, Check,
    }
}

impl Call {
    /// Whether housekeeping or a timer asks it all the time, also when there is nothing to do:
    /// faults there would drown the others.
    pub(crate) fn is_idle(self) -> bool {
        matches!(
            self,
            Self::Due
                | Self::Announcements
                | Self::Requeues
                | Self::Ready
                | Self::TrashList
                | Self::Sweeps
                | Self::Reading
                | Self::TendBreakers
                | Self::HealthAnnouncements
                | Self::Checks
        )
    }
}

impl Call {
    /// Whether it is made only when something went wrong before: faults there are wanted more.
    pub(crate) fn is_rare(self) -> bool {
        matches!(
            self,
            Self::ClaimDue
                | Self::UploadBegun
                | Self::UploadLanded
                | Self::Lend
                | Self::ChildDied
                | Self::Swept
                | Self::KnownUpload
                | Self::Reroute
                | Self::DueNow
                | Self::ListUploads
                | Self::Park
                | Self::GiveBack
                | Self::RefuseRelease
                | Self::CopyLost
                | Self::Undrive
                | Self::Requeued
                | Self::LedgerProbe
                | Self::StagingProbe
                | Self::TakeOver
                | Self::InPlace
                | Self::PutBack
                | Self::AbortUpload
                | Self::ReadBack
                | Self::Hold
                | Self::HealthAnnounced
                | Self::Checked
                | Self::Check
        )
    }
}

/// How one request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// It is done and the caller hears of it.
    Works,
    /// It is not done; the caller hears of a failure.
    FailsBefore,
    /// It is done; the caller hears of a failure.
    FailsAfter,
    /// The calling process dies before it is done.
    CrashesBefore,
    /// The calling process dies after it is done.
    CrashesAfter,
}

impl End {
    /// Every end, for the table of what was covered.
    pub(crate) const ALL: [Self; 5] = [
        Self::Works,
        Self::FailsBefore,
        Self::FailsAfter,
        Self::CrashesBefore,
        Self::CrashesAfter,
    ];
}

impl End {
    /// Anything but well, with every kind of request: half of them the rare ones.
    pub(crate) fn favourite(dice: &mut Dice) -> (Call, Self) {
        let rare: Vec<Call> = Call::ALL.iter().copied().filter(|c| c.is_rare()).collect();
        let calls = if dice.coin() { &rare } else { Call::ALL };
        let ends = [
            Self::FailsBefore,
            Self::FailsAfter,
            Self::CrashesBefore,
            Self::CrashesAfter,
        ];
        let call = dice.pick(calls, Call::Store);
        (call, dice.pick(&ends, Self::CrashesAfter))
    }
}

/// What becomes of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fate {
    /// How it ends.
    pub(crate) end: End,
    /// How long the caller is held up before it is sent; a crash meanwhile means never.
    pub(crate) hold: Duration,
    /// How long it is under way; it arrives whatever becomes of the caller.
    pub(crate) transit: Duration,
    /// How long the answer is under way.
    pub(crate) answer: Duration,
    /// It is sent although the process is frozen already: frozen right after it.
    pub(crate) through: bool,
}

impl Fate {
    /// At once and well.
    pub(crate) const PLAIN: Self = Self {
        end: End::Works,
        hold: Duration::ZERO,
        transit: Duration::ZERO,
        answer: Duration::ZERO,
        through: false,
    };

    /// Whether it takes longer than anybody expects.
    pub(crate) fn is_late(&self) -> bool {
        self.hold + self.transit + self.answer >= Duration::from_secs(1)
    }
}

/// How a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It was not done.
    Before,
    /// It was done.
    After,
}
