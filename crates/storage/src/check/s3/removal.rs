//! The object's end: each version of it, and itself. Where something may not be deleted, the object
//! stays as it is and later checks find it.

use recording::{Capability, Fault, ParkReason, Permission, Purpose};

use super::Trial;
use super::object::Stored;

impl Trial<'_> {
    /// Whether it is gone.
    pub(super) async fn remove_small(&self, stored: &Stored) -> bool {
        let book = self.subject.book;
        let gone = match stored.versions.as_slice() {
            [] => {
                let detail = "the bucket keeps no versions";
                book.passed(Capability::Versioning, detail);
                book.not_applicable(Capability::DeleteVersion, detail);
                self.delete(stored).await
            }
            versions => {
                book.passed(Capability::Versioning, "the bucket keeps versions");
                self.delete_versions(stored, versions).await
            }
        };
        if !gone {
            let stays = format!("one small object stays: {}", stored.parcel.key);
            for capability in [Capability::Delete, Capability::DeleteVersion] {
                if book.has_failed(capability) {
                    book.add(capability, &stays);
                }
            }
            return false;
        }
        self.is_gone(stored).await;
        true
    }

    async fn delete(&self, stored: &Stored) -> bool {
        let Ok(expire) = self.must_reach(Capability::Delete, Purpose::Expire) else {
            return false;
        };
        match expire.delete(stored.parcel.key.as_str(), None).await {
            Ok(()) => {
                self.subject.book.passed(Capability::Delete, "deleted");
                true
            }
            Err(fault) => {
                self.fail(Capability::Delete, &fault, &[Permission::DeleteObject]);
                false
            }
        }
    }

    async fn delete_versions(&self, stored: &Stored, versions: &[String]) -> bool {
        let key = stored.parcel.key.as_str();
        let Ok(expire) = self.must_reach(Capability::DeleteVersion, Purpose::Expire) else {
            return false;
        };
        let book = self.subject.book;
        match expire.list_versions(key).await {
            Ok(()) => book.passed(Capability::DeleteVersion, "its versions are listed"),
            Err(fault) => {
                let needs = [Permission::ListBucketVersions];
                self.fail(Capability::DeleteVersion, &fault, &needs);
            }
        }
        for version in versions {
            let Err(fault) = expire.delete(key, Some(version)).await else {
                continue;
            };
            if self.witness.last().locked {
                self.locked("a version may not be deleted before its lock ends");
                let detail = "the lock stands in the way: it cannot be told what else would";
                book.warned(Capability::DeleteVersion, detail, None);
                self.delete_by_marker(stored).await;
                return false;
            }
            let needs = [Permission::DeleteObjectVersion];
            self.fail(Capability::DeleteVersion, &fault, &needs);
            // A marker would hide the object, and every check would add another one.
            let detail = "not tried, because `delete_version` failed and a marker would stay";
            book.skipped(Capability::Delete, detail);
            return false;
        }
        book.passed(Capability::DeleteVersion, "each version is deleted");
        self.delete_by_marker(stored).await;
        true
    }

    /// Deletes as in a bucket without versions, which leaves a marker here, and the marker.
    async fn delete_by_marker(&self, stored: &Stored) {
        drop(self.witness.take_versions());
        if !self.delete(stored).await {
            return;
        }
        let Ok(expire) = self.must_reach(Capability::DeleteVersion, Purpose::Expire) else {
            return;
        };
        for marker in self.witness.take_versions() {
            let key = stored.parcel.key.as_str();
            if let Err(fault) = expire.delete(key, Some(&marker)).await {
                let needs = [Permission::DeleteObjectVersion];
                self.fail(Capability::DeleteVersion, &fault, &needs);
            }
        }
    }

    /// Looks that it is gone, as far as that may be seen.
    async fn is_gone(&self, stored: &Stored) {
        let book = self.subject.book;
        if !book.is_good(Capability::List) || !book.is_good(Capability::Delete) {
            return;
        }
        let Ok(expire) = self.bucket(Purpose::Expire) else {
            return;
        };
        match expire.lists(stored.parcel.key.as_str()).await {
            Ok(false) => book.add(Capability::Delete, "and gone"),
            Ok(true) => {
                let detail = "delete: the store said yes, and the object is still listed";
                let fault = Fault::new(ParkReason::DestinationRefused, detail);
                self.fail(Capability::Delete, &fault, &[]);
            }
            Err(fault) => book.warned(
                Capability::Delete,
                format!(
                    "deleted; whether it is gone cannot be seen: {}",
                    fault.detail
                ),
                None,
            ),
        }
    }

    /// The bucket locks what is stored.
    pub(super) fn locked(&self, how: &str) {
        let remedy = "copies can be deleted only when the bucket's lock ends: let it be no longer \
                      than the retention of the account";
        let detail = format!("{how}; what is stored cannot be deleted before");
        let book = self.subject.book;
        book.warned(Capability::Lock, detail, Some(remedy.to_owned()));
    }
}
