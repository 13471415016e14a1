//! How many checks of destinations run at a time: one of each owner's, and few in all. Each costs
//! some megabytes, a minute at worst, and a handful of sessions at the token service.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use recording::DestinationOwner;

use super::problem::Problem;

/// At a time, in this process.
const MOST: usize = 3;
/// A check of a store that answers is over by then, in seconds.
const RETRY_AFTER_S: u64 = 10;

/// Whose destinations are being checked.
#[derive(Debug, Default)]
pub(super) struct Checks {
    busy: Mutex<HashSet<DestinationOwner>>,
}

/// A check that is running. Dropping it lets the next one.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    checks: &'a Checks,
    owner: DestinationOwner,
}

impl Checks {
    /// Takes a turn.
    ///
    /// # Errors
    /// The owner's destination is being checked already, or enough others are.
    pub(super) fn turn(&self, owner: &DestinationOwner) -> Result<Turn<'_>, Problem> {
        let mut busy = self.lock();
        let why = if busy.contains(owner) {
            "a destination of this owner is being checked already"
        } else if busy.len() >= MOST {
            "enough destinations are being checked already"
        } else {
            busy.insert(owner.clone());
            return Ok(Turn {
                checks: self,
                owner: owner.clone(),
            });
        };
        Err(Problem::too_often(why)
            .hint("ask again when that is over: a check takes seconds, and a minute at worst")
            .again_in(RETRY_AFTER_S))
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<DestinationOwner>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.checks.lock().remove(&self.owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str) -> DestinationOwner {
        DestinationOwner::Account(name.parse().unwrap())
    }

    #[test]
    fn one_of_each_owner_and_few_in_all_are_checked_at_a_time() {
        let checks = Checks::default();
        let first = checks.turn(&owner("acme")).unwrap();
        assert!(checks.turn(&owner("acme")).is_err());
        let _default = checks.turn(&DestinationOwner::Default).unwrap();
        let _third = checks.turn(&owner("globex")).unwrap();
        assert!(checks.turn(&owner("initech")).is_err());
        drop(first);
        assert!(checks.turn(&owner("initech")).is_ok());
        assert!(checks.turn(&owner("acme")).is_ok());
    }
}
