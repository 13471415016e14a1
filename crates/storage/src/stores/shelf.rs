//! Built buckets, a bounded number of them: what was not used for longest goes first, and leaves
//! its credential behind.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use recording::{AccountId, Destination, Fault, Purpose, Store};

use super::Reached;
use super::spare::{Left, Spare};

/// What tells one built bucket from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Label {
    revision: i64,
    /// A session of another role or secret is another's, also at the same place.
    credential_revision: i64,
    account: AccountId,
    purpose: Purpose,
}

impl Label {
    pub(super) fn new(destination: &Destination, account: &AccountId, purpose: Purpose) -> Self {
        let revisions = (destination.revision, destination.credential_revision);
        Self::of(revisions, account, purpose)
    }

    pub(super) fn of(
        (revision, credential_revision): (i64, i64),
        account: &AccountId,
        purpose: Purpose,
    ) -> Self {
        Self {
            revision,
            credential_revision,
            account: account.clone(),
            purpose,
        }
    }

    pub(super) fn account(&self) -> &AccountId {
        &self.account
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

#[derive(Debug)]
struct Kept {
    built: HashMap<Label, Built>,
    uses: u64,
    spare: Spare,
}

/// The shelf.
#[derive(Debug)]
pub(super) struct Shelf {
    kept: Mutex<Kept>,
    most: usize,
}

impl Shelf {
    /// At most `most` buckets, and as many bytes of credentials of those that had to go.
    pub(super) fn new(most: usize, credential_bytes: usize) -> Self {
        Self {
            kept: Mutex::new(Kept {
                built: HashMap::new(),
                uses: 0,
                spare: Spare::new(credential_bytes),
            }),
            most: most.max(1),
        }
    }

    /// The bucket of this label, built if it is not there: with what is left of one that was
    /// there before.
    pub(super) fn get(
        &self,
        label: &Label,
        destination: &Destination,
        now: Duration,
        build: impl FnOnce(Option<Left>) -> Result<Reached, Fault>,
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
        let reached = build(kept.spare.take(label))?;
        if kept.built.len() >= self.most && !kept.built.contains_key(label) {
            kept.drop_oldest(now);
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
    fn drop_oldest(&mut self, now: Duration) {
        let oldest = self.built.iter().min_by_key(|(_, built)| built.used);
        let Some(label) = oldest.map(|(label, _)| label.clone()) else {
            return;
        };
        let left = self.built.remove(&label).and_then(Built::left);
        if let Some(left) = left {
            self.spare.keep(label, left, now);
        }
    }
}

impl Built {
    /// What may be used again: a credential that STS issued for exactly this label. A revision
    /// that is only tried out names nothing that will come again.
    fn left(self) -> Option<Left> {
        match (&self.destination.store, self.reached) {
            (Store::S3(s3), Reached::S3(bucket))
                if s3.role_arn.is_some() && self.destination.revision > 0 =>
            {
                let has_shown = bucket.has_shown();
                let issued = bucket.credential()?;
                Some(Left { issued, has_shown })
            }
            (Store::S3(_) | Store::Azure(_), Reached::S3(_) | Reached::Azure(_)) => None,
        }
    }
}
