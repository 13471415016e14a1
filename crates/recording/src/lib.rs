//! The domain of callferry: what a recording is, which states it passes through, what counts as
//! proof that a copy arrived, what each fault means, and the ports through which roles reach the
//! outside. No I/O, no clock, no runtime.
//!
//! **Architecture invariant.** A [`Stored`] is made only from a fresh [`Verified`], a
//! [`Releasable`] only from a `Stored` and another fresh `Verified`. Receipts are remembered,
//! proofs never are, so a row read back can never by itself authorise a deletion. The one other
//! permission to delete an original, [`Erasable`], is made only from a grant of the ledger for an
//! erasure that was asked for.

mod check;
mod custody;
mod destination;
mod digest;
mod event;
mod fault;
mod health;
mod ids;
mod ladder;
mod lease;
mod lifecycle;
mod object;
mod permission;
mod ports;
mod proof;
mod receipt;
mod refusal;
mod s3_options;
mod secret;
mod settlement;
mod staging_path;
mod store_code;
mod strict_json;

pub use check::{Approval, Capability, CheckReport, Finding, Verdict};
pub use custody::{
    Absence, ExpiredCopy, ExpiredStatement, MalformedStatement, ReceiptSigner, SignedReceipt,
    Statement, StoredStatement, Unsigned, strict_document,
};
pub use destination::{
    AzureContainer, AzureIdentity, Destination, DestinationOwner, S3Bucket, Store,
};
pub use digest::{Crc64Nvme, Digests, MalformedDigest, Sha256};
pub use event::{
    Announced, AnnouncedOriginal, Due, Incoming, MAX_EVENT_BYTES, Outgoing, Route,
    StoredAnnouncement, due, expired, health_changed, parked, parse, released, stored,
};
pub use fault::{Class, Fault, LedgerFault, Next, ParkReason, PublishFault, StagingFault, decide};
pub use health::{Blame, CONFIRMED_BY, Diagnosis, DueCheck, Health, HealthAnnouncement};
pub use ids::{AccountId, InteractionId, Kind, MalformedId, RecordingId, RecordingKey};
pub use ladder::{RUNGS, rung};
pub use lease::{FENCE_MARGIN, Fence, LEASE, Lease, LeaseLost};
pub use lifecycle::{
    Expired, Identity, Parked, Record, Recording, Releasable, Released, Staged, State, Stored,
    Withdrawn, WithdrawnRecord,
};
pub use object::{ObjectKey, extension, object_key, object_metadata, safe_media_type};
pub use permission::{Need, Permission, Purpose, Scope, When};
pub use ports::bucket::{
    Leftovers, Look, Lookers, OpenUpload, Outbound, Part, Progress, SendFault, SendOutcome, Upload,
    UploadLog, Writers,
};
pub use ports::check::Checker;
pub use ports::clock::Clock;
pub use ports::erasure::{
    AtPath, Doubt, Erasable, Erasers, ErasingOriginal, ErasureLedger, ErasureTurn, Judgment,
    KnownBy, OriginalGone, OriginalRemains, SoughtOriginal,
};
pub use ports::isolation::{ChildEnd, Isolation};
pub use ports::ledger::{
    Advance, Announcement, Claimed, Granted, Happened, KnownUpload, Ledger, Note, Parking,
    QuarantineEntry, Queued, ReleaseClaim, ReleaseGranted, ReleaseRefusal, Requeue, Sweep,
};
pub use ports::meter::{Cloud, Meter, NoMeter, Operation, RequestResult};
pub use ports::publisher::{Publisher, Queue};
pub use ports::reading::{LedgerReading, Tally};
pub use ports::reroute::{REROUTE_QUIET, Reroutable, RerouteCandidate, RerouteLedger, Rerouting};
pub use ports::retention::{
    CopyOf, Expiring, ExpiryReason, ExpiryTurn, Gone, Kept, Remains, Removable, Removal, Removers,
    Retained, RetentionLedger, RetentionReading,
};
pub use ports::staging::{Moved, Original, Originals, Trash, TrashEntry};
pub use proof::{Block, CheckedWrite, Expected, FirstLook, Mismatch, Observed, Verified};
pub use receipt::{Location, Method, Receipt};
pub use refusal::{Refusal, RefusalReason};
pub use s3_options::{Encryption, MalformedTags, ObjectTags, S3Options};
pub use secret::{Locked, Secret};
pub use settlement::{Delivery, HandOff, Handler, Probe, Settlement};
pub use staging_path::{StagingPath, TRASH_DIRECTORY, UnsafePath};
pub use store_code::StoreCode;
