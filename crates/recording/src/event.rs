//! Events: `CloudEvents` 1.0 in structured JSON, read strictly and written by one builder each.
//! The contracts are in `schemas/`; a version is a new type, never an edit.

mod incoming;
mod outgoing;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

pub use incoming::parse;
pub use outgoing::{Outgoing, Route, due, expired, health_changed, parked, released, stored};

use crate::{InteractionId, Kind, Receipt, RecordingKey, Sha256, StagingPath};

/// The largest event that is parsed.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;

pub(crate) const COMPLETED: &str = "callferry.recording.completed.v1";
pub(crate) const STORED: &str = "callferry.recording.stored.v1";
pub(crate) const PARKED: &str = "callferry.recording.parked.v1";
pub(crate) const RELEASED: &str = "callferry.recording.released.v1";
pub(crate) const EXPIRED: &str = "callferry.recording.expired.v1";
pub(crate) const UNHEALTHY: &str = "callferry.destination.unhealthy.v1";
pub(crate) const HEALTHY: &str = "callferry.destination.healthy.v1";
pub(crate) const TRANSFER_DUE: &str = "callferry.transfer.due.v1";
pub(crate) const CLEANUP_DUE: &str = "callferry.cleanup.due.v1";

/// A message of ours or for us, understood.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// `recording.completed`: a recording is complete in staging; and when that was said, if it
    /// was (the event's own time).
    Completed(Box<Announced>, Option<DateTime<Utc>>),
    /// `recording.stored`: a copy is proven.
    Stored(Box<StoredAnnouncement>),
    /// `transfer.due`: the ledger says that a transfer should go on.
    TransferDue(Due),
    /// `cleanup.due`: the ledger says that a cleanup should go on.
    CleanupDue(Due),
}

/// What housekeeping sends to drive a row on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which recording.
    pub key: RecordingKey,
}

/// The data of `recording.completed`.
#[derive(Debug, Clone, PartialEq)]
pub struct Announced {
    /// Which recording.
    pub key: RecordingKey,
    /// The interaction it belongs to.
    pub interaction_id: InteractionId,
    /// What was recorded.
    pub kind: Kind,
    /// Media type as announced, e.g. `audio/wav`.
    pub media_type: String,
    /// When the recording began.
    pub started_at: DateTime<Utc>,
    /// When it was complete.
    pub completed_at: DateTime<Utc>,
    /// Its length, where the recorder says it.
    pub duration_ms: Option<u64>,
    /// The file in staging.
    pub original: AnnouncedOriginal,
    /// Free text of the platform, kept and handed on, never interpreted.
    pub attributes: BTreeMap<String, String>,
}

/// The original, as announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnouncedOriginal {
    /// Where it is.
    pub path: StagingPath,
    /// Its size.
    pub size_bytes: u64,
    /// Its SHA-256, where the recorder says it.
    pub sha256: Option<Sha256>,
}

/// The data of `recording.stored` that cleanup acts on.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAnnouncement {
    /// Which recording.
    pub key: RecordingKey,
    /// The evidence; only a row with this very receipt is released.
    pub receipt: Receipt,
}
