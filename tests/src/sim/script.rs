//! Scripts: what goes wrong at exactly which request, for the scenarios that are told rather than
//! drawn.

use std::time::Duration;

use super::call::{Call, End};
use super::process::Role;

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Then {
    /// The request ends like this.
    Ends(End),
    /// The caller is held up before the request is sent; the process goes on otherwise.
    Held(Duration),
    /// The calling process freezes before anything of the request is done.
    FreezesBefore(Duration),
    /// The calling process freezes as soon as the request is sent; it is done meanwhile.
    FreezesAfter(Duration),
}

/// When.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    /// At this request, counted over all processes from 1.
    Step(u64),
    /// At the nth such request, from 1, of all processes of this role.
    Nth(Role, Call, u64),
}

/// Once, when it is due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    when: When,
    then: Then,
    seen: u64,
}

impl Rule {
    pub(crate) fn new(when: When, then: Then) -> Self {
        Self {
            when,
            then,
            seen: 0,
        }
    }

    /// What happens at this request, if it is the one.
    pub(crate) fn due(&mut self, step: u64, role: Role, call: Call) -> Option<Then> {
        let now = match self.when {
            When::Step(at) => at == step,
            When::Nth(at_role, at_call, nth) if at_role == role && at_call == call => {
                self.seen = self.seen.saturating_add(1);
                self.seen == nth
            }
            When::Nth(..) => false,
        };
        now.then_some(self.then)
    }
}
