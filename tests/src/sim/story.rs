//! Stories: runs that are told, not drawn. One plain recording, and exactly one or two things
//! that go wrong.

use std::time::Duration;

use super::call::{Call, End};
use super::process::Role;
use super::producer::Oddity;
use super::run::{Report, Told, tell};
use super::script::{Rule, Then, When};

/// Where the slower twin freezes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slow {
    /// Opening the original.
    Open,
    /// Reading it.
    Read,
    /// Sending it.
    Put,
    /// Looking at the copy.
    Look,
    /// Recording the receipt.
    Store,
    /// Publishing the acknowledgment.
    Publish,
}

impl Slow {
    /// Every place.
    pub const ALL: [Self; 6] = [
        Self::Open,
        Self::Read,
        Self::Put,
        Self::Look,
        Self::Store,
        Self::Publish,
    ];

    fn call(self) -> Call {
        match self {
            Self::Open => Call::Open,
            Self::Read => Call::Read,
            Self::Put => Call::Put,
            Self::Look => Call::Look,
            Self::Store => Call::Store,
            Self::Publish => Call::Publish,
        }
    }
}

/// On which side of the effect it freezes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frozen {
    /// The request leaves when the process wakes.
    Before,
    /// The request is done, and the process hears of it when it wakes.
    After,
}

/// A transfer claims one recording and freezes for an hour, far past its lease; its twin takes
/// over, and cleanup releases the original long before it wakes.
///
/// # Errors
/// There is no runtime to be had.
pub fn slower_twin(slow: Slow, frozen: Frozen) -> std::io::Result<Report> {
    let hour = Duration::from_secs(3600);
    let then = match frozen {
        Frozen::Before => Then::FreezesBefore(hour),
        Frozen::After => Then::FreezesAfter(hour),
    };
    let rule = Rule::new(When::Nth(Role::Transfer, slow.call(), 1), then);
    tell(Told {
        script: vec![rule],
        oddity: Oddity::Plain,
        deleted_at: None,
        trace: true,
    })
}

/// The process that makes these requests dies at each: before it is done, or after.
///
/// # Errors
/// There is no runtime to be had.
pub fn crash_at(steps: &[(u64, Frozen)], trace: bool) -> std::io::Result<Report> {
    let rule = |(step, side): &(u64, Frozen)| {
        let end = match side {
            Frozen::Before => End::CrashesBefore,
            Frozen::After => End::CrashesAfter,
        };
        Rule::new(When::Step(*step), Then::Ends(end))
    };
    tell(Told {
        script: steps.iter().map(rule).collect(),
        oddity: Oddity::Plain,
        deleted_at: None,
        trace,
    })
}

/// How many requests one plain recording takes until it is released, and nothing goes wrong.
///
/// # Errors
/// There is no runtime to be had.
pub fn steps_of_one() -> std::io::Result<Report> {
    crash_at(&[], true)
}

/// A cleanup freezes right before it moves the original into the trash, for `time`; its twin has
/// looked into the empty trash by then and is held up at its second look.
///
/// # Errors
/// There is no runtime to be had.
pub fn late_move(time: Duration) -> std::io::Result<Report> {
    let nth = |call, nth, then| Rule::new(When::Nth(Role::Cleanup, call, nth), then);
    tell(Told {
        script: vec![
            nth(Call::MoveIn, 1, Then::FreezesBefore(time)),
            nth(Call::Look, 2, Then::Held(Duration::from_secs(40))),
        ],
        oddity: Oddity::Plain,
        deleted_at: None,
        trace: true,
    })
}

/// A cleanup dies with the original in the trash, and the customer deletes the copy; the
/// successor renames the entry, and the rename's answer is lost.
///
/// # Errors
/// There is no runtime to be had.
pub fn lost_take_over() -> std::io::Result<Report> {
    let nth = |call, end| Rule::new(When::Nth(Role::Cleanup, call, 1), Then::Ends(end));
    tell(Told {
        script: vec![
            nth(Call::MoveIn, End::CrashesAfter),
            nth(Call::TakeOver, End::FailsAfter),
        ],
        oddity: Oddity::Plain,
        deleted_at: Some(Duration::from_secs(60)),
        trace: true,
    })
}

/// A cleanup freezes right before it moves the original into the trash; the customer deletes the
/// copy; the successor says that it is lost, and then the original is moved.
///
/// # Errors
/// There is no runtime to be had.
pub fn late_move_after_the_loss() -> std::io::Result<Report> {
    let frozen = Then::FreezesBefore(Duration::from_secs(306));
    tell(Told {
        script: vec![Rule::new(When::Nth(Role::Cleanup, Call::MoveIn, 1), frozen)],
        oddity: Oddity::Plain,
        deleted_at: Some(Duration::from_secs(60)),
        trace: true,
    })
}

/// A cleanup dies with the original in the trash, another file is put at its path, and the
/// customer deletes the copy.
///
/// # Errors
/// There is no runtime to be had.
pub fn taken_path() -> std::io::Result<Report> {
    let dies = Then::Ends(End::CrashesAfter);
    tell(Told {
        script: vec![Rule::new(When::Nth(Role::Cleanup, Call::MoveIn, 1), dies)],
        oddity: Oddity::Replaced,
        deleted_at: Some(Duration::from_secs(60)),
        trace: true,
    })
}
