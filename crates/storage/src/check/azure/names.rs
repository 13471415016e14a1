//! What the small probe of a check is called: something of its own where it can be deleted again,
//! and one name for all checks where it cannot.
//!
//! Unlike a bucket of S3, a container is not listed: many a SAS does not allow it. But Azure says
//! of a blob that nobody has whether it might be deleted, so that the name is known before anything
//! is stored. Where that is not the whole truth (an account that keeps versions, a policy that
//! keeps blobs), what stayed is put there under the common name as well, and later checks find it.
//! A check that is killed leaves at most one small blob and one of two blocks, a kilobyte, to be
//! deleted by hand; one that takes too long tidies up after itself.

use recording::{Look, ObjectKey, Purpose};

use super::{Trial, blob::Stored};
use crate::check::parcel::SMALL;
use crate::check::{OVER, PARTS_NAME, SMALL_NAME, Subject};
use crate::stores::Reached;

impl Trial<'_> {
    /// The key of the small probe.
    pub(super) async fn small_key(&self) -> ObjectKey {
        let subject = self.subject;
        let (own, common) = (subject.own_key(SMALL_NAME), subject.key(SMALL_NAME));
        let look = self.container(Purpose::Look);
        let (Ok(look), Ok(expire)) = (look, self.container(Purpose::Expire)) else {
            return common;
        };
        let may_delete = match look.look(common.as_str()).await {
            Ok(Look::Present(seen)) if seen.version_id.is_some() => false,
            // Somebody could not delete it. Maybe that can be done by now.
            Ok(Look::Present(_)) if self.is_old() => expire.delete(common.as_str()).await.is_ok(),
            // Of a blob that nobody has; nothing is left by that. What is young, another check may
            // just be sharing.
            Ok(Look::Present(_) | Look::Absent) | Err(_) => {
                expire.delete(own.as_str()).await.is_ok()
            }
        };
        match may_delete {
            true => own,
            false => common,
        }
    }

    /// Whether what the last look saw is shared by no check that is still busy.
    fn is_old(&self) -> bool {
        self.witness.age().is_some_and(|age| age > OVER)
    }

    /// A probe stays under a name of its own: later checks shall not leave another one each.
    pub(super) async fn leave_word(&self, stored: &Stored) {
        let common = self.subject.key(SMALL_NAME);
        if stored.parcel.key == common {
            return;
        }
        let Ok(write) = self.container(Purpose::Write) else {
            return;
        };
        let word = self.subject.parcel(common, SMALL.as_bytes());
        if let Err(fault) = write.send_whole(&word.outbound(), &self.budget).await {
            tracing::debug!(error = %fault, "the next check leaves another small blob");
        }
    }
}

/// Deletes what a check may have left that was cut short.
pub(in crate::check) async fn tidy(subject: Subject<'_>) {
    let (destination, account) = (subject.destination, subject.account);
    let reached = subject
        .shared
        .reached(destination, account, Purpose::Expire);
    let Ok(Reached::Azure(expire)) = reached else {
        return;
    };
    for name in [SMALL_NAME, PARTS_NAME] {
        let key = subject.own_key(name);
        if let Err(fault) = expire.delete(key.as_str()).await {
            tracing::debug!(detail = fault.detail, "what a check left stays");
        }
    }
}
