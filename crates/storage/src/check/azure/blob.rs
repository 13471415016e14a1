//! One small blob: stored, stored again, looked at, read back, read by a signed URL, deleted.

use recording::{
    Capability, Fault, Look, ObjectKey, Observed, Operation, ParkReason, Purpose, SendOutcome,
};
use uuid::Uuid;

use super::Trial;
use crate::azure::{Container, refusal};
use crate::check::parcel::{Parcel, SMALL};
use crate::check::{Stopped, of_store, played};
use crate::exchange::Trouble;
use crate::signed::Overrides;

/// The blob as it was stored.
pub(super) struct Stored {
    pub(super) parcel: Parcel,
    /// Whether the account keeps versions.
    pub(super) versioned: bool,
}

impl Trial<'_> {
    /// Stores it, create-only, and tries to store it again.
    pub(super) async fn store_small(&self, key: ObjectKey) -> Result<Stored, Stopped> {
        let write = self.must_reach(Capability::Put, Purpose::Write)?;
        let stored = Stored {
            parcel: self.subject.parcel(key, SMALL.as_bytes()),
            versioned: false,
        };
        let there = self.put(&write, &stored.parcel).await?;
        let book = self.subject.book;
        if there {
            let detail = "allowed, and refused only because an earlier check's blob is there";
            book.passed(Capability::Put, detail);
            book.passed(
                Capability::CreateOnly,
                "a PUT to a name that is taken is refused",
            );
            self.prove_checksum(&write, &stored.parcel).await;
        } else {
            book.passed(Capability::Put, "stored");
        }
        let there = format!("{} is there", self.azure.container);
        book.passed(Capability::Owner, there);
        Ok(stored)
    }

    /// Puts it. Whether one was there.
    async fn put(&self, write: &Container, parcel: &Parcel) -> Result<bool, Stopped> {
        let book = self.subject.book;
        // What was answered before says nothing of a PUT that is never sent.
        self.witness.forget_last();
        let fault = match write.send_whole(&parcel.outbound(), &self.budget).await {
            Ok(SendOutcome::Sent(_, written)) => {
                if write.creates_only() {
                    book.passed(
                        Capability::CreateOnly,
                        "a second PUT to the name is refused",
                    );
                } else {
                    let detail = "it cannot be told: a second PUT to the name was not answered";
                    let remedy = Some("check again later".to_owned());
                    book.warned(Capability::CreateOnly, detail, remedy);
                }
                self.judge_checksum(written.is_some());
                return Ok(false);
            }
            Ok(SendOutcome::Unclear(_, why)) => {
                if matches!(self.witness.last().status, 403 | 409 | 412) {
                    return Ok(true);
                }
                Fault::new(ParkReason::OutcomeUnknown, why)
            }
            Err(fault) => of_store(fault),
        };
        if (200..300).contains(&self.witness.last().status) {
            self.fail(Capability::CreateOnly, &fault);
            return Ok(false);
        }
        self.fail(Capability::Put, &fault);
        Err(Stopped)
    }

    /// Where no blob is stored because one is there: by a block that comes with a wrong checksum
    /// and is never put together with others.
    async fn prove_checksum(&self, write: &Container, parcel: &Parcel) {
        match write.refuses_damage(parcel.key.as_str()).await {
            Ok(refuses) => self.judge_checksum(refuses),
            Err(fault) => self.fail(Capability::Checksum, &fault),
        }
    }

    fn judge_checksum(&self, is_checked: bool) {
        let book = self.subject.book;
        if is_checked {
            let detail = "bytes are held against their CRC64 while they are taken";
            book.passed(Capability::Checksum, detail);
        } else {
            let detail = "the store does not check what it takes: each copy is read back once";
            book.warned(Capability::Checksum, detail, None);
        }
    }

    /// Everything that only reads.
    pub(super) async fn look_and_read(&self, stored: &mut Stored) {
        let Ok(look) = self.must_reach(Capability::Look, Purpose::Look) else {
            return;
        };
        let book = self.subject.book;
        let key = stored.parcel.key.as_str();
        let observed = match look.look(key).await {
            Ok(Look::Present(observed)) => observed,
            Ok(Look::Absent) => {
                let detail = "look: the blob was stored and is not there";
                self.fail(
                    Capability::Look,
                    &Fault::new(ParkReason::CopyAbsent, detail),
                );
                return;
            }
            Err(fault) => {
                self.fail(Capability::Look, &fault);
                return;
            }
        };
        stored.versioned = observed.version_id.is_some();
        self.judge_head(stored, &observed);
        match look.read_back(key, &observed).await {
            Ok(digests) if digests == stored.parcel.digests() => {
                book.passed(Capability::Read, "read back, byte for byte");
            }
            Ok(_) => {
                let detail = "read_back: other bytes than were stored";
                let fault = Fault::new(ParkReason::DestinationRefused, detail);
                self.fail(Capability::Read, &fault);
            }
            Err(fault) => self.fail(Capability::Read, &fault),
        }
        self.signed(key, observed.version_id.as_deref()).await;
    }

    fn judge_head(&self, stored: &Stored, observed: &Observed) {
        let book = self.subject.book;
        let note = observed.metadata.contains_key("callferry-check");
        if observed.size_bytes == stored.parcel.digests().size_bytes && note {
            book.passed(Capability::Look, "seen, with its size and metadata");
        } else {
            let detail = "look: the store reports another size, or not the metadata";
            let fault = Fault::new(ParkReason::DestinationRefused, detail);
            self.fail(Capability::Look, &fault);
        }
        let encrypted = match self.witness.header("x-ms-encryption-scope") {
            Some(scope) => format!("encrypted in the scope {scope}"),
            None => "encrypted as the storage account says".to_owned(),
        };
        book.passed(Capability::Encryption, encrypted);
        let kept = match stored.versioned {
            true => "the storage account keeps versions",
            false => "the storage account keeps no versions",
        };
        book.passed(Capability::Versioning, kept);
        let until = self.witness.header("x-ms-immutability-policy-until-date");
        let hold = self.witness.header("x-ms-legal-hold");
        match (until, hold.as_deref()) {
            (Some(until), _) => self.locked(&format!("new blobs are immutable until {until}")),
            (None, Some("true")) => self.locked("a legal hold is on new blobs"),
            (None, _) => book.passed(Capability::Lock, "no immutability was seen"),
        }
    }

    fn locked(&self, how: &str) {
        let remedy = "copies can be deleted only when the policy of the container ends: let it be \
                      no longer than the retention of the account";
        let detail = format!("{how}; what is stored cannot be deleted before");
        let book = self.subject.book;
        book.warned(Capability::Lock, detail, Some(remedy.to_owned()));
    }

    /// Signs a URL as playback does and follows it as a browser does.
    async fn signed(&self, key: &str, version: Option<&str>) {
        let judged = match self.follow(key, version).await {
            Ok(bytes) => {
                let status = self.witness.last().status;
                played::judge(self.subject.book, status, &bytes)
            }
            Err(fault) => Err(fault),
        };
        if let Err(fault) = judged {
            self.fail(Capability::SignedRead, &fault);
        }
    }

    async fn follow(&self, key: &str, version: Option<&str>) -> Result<bytes::Bytes, Fault> {
        let play = self.container(Purpose::Play)?;
        let overrides = Overrides::default();
        let life = played::LIFE;
        let signed = play.signed_get(key, version, life, &overrides).await?;
        let followed = played::follow(play.line(), &signed, refusal).await;
        followed.map_err(|trouble| match trouble {
            // Nothing is wrong with who we are: this signature is not taken.
            Trouble::Refused(refusal) if matches!(refusal.status, 401 | 403) => {
                let code = refusal.code.as_deref().unwrap_or_default();
                let detail = format!("signed read: {} {code}", refusal.status);
                Fault::new(ParkReason::AccessDenied, detail)
            }
            Trouble::Refused(_) | Trouble::Never(_) | Trouble::Lost(_) | Trouble::Fenced(_) => {
                trouble.fault(Operation::ReadBack)
            }
        })
    }

    /// Deletes it, or finds out whether it may be. Whether it is gone.
    pub(super) async fn remove_small(&self, stored: &Stored) -> bool {
        let Ok(expire) = self.must_reach(Capability::Delete, Purpose::Expire) else {
            return false;
        };
        let book = self.subject.book;
        if stored.versioned {
            return self.may_delete(&expire).await;
        }
        let none_kept = "no versions are kept";
        let key = stored.parcel.key.as_str();
        match expire.delete(key).await {
            Ok(_) => {
                let permanent = self.witness.header("x-ms-delete-type-permanent");
                let detail = match permanent.as_deref() {
                    Some("false") => "deleted; soft delete keeps it for a while",
                    Some(_) | None => "deleted",
                };
                book.passed(Capability::Delete, detail);
                // Without a listing nobody sees that nothing is left, and no copy ever expires.
                match expire.sees_versions(key).await {
                    Ok(()) => book.not_applicable(Capability::DeleteVersion, none_kept),
                    Err(fault) => self.fail(Capability::DeleteVersion, &fault),
                }
                self.is_gone(&expire, key).await
            }
            Err(fault) => {
                book.not_applicable(Capability::DeleteVersion, none_kept);
                self.cannot_delete(&fault);
                book.add(Capability::Delete, &format!("one small blob stays: {key}"));
                false
            }
        }
    }

    fn cannot_delete(&self, fault: &Fault) {
        let last = self.witness.last();
        let code = last.headers.get("x-ms-error-code");
        let code = code.and_then(|code| code.to_str().ok()).unwrap_or_default();
        if code == "BlobImmutableDueToPolicy" {
            self.locked("a policy of the container keeps blobs");
            let detail = "the policy stands in the way: it cannot be told what else would";
            self.subject.book.warned(Capability::Delete, detail, None);
        } else {
            self.fail(Capability::Delete, fault);
        }
    }

    /// Whether deleting is allowed, by a blob that is not there: nothing is left by that.
    async fn may_delete(&self, expire: &Container) -> bool {
        let book = self.subject.book;
        let remedy = "let a lifecycle rule of the storage account end versions";
        let detail = "what is deleted stays as a version until a rule of the account ends it";
        book.warned(Capability::DeleteVersion, detail, Some(remedy.to_owned()));
        let nobodys = format!("absent-{}", Uuid::new_v4().simple());
        match expire.delete(self.subject.key(&nobodys).as_str()).await {
            Ok(_) => book.passed(Capability::Delete, "allowed; one small blob stays"),
            Err(fault) => self.cannot_delete(&fault),
        }
        false
    }

    async fn is_gone(&self, expire: &Container, key: &str) -> bool {
        let book = self.subject.book;
        match expire.look(key).await {
            Ok(Look::Absent) => book.add(Capability::Delete, "and gone"),
            Ok(Look::Present(_)) => {
                let detail = "delete: the store said yes, and the blob is still there";
                let fault = Fault::new(ParkReason::DestinationRefused, detail);
                self.fail(Capability::Delete, &fault);
                return false;
            }
            // What may not be looked at was noted before.
            Err(fault) => book.add(
                Capability::Delete,
                &format!("not looked for: {}", fault.detail),
            ),
        }
        true
    }
}
