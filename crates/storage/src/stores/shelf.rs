//! Built buckets, a bounded number of them: what was not used for longest goes first.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use recording::{AccountId, Destination, Fault, Purpose};

use super::Reached;

/// What tells one built bucket from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Label {
    revision: i64,
    account: AccountId,
    purpose: Purpose,
}

impl Label {
    pub(super) fn new(destination: &Destination, account: &AccountId, purpose: Purpose) -> Self {
        Self {
            revision: destination.revision,
            account: account.clone(),
            purpose,
        }
    }
}

#[derive(Debug)]
struct Built {
    /// What it was built from. A revision never changes, but one that is only being tried out
    /// has no number of its own yet.
    destination: Destination,
    reached: Reached,
    /// When it was used last, in uses of the shelf.
    used: u64,
}

#[derive(Debug, Default)]
struct Kept {
    built: HashMap<Label, Built>,
    uses: u64,
}

/// The shelf.
#[derive(Debug)]
pub(super) struct Shelf {
    kept: Mutex<Kept>,
    most: usize,
}

impl Shelf {
    pub(super) fn new(most: usize) -> Self {
        Self {
            kept: Mutex::default(),
            most: most.max(1),
        }
    }

    /// The bucket of this label, built if it is not there.
    pub(super) fn get(
        &self,
        label: &Label,
        destination: &Destination,
        build: impl FnOnce() -> Result<Reached, Fault>,
    ) -> Result<Reached, Fault> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses = kept.uses.saturating_add(1);
        let used = kept.uses;
        if let Some(built) = kept.built.get_mut(label)
            && built.destination == *destination
        {
            built.used = used;
            return Ok(built.reached.clone());
        }
        let reached = build()?;
        if kept.built.len() >= self.most && !kept.built.contains_key(label) {
            kept.drop_oldest();
        }
        let built = Built {
            destination: destination.clone(),
            reached: reached.clone(),
            used,
        };
        kept.built.insert(label.clone(), built);
        Ok(reached)
    }
}

impl Kept {
    /// Whoever still uses it keeps it alive; it is only not found any more.
    fn drop_oldest(&mut self) {
        let oldest = self.built.iter().min_by_key(|(_, built)| built.used);
        if let Some(label) = oldest.map(|(label, _)| label.clone()) {
            self.built.remove(&label);
        }
    }
}
