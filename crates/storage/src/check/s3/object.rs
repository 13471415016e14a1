//! One small object: stored, stored again, looked at, listed, read back, and read by a signed URL.

use recording::{
    Capability, Encryption, Fault, Look, ObjectKey, Observed, Operation, ParkReason, Permission,
    Purpose, SendOutcome,
};

use super::Trial;
use crate::check::parcel::{Parcel, SMALL};
use crate::check::{Stopped, of_store, played};
use crate::exchange::Trouble;
use crate::s3::{Bucket, refusal};
use crate::signed::Overrides;

/// What a destination may wish of new objects: the headers, what they need, and what fails then.
const WISHES: [(&str, Permission, Capability); 3] = [
    (
        "x-amz-server-side-encryption",
        Permission::GenerateDataKey,
        Capability::Encryption,
    ),
    (
        "x-amz-tagging",
        Permission::PutObjectTagging,
        Capability::Put,
    ),
    ("x-amz-acl", Permission::PutObjectAcl, Capability::Put),
];

/// The object as it was stored.
pub(super) struct Stored {
    pub(super) parcel: Parcel,
    /// As it was written in the end, maybe without a wish that was denied.
    pub(super) write: Bucket,
    /// Its versions, where the bucket keeps such.
    pub(super) versions: Vec<String>,
    /// Whether it is encrypted under a KMS key.
    pub(super) under_kms: bool,
}

/// How a PUT ended.
enum Put {
    Stored,
    /// Something is there already, and stays.
    There,
    /// The store takes a second one for the first.
    Overwritten(Fault),
    Refused(Fault),
}

impl Trial<'_> {
    /// Stores it, create-only, and tries to store it again.
    pub(super) async fn store_small(&self, key: ObjectKey) -> Result<Stored, Stopped> {
        let parcel = self.subject.parcel(key, SMALL.as_bytes());
        let mut write = self.must_reach(Capability::Put, Purpose::Write)?;
        let mut put = self.put(&write, &parcel).await;
        if let Put::Refused(fault) = &put {
            let fault = self.told(fault);
            if let Some((reduced, anyway)) = self.without_wishes(&write, &parcel, &fault).await {
                (write, put) = (reduced, anyway);
            } else {
                self.fail_told(Capability::Put, &fault, &[Permission::PutObject]);
                return Err(Stopped);
            }
        }
        self.judge_put(&write, &put);
        Ok(Stored {
            parcel,
            write,
            versions: self.witness.take_versions(),
            under_kms: false,
        })
    }

    fn judge_put(&self, write: &Bucket, put: &Put) {
        let book = self.subject.book;
        let s3 = self.remedies.s3;
        book.passed(Capability::Owner, super::place::whose(s3));
        match put {
            Put::Stored if write.creates_only() => {
                book.passed(Capability::Put, "stored");
                book.passed(Capability::CreateOnly, "a second PUT to the key is refused");
            }
            Put::Stored => {
                book.passed(Capability::Put, "stored");
                let detail = "it cannot be told: a second PUT to the key was not answered";
                let remedy = Some("check again later".to_owned());
                book.warned(Capability::CreateOnly, detail, remedy);
            }
            Put::There => {
                let detail = "allowed, and refused only because an earlier check's object is there";
                book.passed(Capability::Put, detail);
                book.passed(
                    Capability::CreateOnly,
                    "a PUT to a key that is taken is refused",
                );
            }
            Put::Overwritten(fault) => {
                book.passed(Capability::Put, "stored");
                self.fail(Capability::CreateOnly, fault, &[]);
            }
            Put::Refused(fault) => self.fail(Capability::Put, fault, &[Permission::PutObject]),
        }
    }

    async fn put(&self, write: &Bucket, parcel: &Parcel) -> Put {
        // What was answered before says nothing of a PUT that is never sent.
        self.witness.forget_last();
        let sent = write.send_whole(&parcel.outbound(), &self.budget).await;
        let status = self.witness.last().status;
        match sent {
            Ok(SendOutcome::Sent(..)) => Put::Stored,
            Ok(SendOutcome::Unclear(..)) if matches!(status, 409 | 412) => Put::There,
            Ok(SendOutcome::Unclear(_, why)) => {
                Put::Refused(Fault::new(ParkReason::OutcomeUnknown, why))
            }
            Err(fault) => match of_store(fault) {
                fault if (200..300).contains(&status) => Put::Overwritten(fault),
                fault => Put::Refused(fault),
            },
        }
    }

    /// Which wish of the destination it is that was denied: PUT without one of them at a time, and
    /// at last without any.
    async fn without_wishes(
        &self,
        write: &Bucket,
        parcel: &Parcel,
        fault: &Fault,
    ) -> Option<(Bucket, Put)> {
        if fault.reason != ParkReason::AccessDenied {
            return None;
        }
        let wished = WISHES
            .iter()
            .filter(|(leading, ..)| write.has_wish(leading));
        let wished: Vec<_> = wished.collect();
        let one_by_one = wished.iter().map(|wish| vec![*wish]);
        let all = (wished.len() > 1).then(|| wished.clone());
        for left_out in one_by_one.chain(all) {
            let mut reduced = write.through(write.line().client.clone());
            for (leading, ..) in &left_out {
                reduced = reduced.without_wish(leading);
            }
            let put = self.put(&reduced, parcel).await;
            if matches!(put, Put::Refused(_)) {
                continue;
            }
            for (_, permission, capability) in left_out {
                self.fail_told(*capability, fault, &[*permission]);
            }
            return Some((reduced, put));
        }
        None
    }

    /// Everything that only reads.
    pub(super) async fn look_and_read(&self, stored: &mut Stored) {
        let Some(observed) = self.look(stored).await else {
            return;
        };
        if stored.versions.is_empty() {
            stored.versions.extend(observed.version_id.clone());
        }
        self.judge_bytes(stored, &observed).await;
        self.judge_listed(stored).await;
        self.signed(stored, observed.version_id.as_deref()).await;
    }

    /// HEAD with the checksum; where that is denied, without.
    async fn look(&self, stored: &mut Stored) -> Option<Observed> {
        let book = self.subject.book;
        let key = stored.parcel.key.as_str();
        let look = self.must_reach(Capability::Look, Purpose::Look).ok()?;
        let fault = match look.look(key).await {
            Ok(Look::Present(observed)) => {
                book.passed(Capability::Look, "seen, with its size and metadata");
                self.judge_head(stored, &observed);
                return Some(observed);
            }
            Ok(Look::Absent) => {
                let detail = "look: the object was stored and is not there";
                Fault::new(ParkReason::CopyAbsent, detail)
            }
            Err(fault) => fault,
        };
        let fault = self.told(&fault);
        let denied = fault.reason == ParkReason::AccessDenied;
        if denied && let Ok(observed) = look.head(key).await {
            // Only the checksum is denied: it lies under the key, as the bytes do.
            book.passed(Capability::Look, "seen, with its size and metadata");
            stored.under_kms = true;
            stored.versions.extend(observed.version_id);
            let needs = [Permission::Decrypt];
            self.fail_told(Capability::Encryption, &fault, &needs);
        } else {
            self.fail_told(Capability::Look, &fault, &[Permission::GetObject]);
        }
        None
    }

    fn judge_head(&self, stored: &mut Stored, observed: &Observed) {
        let book = self.subject.book;
        let expected = stored.parcel.digests();
        let note = observed.metadata.contains_key("callferry-check");
        if observed.size_bytes != expected.size_bytes || !note {
            let detail = "look: the store reports another size, or not the metadata";
            let fault = Fault::new(ParkReason::DestinationRefused, detail);
            self.fail(Capability::Look, &fault, &[]);
        }
        match observed.crc64nvme {
            Some(reported) if reported == expected.crc64nvme => {
                book.passed(Capability::Checksum, "the store reports the CRC64NVME");
            }
            Some(_) => {
                let detail = "look: the store reports the checksum of other bytes";
                let fault = Fault::new(ParkReason::DestinationRefused, detail);
                self.fail(Capability::Checksum, &fault, &[]);
            }
            None => {
                let detail = "the store reports no checksum: each copy is read back once";
                book.warned(Capability::Checksum, detail, None);
            }
        }
        let algorithm = self.witness.header("x-amz-server-side-encryption");
        let key = self
            .witness
            .header("x-amz-server-side-encryption-aws-kms-key-id");
        let by = algorithm.as_deref();
        stored.under_kms = by.is_some_and(|by| by.starts_with("aws:kms"));
        self.judge_encryption(by, key.as_deref());
        match self.witness.header("x-amz-object-lock-mode") {
            Some(mode) => self.locked(&format!("new objects are locked ({mode})")),
            None => book.passed(Capability::Lock, "no lock was seen"),
        }
    }

    fn judge_encryption(&self, by: Option<&str>, under: Option<&str>) {
        let book = self.subject.book;
        let seen = match (by, under) {
            (Some(by), Some(key)) => format!("encrypted by {by} under {key}"),
            (Some(by), None) => format!("encrypted by {by}"),
            (None, _) => "the store does not say how it is encrypted".to_owned(),
        };
        let s3 = self.remedies.s3;
        let by_kms = by.is_some_and(|by| by.starts_with("aws:kms"));
        let (right, wished) = match (s3.encryption(), s3.kms_key.as_deref()) {
            (None, _) => (true, "nothing"),
            (Some(Encryption::S3), _) => (by == Some("AES256"), "AES256"),
            (Some(Encryption::Kms), None) => (by_kms, "aws:kms"),
            (Some(Encryption::Kms), Some(key)) => (by_kms && is_key(under, key), key),
        };
        if right {
            book.passed(Capability::Encryption, seen);
        } else {
            let detail = format!("the destination says {wished}; {seen}");
            let fault = Fault::new(ParkReason::KmsKeyUnusable, detail);
            self.fail(Capability::Encryption, &fault, &[]);
        }
    }

    async fn judge_bytes(&self, stored: &Stored, observed: &Observed) {
        let Ok(look) = self.must_reach(Capability::Read, Purpose::Look) else {
            return;
        };
        let read = look.read_back(stored.parcel.key.as_str(), observed).await;
        match read {
            Ok(digests) if digests == stored.parcel.digests() => {
                let book = self.subject.book;
                book.passed(Capability::Read, "read back, byte for byte");
            }
            Ok(_) => {
                let detail = "read_back: other bytes than were stored";
                let fault = Fault::new(ParkReason::DestinationRefused, detail);
                self.fail(Capability::Read, &fault, &[]);
            }
            Err(fault) if stored.under_kms && fault.reason == ParkReason::AccessDenied => {
                self.fail(Capability::Encryption, &fault, &[Permission::Decrypt]);
            }
            Err(fault) => self.fail(Capability::Read, &fault, &[Permission::GetObject]),
        }
    }

    async fn judge_listed(&self, stored: &Stored) {
        if !self.subject.book.is_good(Capability::List) {
            return;
        }
        let Ok(look) = self.must_reach(Capability::List, Purpose::Look) else {
            return;
        };
        match look.lists(stored.parcel.key.as_str()).await {
            Ok(true) => {
                let detail = "a key that is there is listed, and one that is not is told";
                self.subject.book.passed(Capability::List, detail);
            }
            Ok(false) => {
                let detail = "list: an object that is there is not listed";
                let fault = Fault::new(ParkReason::DestinationRefused, detail);
                self.fail(Capability::List, &fault, &[]);
            }
            Err(fault) => self.fail(Capability::List, &fault, &[Permission::ListBucket]),
        }
    }

    /// Signs a URL as playback does and follows it as a browser does.
    async fn signed(&self, stored: &Stored, version: Option<&str>) {
        if self.subject.book.has_failed(Capability::Encryption) {
            return;
        }
        let needs = match version {
            Some(_) => [Permission::GetObjectVersion],
            None => [Permission::GetObject],
        };
        let judged = match self.follow(stored, version).await {
            Ok(bytes) => {
                let status = self.witness.last().status;
                played::judge(self.subject.book, status, &bytes)
            }
            Err(fault) => Err(fault),
        };
        if let Err(fault) = judged {
            self.fail(Capability::SignedRead, &fault, &needs);
        }
    }

    async fn follow(&self, stored: &Stored, version: Option<&str>) -> Result<bytes::Bytes, Fault> {
        let play = self.bucket(Purpose::Play)?;
        let key = stored.parcel.key.as_str();
        let overrides = Overrides::default();
        let life = played::LIFE;
        let signed = play.signed_get(key, version, life, &overrides).await?;
        let followed = played::follow(play.line(), &signed, refusal).await;
        followed.map_err(|trouble| match trouble {
            Trouble::Refused(refusal) => {
                let mut fault = refusal.fault(Operation::ReadBack);
                fault.detail = format!("signed read: {}", refusal.status);
                if let Some(code) = &refusal.code {
                    fault.detail = format!("{} {code}", fault.detail);
                }
                fault
            }
            Trouble::Never(_) | Trouble::Lost(_) | Trouble::Fenced(_) => {
                trouble.fault(Operation::ReadBack)
            }
        })
    }
}

/// Whether a reported key is the one that was wished for. An alias, or a bare id, is reported as
/// the ARN of its key.
fn is_key(reported: Option<&str>, wished: &str) -> bool {
    let is_arn = wished.starts_with("arn:") && wished.contains(":key/");
    match reported {
        Some(key) if is_arn => key == wished,
        Some(key) => wished.contains("alias/") || key.ends_with(wished),
        None => false,
    }
}
