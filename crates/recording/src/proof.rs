//! The proof: one function that decides whether what a destination reports now is the recording.

use std::collections::BTreeMap;

use crate::object::names;
use crate::{Announced, Crc64Nvme, Digests, Method};

/// What the copy must be, from the bytes that were read from the original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Size and digests of the original.
    pub digests: Digests,
    /// For a first look at what this very claim sent: what the store checked while it took it.
    pub sent: Option<CheckedWrite>,
    /// For a second look: what the first one saw, which lets a destination that reports no
    /// checksum still answer "unchanged since".
    pub first_look: Option<FirstLook>,
}

/// What was remembered of the first look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstLook {
    /// The entity tag then.
    pub etag: String,
    /// The version then.
    pub version_id: Option<String>,
    /// The server's own digest of the content then, if it keeps one.
    pub content_md5: Option<String>,
    /// How the copy was proven then.
    pub method: Method,
}

/// What a store said when it took a copy whose bytes it had checked against the CRC64 that came
/// with them. It ties the object that a later look finds to that write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedWrite {
    /// The entity tag that the write gave the object.
    pub etag: String,
    /// The server's own digest of the content, if it computed one.
    pub content_md5: Option<String>,
    /// The blocks that were committed, in order; `None` if it was sent whole.
    pub blocks: Option<Vec<Block>>,
}

/// One block of a blob, as it was sent or as the store lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its id, as the store lists it.
    pub id: String,
    /// Its size.
    pub size_bytes: u64,
}

/// What a destination reports of an object in a *new* request; never an answer to a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The object's size.
    pub size_bytes: u64,
    /// The full-object CRC64NVME, if the destination reports one.
    pub crc64nvme: Option<Crc64Nvme>,
    /// Entity tag, opaque.
    pub etag: String,
    /// Version, in a bucket that keeps versions.
    pub version_id: Option<String>,
    /// The server's own digest of the content, opaque, if it keeps one.
    pub content_md5: Option<String>,
    /// The committed blocks, where the store has such and was asked.
    pub blocks: Option<Vec<Block>>,
    /// Our metadata, names without the provider's prefix.
    pub metadata: BTreeMap<String, String>,
    /// Digests of the copy's bytes, where the caller read all of them back under this etag.
    pub read_back: Option<Digests>,
}

impl Observed {
    /// Whether it says that it is this recording of this account. That alone proves nothing.
    #[must_use]
    pub fn names(&self, announced: &Announced) -> bool {
        names(&self.metadata, announced)
    }
}

/// Proof that the copy is the recording. Made by [`Expected::verify`] only, and never persisted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    expected: Expected,
    observed: Observed,
    method: Method,
}

impl Verified {
    /// What was expected and found.
    #[must_use]
    pub fn digests(&self) -> &Digests {
        &self.expected.digests
    }

    /// What the destination reported.
    #[must_use]
    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    /// How it was proved.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }
}

/// Why an object is not proven to be the recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The sizes differ.
    #[error("the copy has {observed} bytes where {expected} were read")]
    Size {
        /// Bytes read from the original.
        expected: u64,
        /// Bytes in the copy.
        observed: u64,
    },
    /// The checksums or the read-back bytes differ.
    #[error("the copy's bytes differ from the original's")]
    Content,
    /// The object does not say that it is this recording of this account.
    #[error("the object at the key is not this recording's")]
    Foreign,
    /// Nothing reported is enough: the copy must be read back and compared.
    #[error("the destination reports no checksum: the copy must be read back")]
    NeedsReadBack,
}

impl Expected {
    /// Compares what was expected with what is observed now. How much evidence is enough is
    /// decided here and nowhere else:
    ///
    /// - the size must be equal and the object must name this recording, always;
    /// - a reported full-object CRC64NVME must be equal, and is enough;
    /// - without one, the bytes read back in this look must be equal;
    /// - or it is the very object that this claim wrote while the store checked its CRC64: same
    ///   entity tag and content digest, and the committed blocks are those that were sent;
    /// - in a second look, entity tag, version and content digest unchanged since such a first
    ///   look are enough.
    ///
    /// # Errors
    /// [`Mismatch::NeedsReadBack`] asks for more evidence; every other mismatch is final for
    /// this observation.
    pub fn verify(&self, announced: &Announced, observed: Observed) -> Result<Verified, Mismatch> {
        let mine = &self.digests;
        if observed.size_bytes != mine.size_bytes {
            return Err(Mismatch::Size {
                expected: mine.size_bytes,
                observed: observed.size_bytes,
            });
        }
        if observed
            .crc64nvme
            .is_some_and(|reported| reported != mine.crc64nvme)
        {
            return Err(Mismatch::Content);
        }
        if observed.read_back.is_some_and(|bytes| bytes != *mine) {
            return Err(Mismatch::Content);
        }
        if !names(&observed.metadata, announced) {
            return Err(Mismatch::Foreign);
        }
        let method = if observed.crc64nvme.is_some() {
            Method::ReportedChecksum
        } else if observed.read_back.is_some() {
            Method::ReadBack
        } else if let Some(method) = self.as_written(&observed)? {
            method
        } else if let Some(method) = self.unchanged(&observed) {
            method
        } else {
            return Err(Mismatch::NeedsReadBack);
        };
        Ok(Verified {
            expected: self.clone(),
            observed,
            method,
        })
    }

    /// Whether this is the object that this claim wrote, byte for byte as the store checked it.
    ///
    /// # Errors
    /// It is, and yet its committed blocks are not those that were sent.
    fn as_written(&self, observed: &Observed) -> Result<Option<Method>, Mismatch> {
        let Some(sent) = &self.sent else {
            return Ok(None);
        };
        if sent.etag != observed.etag || sent.content_md5 != observed.content_md5 {
            return Ok(None);
        }
        match (&sent.blocks, &observed.blocks) {
            (None, _) => Ok(Some(Method::SentChecksum)),
            (Some(_), None) => Ok(None),
            (Some(sent), Some(committed)) if sent == committed => Ok(Some(Method::BlockList)),
            (Some(_), Some(_)) => Err(Mismatch::Content),
        }
    }

    /// Whether nothing changed since a first look that proved the bytes.
    fn unchanged(&self, observed: &Observed) -> Option<Method> {
        let first = self.first_look.as_ref()?;
        let same = first.etag == observed.etag
            && first.version_id == observed.version_id
            && first.content_md5 == observed.content_md5;
        match first.method {
            // A checksum that was reported once and is not any more is no second look.
            Method::ReportedChecksum => None,
            Method::SentChecksum | Method::BlockList | Method::ReadBack => {
                same.then_some(first.method)
            }
        }
    }
}

#[cfg(test)]
mod tests;
