//! What the small probe of a check is called: something of its own, or what an earlier check could
//! not delete.
//!
//! What a check that was cut short left behind is listed, and deleted once that check must be over.
//! What may not be deleted is shared from then on: one small object stays, however often it is
//! checked, and nobody can take it from under another check. Only checks within two minutes of each
//! other may leave one each, since of a young one it is not known whose it is.

use recording::{ObjectKey, Purpose};

use super::Trial;
use crate::check::parcel::SMALL;
use crate::check::{OVER, PARTS_NAME, SMALL_NAME};
use crate::staging::bucket::object::Line;

/// Leftovers that one check deletes at most.
const LEFTOVERS_MAX: usize = 5;
/// Small probes of others that are busy, or cannot delete theirs and checked a moment ago: beyond
/// these no more are added.
const YOUNG_MAX: usize = 8;

impl Trial<'_> {
    /// The key of the small probe. `listed`: what lies in the check's folder, if it may be listed.
    pub(super) async fn small_key(&self, listed: Option<Vec<Line>>) -> ObjectKey {
        let Some(listed) = listed else {
            // What stayed could not be found again by any other name.
            return self.subject.key(SMALL_NAME);
        };
        let folder = self.subject.folder();
        let now = self.witness.server_time();
        let ours = listed
            .into_iter()
            .filter(|line| line.key.strip_prefix(&folder).is_some_and(is_ours));
        let (old, young): (Vec<_>, Vec<_>) = ours.partition(|line| now - line.modified > OVER);
        for leftover in old.iter().take(LEFTOVERS_MAX) {
            if !self.is_tidied(&leftover.key).await {
                if let Some(stays) = old.iter().find(|line| is_small(line)) {
                    return ObjectKey::remembered(stays.key.clone());
                }
                break;
            }
        }
        let mut small = young.into_iter().filter(is_small);
        match small.nth(YOUNG_MAX) {
            Some(another) => ObjectKey::remembered(another.key),
            None => self.subject.own_key(SMALL_NAME),
        }
    }

    /// Deletes a leftover: the version that is seen, where the bucket keeps versions. Whether it
    /// may be deleted; what else there is to say is said of this check's own probe.
    async fn is_tidied(&self, key: &str) -> bool {
        let (Ok(look), Ok(expire)) = (self.bucket(Purpose::Look), self.bucket(Purpose::Expire))
        else {
            return false;
        };
        let Ok(seen) = look.head(key).await else {
            return false;
        };
        let deleted = expire.delete(key, seen.version_id.as_deref()).await;
        drop(self.witness.take_versions());
        deleted.is_ok()
    }
}

fn is_small(line: &Line) -> bool {
    u64::try_from(SMALL.len()) == Ok(line.size_bytes)
}

/// Whether a name within the folder is a probe's, of this release or an earlier one.
fn is_ours(name: &str) -> bool {
    let name = name.strip_prefix("other-").unwrap_or(name);
    let of = |kind: &str| {
        name.strip_prefix(kind).is_some_and(|rest| {
            let id = rest.strip_prefix('-');
            rest.is_empty() || id.is_some_and(|id| id.len() == 32 && is_hex(id))
        })
    };
    of(SMALL_NAME) || of(PARTS_NAME)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_probes_of_checks_are_leftovers() {
        let id = "0123456789abcdef0123456789abcdef";
        for ours in ["object", "parts", "other-object", "other-parts"] {
            assert!(is_ours(ours), "{ours}");
        }
        assert!(is_ours(&format!("object-{id}")) && is_ours(&format!("parts-{id}")));
        for foreign in ["", "object-", "objects", "object-1", "parts/x", "notes.txt"] {
            assert!(!is_ours(foreign), "{foreign}");
        }
        assert!(!is_ours(&format!("object-{id}.wav")));
    }
}
