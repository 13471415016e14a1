//! What is left of stores that the shelf let go: credentials, which are small, good for an hour,
//! and dear to ask for anew, and what the store has shown. With more accounts than the shelf has
//! room for, this is what keeps STS at one call an hour for each account and purpose.
//!
//! Bounded by bytes. What ends soonest goes first, because it is worth least; what has ended goes
//! by itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AwsCredential;

use super::shelf::Label;
use crate::credentials::Issued;

/// What one credential takes besides its texts: the label twice, both maps' slots, the allocator.
const OVERHEAD_BYTES: usize = 400;

/// What a store that is built anew goes on with.
#[derive(Debug, Clone)]
pub(super) struct Left {
    /// The credential.
    pub(super) issued: Arc<Issued>,
    /// Whether the store has shown that it refuses a conditional PUT to a key that is taken.
    pub(super) has_shown: bool,
}

/// The same and when it ends.
#[derive(Debug)]
struct Kept {
    left: Left,
    name: (Duration, u64),
    bytes: usize,
}

/// The credentials.
#[derive(Debug)]
pub(super) struct Spare {
    kept: HashMap<Label, Kept>,
    /// By their end, and in the order in which they came.
    by_end: BTreeMap<(Duration, u64), Label>,
    bytes: usize,
    most_bytes: usize,
    came: u64,
}

fn weight(label: &Label, credential: &AwsCredential) -> usize {
    let token = credential.token.as_ref().map_or(0, String::len);
    let texts = credential.key_id.len() + credential.secret_key.len() + token;
    texts + 2 * label.account().as_str().len() + OVERHEAD_BYTES
}

impl Spare {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self {
            kept: HashMap::new(),
            by_end: BTreeMap::new(),
            bytes: 0,
            most_bytes,
            came: 0,
        }
    }

    /// Keeps what is left, in place of any other of the same label.
    pub(super) fn keep(&mut self, label: Label, left: Left, now: Duration) {
        self.take(&label);
        self.came = self.came.saturating_add(1);
        let name = (left.issued.ends_at(), self.came);
        let bytes = weight(&label, &left.issued.credential);
        self.bytes = self.bytes.saturating_add(bytes);
        self.by_end.insert(name, label.clone());
        self.kept.insert(label, Kept { left, name, bytes });
        while self.has_too_much(now) {
            let Some((_, label)) = self.by_end.pop_first() else {
                return;
            };
            if let Some(gone) = self.kept.remove(&label) {
                self.bytes = self.bytes.saturating_sub(gone.bytes);
            }
        }
    }

    fn has_too_much(&self, now: Duration) -> bool {
        let first = self.by_end.first_key_value();
        self.bytes > self.most_bytes || first.is_some_and(|((end, _), _)| *end <= now)
    }

    /// Hands it out, for a store that is built anew.
    pub(super) fn take(&mut self, label: &Label) -> Option<Left> {
        let kept = self.kept.remove(label)?;
        self.by_end.remove(&kept.name);
        self.bytes = self.bytes.saturating_sub(kept.bytes);
        Some(kept.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use recording::Purpose;

    fn label(revision: i64) -> Label {
        Label::of(
            (revision, revision),
            &"acme".parse().unwrap(),
            Purpose::Look,
        )
    }

    fn left(life_s: u64, token: usize) -> Left {
        let credential = AwsCredential {
            key_id: "AKIDLAB".to_owned(),
            secret_key: "laboratory-only".to_owned(),
            token: Some("t".repeat(token)),
        };
        let life = Duration::from_secs(life_s);
        Left {
            issued: Arc::new(Issued::new(credential, Duration::ZERO, life)),
            has_shown: true,
        }
    }

    #[test]
    fn what_is_kept_is_handed_out_once() {
        let mut spare = Spare::new(1 << 20);
        let kept = left(3600, 100);
        spare.keep(label(1), kept.clone(), Duration::ZERO);
        assert!(spare.take(&label(2)).is_none());
        let taken = spare.take(&label(1)).unwrap();
        assert!(Arc::ptr_eq(&taken.issued, &kept.issued) && taken.has_shown);
        assert!(spare.take(&label(1)).is_none());
        assert_eq!((spare.bytes, spare.by_end.len()), (0, 0));
    }

    #[test]
    fn what_ends_soonest_goes_first_and_what_has_ended_goes_by_itself() {
        let mut spare = Spare::new(3 * (1000 + OVERHEAD_BYTES + 30));
        for (revision, life) in [(1, 3000), (2, 2000), (3, 3600)] {
            spare.keep(label(revision), left(life, 1000), Duration::ZERO);
        }
        assert_eq!(spare.kept.len(), 3);
        spare.keep(label(4), left(3600, 1000), Duration::ZERO);
        assert!(spare.take(&label(2)).is_none(), "it ends soonest");
        assert_eq!(spare.kept.len(), 3);
        spare.keep(label(5), left(7200, 10), Duration::from_secs(3500));
        let labels: Vec<_> = spare.kept.keys().cloned().collect();
        assert_eq!(labels, [label(5)], "the others have ended");
        assert!(spare.bytes <= spare.most_bytes);
    }
}
