//! How many checks of destinations run at a time, and how many previews of retention: one of each
//! owner's, and few in all. A check costs some megabytes, a minute at worst, and a handful of
//! sessions at the token service; a preview a connection to the ledger for up to two minutes.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use recording::DestinationOwner;

use super::problem::Problem;

/// At a time, in this process.
const MOST: usize = 3;
/// A check of a store that answers is over by then, in seconds.
const RETRY_AFTER_S: u64 = 10;

/// What is said to whoever has to wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    /// One of the same owner's is on its way.
    own: &'static str,
    /// Enough of others' are.
    others: &'static str,
    /// What helps.
    hint: &'static str,
}

/// Of checks.
pub(super) const DESTINATIONS: Words = Words {
    own: "a destination of this owner is being checked already",
    others: "enough destinations are being checked already",
    hint: "ask again when that is over: a check takes seconds, and a minute at worst",
};
/// Of previews.
pub(super) const PREVIEWS: Words = Words {
    own: "retention of this account is being previewed already",
    others: "enough previews are being made already",
    hint: "ask again when that is over: it looks at everything that falls due",
};

/// Whose destinations are being checked, or whose retention previewed.
#[derive(Debug)]
pub(super) struct Checks {
    words: Words,
    busy: Mutex<HashSet<DestinationOwner>>,
}

/// One that is running. Dropping it lets the next one.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    checks: &'a Checks,
    owner: DestinationOwner,
}

impl Checks {
    /// Nothing runs yet.
    pub(super) fn new(words: Words) -> Self {
        Self {
            words,
            busy: Mutex::default(),
        }
    }

    /// Takes a turn.
    ///
    /// # Errors
    /// One of the owner's is running already, or enough of others' are.
    pub(super) fn turn(&self, owner: &DestinationOwner) -> Result<Turn<'_>, Problem> {
        let mut busy = self.lock();
        let why = if busy.contains(owner) {
            self.words.own
        } else if busy.len() >= MOST {
            self.words.others
        } else {
            busy.insert(owner.clone());
            return Ok(Turn {
                checks: self,
                owner: owner.clone(),
            });
        };
        Err(Problem::too_often(why)
            .hint(self.words.hint)
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
        let checks = Checks::new(DESTINATIONS);
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
