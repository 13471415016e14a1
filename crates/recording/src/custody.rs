//! Custody receipts: what we state under our signature about one copy, and the port that signs.
//!
//! **Decision.** A statement is a function of what the ledger remembers of the copy, and is written
//! in one way only: fields in alphabetical order, no white space, times in UTC. **Because** an
//! acknowledgment may be published again at any time and by any process, and whoever compares two
//! receipts of the same copy must find the same statement; the signature is deterministic as well.
//! **Instead of** keeping what was signed, or of the time of signing in it.
//!
//! **Decision.** No interaction, no attributes, nothing else of a person. **Because** receipts are
//! kept by others, after the recording is erased here. **Instead of** the event's whole data.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    AccountId, ExpiryReason, Location, MAX_EVENT_BYTES, Method, Receipt, RecordingId, RecordingKey,
    Sha256, Stored, strict_json,
};

/// What a receipt states. The name of a statement is that of the event that carries it, and its
/// version is the event's: other fields are another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Statement {
    /// The copy was there and proven.
    Stored(StoredStatement),
    /// The copy was deleted by us and proven to be gone.
    Expired(ExpiredStatement),
}

/// "This copy was there and proven, at this time."
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredStatement {
    // In alphabetical order: this is the order they are signed in.
    /// Whose recording.
    pub account_id: AccountId,
    /// The id that every acknowledgment of this copy has.
    pub acknowledgment_id: Uuid,
    /// `crc64nvme:` and 16 hexadecimal digits.
    pub checksum: String,
    /// The destination's own digest of the copy, where it keeps one.
    pub content_md5: Option<String>,
    /// The revision of the destination.
    pub destination_revision: i64,
    /// The destination's entity tag.
    pub etag: String,
    /// Where the copy was.
    pub location: Location,
    /// How it was proven.
    pub method: Method,
    /// Which recording.
    pub recording_id: RecordingId,
    /// SHA-256 of its bytes.
    pub sha256: Sha256,
    /// Its size, in bytes.
    pub size_bytes: u64,
    statement: StoredWord,
    /// When it was proven.
    pub stored_at: DateTime<Utc>,
    /// Its version, in a bucket that keeps versions.
    pub version_id: Option<String>,
}

/// "This copy was deleted, and a look at this time found it gone."
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpiredStatement {
    // In alphabetical order, as above.
    /// Whose recording.
    pub account_id: AccountId,
    /// The revision of the destination.
    pub destination_revision: i64,
    /// When it was found gone.
    pub expired_at: DateTime<Utc>,
    /// The id that every announcement of this expiry has.
    pub expiry_id: Uuid,
    /// Where the copy had been.
    pub location: Location,
    /// How its absence was proven.
    pub method: Absence,
    /// Why it was deleted.
    pub reason: ExpiryReason,
    /// Which recording.
    pub recording_id: RecordingId,
    /// SHA-256 of its bytes, as stated when it was stored.
    pub sha256: Sha256,
    /// Its size, in bytes.
    pub size_bytes: u64,
    statement: ExpiredWord,
    /// When it had been stored.
    pub stored_at: DateTime<Utc>,
    /// The version that had been stored, in a bucket that keeps versions.
    pub version_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum StoredWord {
    #[serde(rename = "recording.stored.v1")]
    V1,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum ExpiredWord {
    #[serde(rename = "recording.expired.v1")]
    V1,
}

/// How the absence of a copy was proven: by a look of its own after the deletion, never by the
/// deletion's own answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absence {
    /// Nothing is at the key, and nothing is listed there.
    NothingAtTheKey,
    /// Another object is at the key, which is not the copy and stays.
    AnotherObjectAtTheKey,
    /// The bucket keeps versions: none is listed for the key.
    NoVersionAtTheKey,
    /// The bucket keeps versions: others than the copy's are listed for the key, and stay.
    OtherVersionsAtTheKey,
    /// No copy was ever proven, and there was no destination yet: there is nowhere to look, and
    /// no receipt of it.
    NeverPinned,
}

impl Absence {
    /// Every way.
    pub const ALL: [Self; 5] = [
        Self::NothingAtTheKey,
        Self::AnotherObjectAtTheKey,
        Self::NoVersionAtTheKey,
        Self::OtherVersionsAtTheKey,
        Self::NeverPinned,
    ];

    /// The word, in the ledger and in receipts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NothingAtTheKey => "nothing_at_the_key",
            Self::AnotherObjectAtTheKey => "another_object_at_the_key",
            Self::NoVersionAtTheKey => "no_version_at_the_key",
            Self::OtherVersionsAtTheKey => "other_versions_at_the_key",
            Self::NeverPinned => "never_pinned",
        }
    }

    /// What was seen, for the history.
    #[must_use]
    pub fn seen(self) -> &'static str {
        match self {
            Self::NothingAtTheKey => "the key is empty, and not listed",
            Self::AnotherObjectAtTheKey => "another object lies at the key and stays",
            Self::NoVersionAtTheKey => "no version is listed, and the key is empty",
            Self::OtherVersionsAtTheKey => "no version of ours is listed; others' stay",
            Self::NeverPinned => "it was never pinned to a destination: there is nowhere to look",
        }
    }
}

/// A copy that was deleted and proven to be gone, as its row remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiredCopy {
    /// Which recording.
    pub key: RecordingKey,
    /// The revision it lay in.
    pub destination_revision: i64,
    /// Where it lay.
    pub location: Location,
    /// What was remembered of it.
    pub receipt: Receipt,
    /// The id that every announcement of this expiry has: the row's.
    pub expiry_id: Uuid,
    /// When it was found gone: the row's time, never now.
    pub expired_at: DateTime<Utc>,
    /// How that was proven.
    pub method: Absence,
    /// Why it was deleted.
    pub reason: ExpiryReason,
}

/// Why bytes are no statement that this release knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedStatement {
    /// Not one JSON document, or one that two readers may read differently.
    #[error("it is not strict JSON: no key twice, nothing after it")]
    NotJson,
    /// A statement of another name or version.
    #[error("it states something that this release does not know; a later one may")]
    Unknown,
    /// Fields are missing, unknown or of the wrong kind.
    #[error("its fields are not those of its statement")]
    Fields,
    /// Right fields, written in another way than the one there is.
    #[error("it is not written in the one way that there is")]
    NotCanonical,
}

impl Statement {
    /// That the copy of a stored recording is proven.
    #[must_use]
    pub fn stored(stored: &Stored) -> Self {
        let (key, receipt) = (&stored.announced().key, stored.receipt());
        Self::Stored(StoredStatement {
            account_id: key.account_id.clone(),
            acknowledgment_id: stored.acknowledgment_id(),
            checksum: receipt.checksum.clone(),
            content_md5: receipt.content_md5.clone(),
            destination_revision: stored.destination().revision,
            etag: receipt.etag.clone(),
            location: stored.location(),
            method: receipt.method,
            recording_id: key.recording_id.clone(),
            sha256: receipt.sha256,
            size_bytes: receipt.size_bytes,
            statement: StoredWord::V1,
            stored_at: receipt.stored_at,
            version_id: receipt.version_id.clone(),
        })
    }

    /// That a copy was deleted and is proven to be gone.
    #[must_use]
    pub fn expired(copy: &ExpiredCopy) -> Self {
        Self::Expired(ExpiredStatement {
            account_id: copy.key.account_id.clone(),
            destination_revision: copy.destination_revision,
            expired_at: copy.expired_at,
            expiry_id: copy.expiry_id,
            location: copy.location.clone(),
            method: copy.method,
            reason: copy.reason,
            recording_id: copy.key.recording_id.clone(),
            sha256: copy.receipt.sha256,
            size_bytes: copy.receipt.size_bytes,
            statement: ExpiredWord::V1,
            stored_at: copy.receipt.stored_at,
            version_id: copy.receipt.version_id.clone(),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stored(_) => "recording.stored.v1",
            Self::Expired(_) => "recording.expired.v1",
        }
    }

    /// The bytes that are signed: one document, the same for the same statement, always.
    ///
    /// # Errors
    /// A time beyond the years that can be written, which the ledger cannot keep either.
    pub fn payload(&self) -> Result<Vec<u8>, MalformedStatement> {
        serde_json::to_vec(self).map_err(|_| MalformedStatement::Fields)
    }

    /// Reads what was signed.
    ///
    /// # Errors
    /// See [`MalformedStatement`]. Whatever could be written in two ways is refused, so that a
    /// reader of another make cannot see other facts in the same bytes.
    pub fn read(payload: &[u8]) -> Result<Self, MalformedStatement> {
        let document = strict_json::parse(payload).map_err(|_| MalformedStatement::NotJson)?;
        let fields = |_| MalformedStatement::Fields;
        let read = match document.get("statement").and_then(Value::as_str) {
            Some("recording.stored.v1") => {
                Self::Stored(serde_json::from_value(document).map_err(fields)?)
            }
            Some("recording.expired.v1") => {
                Self::Expired(serde_json::from_value(document).map_err(fields)?)
            }
            Some(_) | None => return Err(MalformedStatement::Unknown),
        };
        if read.payload()? == payload {
            Ok(read)
        } else {
            Err(MalformedStatement::NotCanonical)
        }
    }
}

/// A statement with our signature: a JWS in its compact form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SignedReceipt(String);

impl SignedReceipt {
    /// Wraps what a signer made.
    #[must_use]
    pub fn new(jws: String) -> Self {
        Self(jws)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Signs statements.
pub trait ReceiptSigner: Send + Sync {
    /// The statement with a signature; `None` where there is no key, and the event goes without.
    /// The same statement under the same key is the same text.
    fn sign(&self, statement: &Statement) -> Option<SignedReceipt>;
}

/// No key is configured: nothing is signed.
#[derive(Debug, Clone, Copy)]
pub struct Unsigned;

impl ReceiptSigner for Unsigned {
    fn sign(&self, _: &Statement) -> Option<SignedReceipt> {
        None
    }
}

/// Reads a document of others as strictly as events are read: at most 256 KiB, one JSON document,
/// no key twice, nested at most 16 deep. `None` is none.
#[must_use]
pub fn strict_document(bytes: &[u8]) -> Option<Value> {
    if bytes.len() > MAX_EVENT_BYTES {
        return None;
    }
    strict_json::parse(bytes).ok()
}

#[cfg(test)]
mod tests;
