//! The proof: one function that decides whether what a destination reports now is the recording.

use std::collections::BTreeMap;

use crate::object::names;
use crate::{Announced, Crc64Nvme, Digests, Method};

/// What the copy must be, from the bytes that were read from the original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Size and digests of the original.
    pub digests: Digests,
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
    /// Whether the whole copy was read back and compared then.
    pub read_back: bool,
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
    /// Our metadata, names without the provider's prefix.
    pub metadata: BTreeMap<String, String>,
    /// Digests of the copy's bytes, where the caller read all of them back under this etag.
    pub read_back: Option<Digests>,
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
    /// - in a second look, an entity tag and version unchanged since a read-back are enough.
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
        let unchanged = self.first_look.as_ref().is_some_and(|first| {
            first.read_back
                && first.etag == observed.etag
                && first.version_id == observed.version_id
        });
        let method = if observed.crc64nvme.is_some() {
            Method::ReportedChecksum
        } else if observed.read_back.is_some() || unchanged {
            Method::ReadBack
        } else {
            return Err(Mismatch::NeedsReadBack);
        };
        Ok(Verified {
            expected: self.clone(),
            observed,
            method,
        })
    }
}

#[cfg(test)]
mod tests;
