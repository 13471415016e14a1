//! Uploads in parts: one that becomes an object, and one that must not because its key is taken,
//! which is looked at while it is open and aborted in the end.

use std::sync::LazyLock;

use bytes::Bytes;
use recording::{Capability, Fault, Look, ObjectKey, ParkReason, Permission, Purpose, SendOutcome};

use super::object::Stored;
use super::{PART_BYTES, Trial};
use crate::check::parcel::Parcel;
use crate::check::{FOLDER, PARTS_NAME, Stopped, of_store};
use crate::s3::{Bucket, Trial as Upload, TrialEnd};

/// The smallest object that needs two parts.
const TWO_PARTS: usize = 5 * 1024 * 1024 + 1;
/// It, once for all checks of a process.
static LARGE: LazyLock<Bytes> = LazyLock::new(|| vec![b'.'; TWO_PARTS].into());
/// Uploads of earlier checks that are aborted besides this one's.
const LEFTOVERS_MAX: usize = 5;

impl Trial<'_> {
    /// Tries uploads in parts. `gone`: what is stored may be deleted, so a large object may be.
    pub(super) async fn uploads(&self, stored: &Stored, gone: bool) -> Result<(), Stopped> {
        let book = self.subject.book;
        let key = match gone {
            true => self.subject.own_key(PARTS_NAME),
            false => stored.parcel.key.clone(),
        };
        if book.has_failed(Capability::Encryption) && stored.under_kms {
            // Putting parts together needs the key as reading does.
            return Err(Stopped);
        }
        let large = self.subject.parcel(key.clone(), LARGE.clone());
        drop(self.witness.take_versions());
        let made = self.two_parts(stored, &large, gone).await;
        if made {
            self.judge_whole(&large).await;
        }
        let small = self.subject.parcel(key, LARGE.slice(..1));
        self.taken(stored, &small, made || !gone).await;
        if gone {
            self.remove_large(&large).await;
        }
        Ok(())
    }

    /// Sends two parts and has them put together. Whether there is such an object then.
    async fn two_parts(&self, stored: &Stored, large: &Parcel, free: bool) -> bool {
        let book = self.subject.book;
        let sent = stored
            .write
            .send_parts(&large.outbound(), &self.budget, PART_BYTES)
            .await;
        match sent {
            Ok(SendOutcome::Sent(..)) if free => {
                book.passed(Capability::Multipart, "two parts became an object");
                true
            }
            // In place of the small object.
            Ok(SendOutcome::Sent(..)) => {
                book.passed(Capability::Multipart, "two parts became an object");
                self.overwritten();
                true
            }
            Ok(SendOutcome::Unclear(_, why)) if was_taken(&why) => {
                let detail = "two parts are taken, and refused only because their key is taken";
                book.passed(Capability::Multipart, detail);
                true
            }
            Ok(SendOutcome::Unclear(_, why)) => {
                let fault = Fault::new(ParkReason::OutcomeUnknown, why);
                self.fail(Capability::Multipart, &fault, &[]);
                false
            }
            Err(fault) => {
                let fault = of_store(fault);
                if stored.under_kms && fault.reason == ParkReason::AccessDenied {
                    self.fail(Capability::Encryption, &fault, &[Permission::Decrypt]);
                } else {
                    self.fail(Capability::Multipart, &fault, &[Permission::PutObject]);
                }
                false
            }
        }
    }

    /// The checksum of the whole must be reported also of what was sent in parts.
    async fn judge_whole(&self, large: &Parcel) {
        let book = self.subject.book;
        if !book.is_good(Capability::Checksum) {
            return;
        }
        let Ok(look) = self.bucket(Purpose::Look) else {
            return;
        };
        let expected = large.digests();
        match look.look(large.key.as_str()).await {
            // An earlier check's small object may have been in the way.
            Ok(Look::Present(seen)) if seen.size_bytes != expected.size_bytes => {}
            Ok(Look::Present(seen)) => match seen.crc64nvme {
                Some(reported) if reported == expected.crc64nvme => {}
                Some(_) => {
                    let detail = "look: the checksum of parts is not that of the whole";
                    let fault = Fault::new(ParkReason::DestinationRefused, detail);
                    self.fail(Capability::Checksum, &fault, &[]);
                }
                None => {
                    let detail = "the store reports no checksum of the whole for what is sent in \
                                  parts: each such copy is read back once";
                    book.warned(Capability::Checksum, detail, None);
                }
            },
            Ok(Look::Absent) => {
                let detail = "look: the parts were put together and are not there";
                let fault = Fault::new(ParkReason::CopyAbsent, detail);
                self.fail(Capability::Multipart, &fault, &[]);
            }
            Err(fault) => self.fail(Capability::Look, &fault, &[Permission::GetObject]),
        }
    }

    /// An upload to a key that is taken: listed, filled, refused, aborted.
    async fn taken(&self, stored: &Stored, small: &Parcel, is_taken: bool) {
        let outbound = small.outbound();
        let begun = stored.write.begin_trial(&outbound, PART_BYTES).await;
        let upload = match begun {
            Ok(upload) => upload,
            Err(fault) => {
                let fault = of_store(fault);
                self.fail(Capability::Multipart, &fault, &[Permission::PutObject]);
                return;
            }
        };
        let Ok(sweep) = self.must_reach(Capability::SweepUploads, Purpose::Sweep) else {
            return;
        };
        let leftovers = self.listed(&sweep, &upload).await;
        let listed = stored
            .write
            .list_parts(small.key.as_str(), upload.id())
            .await;
        if let Err(fault) = listed {
            let needs = [Permission::ListMultipartUploadParts];
            self.worth_a_word(Capability::Multipart, &fault, &needs);
        }
        let end = stored
            .write
            .end_trial(&outbound, &self.budget, &upload)
            .await;
        let book = self.subject.book;
        match end {
            Ok(TrialEnd::Taken) if is_taken => {
                let detail = "an upload in parts to a key that is taken is refused";
                book.passed(Capability::CreateOnlyMultipart, detail);
            }
            Ok(TrialEnd::Made) if is_taken => self.overwritten(),
            Ok(TrialEnd::Taken | TrialEnd::Made) => {}
            Ok(TrialEnd::Unclear(why)) => {
                let detail = format!("it cannot be told: {why}");
                let remedy = Some("check again later".to_owned());
                book.warned(Capability::CreateOnlyMultipart, detail, remedy);
            }
            Err(fault) => {
                let fault = of_store(fault);
                self.fail(Capability::Multipart, &fault, &[Permission::PutObject]);
            }
        }
        self.aborted(&sweep, small, &upload, leftovers).await;
    }

    fn overwritten(&self) {
        let detail = "complete: the store ignores If-None-Match there, so copies could be \
                      overwritten by an upload in parts";
        let fault = Fault::new(ParkReason::DestinationRefused, detail);
        self.fail(Capability::CreateOnlyMultipart, &fault, &[]);
    }

    /// Lists the open uploads below the check's folder: this one must be among them. The others of
    /// earlier checks.
    async fn listed(&self, sweep: &Bucket, upload: &Upload) -> Vec<(ObjectKey, String)> {
        let book = self.subject.book;
        let prefix = self.subject.key("");
        let listed = match sweep.open_uploads(prefix.as_str()).await {
            Ok(listed) => listed,
            Err(fault) => {
                let needs = [Permission::ListBucketMultipartUploads];
                self.fail(Capability::SweepUploads, &fault, &needs);
                return Vec::new();
            }
        };
        if !listed.iter().any(|open| open.upload_id == upload.id()) {
            let detail = "an open upload is not listed: leftovers would stay";
            let remedy = "let a lifecycle rule of the bucket end uploads after a week";
            book.warned(Capability::SweepUploads, detail, Some(remedy.to_owned()));
        }
        let others = listed.into_iter().filter(|open| {
            // Of a check that is over by now.
            let age = self.subject.shared.clock.now() - open.begun_at;
            open.upload_id != upload.id() && age > chrono::TimeDelta::minutes(10)
        });
        let others = others.map(|open| (open.key, open.upload_id));
        others.take(LEFTOVERS_MAX).collect()
    }

    async fn aborted(
        &self,
        sweep: &Bucket,
        small: &Parcel,
        upload: &Upload,
        leftovers: Vec<(ObjectKey, String)>,
    ) {
        let own = (small.key.clone(), upload.id().to_owned());
        for (key, upload_id) in std::iter::once(own).chain(leftovers) {
            debug_assert!(key.as_str().contains(FOLDER), "only a check's own");
            if let Err(fault) = sweep.abort(key.as_str(), &upload_id).await {
                let needs = [Permission::AbortMultipartUpload];
                self.fail(Capability::SweepUploads, &fault, &needs);
                let stays = "an upload of one byte stays open until a rule of the bucket ends it";
                self.subject.book.add(Capability::SweepUploads, stays);
                return;
            }
        }
        let book = self.subject.book;
        book.passed(Capability::SweepUploads, "listed and aborted");
    }

    /// Deletes what was put together, in each of its versions.
    async fn remove_large(&self, large: &Parcel) {
        let Ok(expire) = self.must_reach(Capability::Delete, Purpose::Expire) else {
            return;
        };
        let versions = self.witness.take_versions();
        let key = large.key.as_str();
        if versions.is_empty() {
            if let Err(fault) = expire.delete(key, None).await {
                self.fail(Capability::Delete, &fault, &[Permission::DeleteObject]);
            }
            return;
        }
        for version in versions {
            if let Err(fault) = expire.delete(key, Some(&version)).await {
                let needs = [Permission::DeleteObjectVersion];
                self.fail(Capability::DeleteVersion, &fault, &needs);
            }
        }
    }
}

/// Whether completing was refused because of what is at the key. The upload was aborted after that,
/// so the last answer is another one's.
fn was_taken(why: &str) -> bool {
    ["complete: 412", "complete: 409"]
        .iter()
        .any(|refusal| why.starts_with(refusal))
}
