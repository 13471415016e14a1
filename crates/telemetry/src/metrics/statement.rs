//! The ledger's statements, as a closed set of names: those that roles run. What only an
//! operator's commands run is `other`.

use super::closed::{Closed, Label};

/// The names of the statements that are measured one by one; the catalog's own names for them.
pub const STATEMENTS: &[&str] = &[
    "announcements",
    "begin_expiries",
    "begin_original_erasures",
    "breakers",
    "check_failed",
    "check_worked",
    "child_died",
    "claim",
    "claim_due",
    "claim_release",
    "claim_release_refused",
    "copy_lost",
    "drain",
    "drive",
    "due_checks",
    "erase_words_left",
    "expire",
    "expired_before",
    "expiry_not_begun",
    "forget_messages",
    "give_back",
    "health_announced",
    "health_announcements",
    "health_reading",
    "hold_back",
    "keep_copy",
    "keep_original",
    "known_upload",
    "last_check",
    "ledger_time",
    "lend",
    "note_access",
    "note_acknowledged",
    "note_announced",
    "note_check",
    "original_erased",
    "park",
    "playable",
    "probe",
    "probe_destinations",
    "purge_accesses",
    "purge_quarantine",
    "put_off_sweep",
    "quarantine",
    "reading",
    "record_check",
    "refuse_release",
    "release",
    "released_before",
    "renew",
    "renew_erasure",
    "requeued",
    "requeues",
    "retention_reading",
    "staging_id",
    "standing",
    "stop_retention",
    "stopped_expiries",
    "store",
    "sweeps",
    "swept",
    "undrive",
    "upload_begun",
    "upload_landed",
    "upload_parts",
];

/// The name under which every other statement is measured.
const OTHER: &str = "other";

/// One of [`STATEMENTS`], or [`OTHER`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Statement(&'static str);

impl Statement {
    /// The statement of this name.
    pub(crate) fn named(name: &str) -> Self {
        let known = STATEMENTS.iter().find(|known| **known == name);
        Self(known.copied().unwrap_or(OTHER))
    }
}

impl Closed for Statement {
    fn labels() -> Vec<Label> {
        vec![Label {
            name: "statement",
            what: "a statement that roles run",
            values: Self::every().into_iter().map(|Self(name)| name).collect(),
        }]
    }

    fn every() -> Vec<Self> {
        let known = STATEMENTS.iter().copied();
        known.chain([OTHER]).map(Self).collect()
    }

    fn values(self) -> Vec<&'static str> {
        vec![self.0]
    }
}
