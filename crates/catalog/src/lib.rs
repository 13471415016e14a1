//! The catalog: the only crate that knows PostgreSQL. It keeps the truth about every recording
//! (the port [`recording::Ledger`]), the accounts, their destinations with secrets sealed at rest,
//! retention policies, and the quarantined messages.
//!
//! **Architecture invariant.** Every change of a recording is one statement, fenced by the token
//! of a live lease, with its history row; the database itself refuses transitions, beginnings
//! and changes of content that nothing may make, and rows that nobody would drive on.

mod accesses;
mod accounts;
mod admin;
mod admin_actions;
mod breaker;
mod catalog;
mod checks;
mod claim;
mod daily_checks;
mod destination_checks;
mod destinations;
mod drive;
mod erasing;
mod erasure;
mod expiry;
mod failure;
mod health;
mod holds;
mod isolation;
mod keyring;
mod ledger;
mod migrate;
mod notes;
mod pinned;
mod places;
mod playback;
mod pool;
mod preview;
mod quarantine;
mod reading;
mod recordings;
mod recordings_of_a_time;
mod release;
mod reroute;
mod retention;
mod returns;
mod rewrap;
mod rows;
mod sas;
mod set_up;
mod settings;
mod status;
mod stores;
mod succession;
mod sweeps;
mod transfer;
mod uploads;

pub use accesses::{Access, AccessOutcome, AccessPlace, AccessRefusal, AccessView};
pub use accounts::AccountView;
pub use admin::{AdminFault, OVERLAP_HINT};
pub use admin_actions::{Action, ActionOutcome, ActionView};
pub use catalog::Catalog;
pub use destination_checks::CheckView;
pub use destinations::DestinationView;
pub use erasure::ErasureView;
pub use expiry::shown::ExpiryView;
pub use health::HealthView;
pub use holds::{HoldRelease, HoldScope, HoldView, MOST_HOLDS, PlacedHold, TooLate};
pub use keyring::{KeyRing, KeyRingFile, Turned, key_made_at};
pub use pinned::{MOST_COUNTED, PinnedCounts};
pub use playback::{Playable, PlayableCopy};
pub use pool::PoolCounts;
pub use preview::{PreviewDay, PreviewHold, PreviewKept, PreviewView};
pub use quarantine::{QuarantineMessageView, QuarantineView};
pub use recordings::{HistoryView, MOST_PARKED, ParkedFilter, RecordingFilter, RecordingView};
pub use retention::{PolicyView, RetentionView, StopFilter, StopView};
pub use rewrap::{Rewrapped, SecretsUnderKey, Unopened};
pub use settings::Settings;
pub use status::{OpenRecordings, QuarantineCounts, StatusView};
