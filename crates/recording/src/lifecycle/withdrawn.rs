//! The state of a recording that was erased before any copy of it was proven.

use crate::{Destination, ObjectKey, RecordingKey};

/// A recording that was erased before any copy of it was proven: its original is gone, so the
/// ledger calls it released, and something that is no proven copy may lie at its key.
#[derive(Debug, Clone)]
pub struct Withdrawn {
    record: WithdrawnRecord,
}

/// Its row, as [`crate::Recording::recall`] takes it.
#[derive(Debug, Clone)]
pub struct WithdrawnRecord {
    /// Which recording.
    pub key: RecordingKey,
    /// The pinned revision, and the key at which something may lie; `None`: it had none.
    pub place: Option<(Destination, ObjectKey)>,
    /// The announced size.
    pub size_bytes: u64,
    /// An upload in parts that may be open.
    pub upload_id: Option<String>,
}

impl Withdrawn {
    pub(super) fn recalled(record: WithdrawnRecord) -> Self {
        Self { record }
    }

    /// Which recording.
    #[must_use]
    pub fn key(&self) -> &RecordingKey {
        &self.record.key
    }

    /// Where something of it may lie; `None`: it was never pinned to a destination.
    #[must_use]
    pub fn place(&self) -> Option<&(Destination, ObjectKey)> {
        self.record.place.as_ref()
    }

    /// The announced size.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.record.size_bytes
    }

    /// An upload in parts that may be open there.
    #[must_use]
    pub fn upload_id(&self) -> Option<&str> {
        self.record.upload_id.as_deref()
    }
}
