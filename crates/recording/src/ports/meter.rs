//! What adapters count, without knowing who keeps the count.

use std::fmt::Debug;
use std::time::Duration;

/// Whom a request went to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cloud {
    /// An S3 bucket.
    S3,
    /// An Azure container.
    Azure,
    /// AWS's token service.
    Sts,
    /// Microsoft's token service.
    Entra,
    /// Staging, where it is a bucket, of whichever cloud.
    Staging,
}

impl Cloud {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::S3, Self::Azure, Self::Sts, Self::Entra, Self::Staging];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Azure => "azure",
            Self::Sts => "sts",
            Self::Entra => "entra",
            Self::Staging => "staging",
        }
    }
}

/// What a request to a store does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// One PUT of a whole object.
    Put,
    /// Begins an upload in parts.
    CreateUpload,
    /// Sends a part or block.
    PutPart,
    /// Puts the parts or blocks together.
    Complete,
    /// Gives an upload up.
    Abort,
    /// Lists open uploads.
    ListUploads,
    /// Asks what is at a key.
    Look,
    /// Lists a key, or the blocks of one.
    List,
    /// Reads a copy back.
    ReadBack,
    /// Reads an original, or a part of it.
    Read,
    /// Deletes an original.
    Delete,
    /// Asks for a session or a token.
    Token,
}

impl Operation {
    /// Every one.
    pub const ALL: [Self; 12] = [
        Self::Put,
        Self::CreateUpload,
        Self::PutPart,
        Self::Complete,
        Self::Abort,
        Self::ListUploads,
        Self::Look,
        Self::List,
        Self::ReadBack,
        Self::Read,
        Self::Delete,
        Self::Token,
    ];

    /// The label, and the name in details and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::CreateUpload => "create_upload",
            Self::PutPart => "put_part",
            Self::Complete => "complete",
            Self::Abort => "abort",
            Self::ListUploads => "list_uploads",
            Self::Look => "look",
            Self::List => "list",
            Self::ReadBack => "read_back",
            Self::Read => "read",
            Self::Delete => "delete",
            Self::Token => "token",
        }
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequestResult {
    /// As wished.
    Ok,
    /// Something is there already (409, 412).
    Taken,
    /// Nothing is there (404).
    Absent,
    /// Not allowed, or not with this credential.
    Denied,
    /// Asked to slow down.
    Throttled,
    /// Never reached it, or it answered that it is broken.
    Unreachable,
    /// Sent, and no answer.
    Lost,
    /// Any other refusal.
    Refused,
}

impl RequestResult {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Taken,
        Self::Absent,
        Self::Denied,
        Self::Throttled,
        Self::Unreachable,
        Self::Lost,
        Self::Refused,
    ];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Taken => "taken",
            Self::Absent => "absent",
            Self::Denied => "denied",
            Self::Throttled => "throttled",
            Self::Unreachable => "unreachable",
            Self::Lost => "lost",
            Self::Refused => "refused",
        }
    }
}

/// Keeps count. Called on hot paths: it must not wait.
pub trait Meter: Debug + Send + Sync {
    /// One request to a store or token service ended.
    fn store_request(
        &self,
        cloud: Cloud,
        operation: Operation,
        result: RequestResult,
        took: Duration,
    );
    /// One statement of the ledger ended; its name is one of a closed set.
    fn statement(&self, name: &'static str, took: Duration);
    /// The ledger could not be asked, or answered something that cannot be understood.
    fn ledger_failed(&self, corrupt: bool);
}

/// Counts nothing: for tools and tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMeter;

impl Meter for NoMeter {
    fn store_request(&self, _: Cloud, _: Operation, _: RequestResult, _: Duration) {}
    fn statement(&self, _: &'static str, _: Duration) {}
    fn ledger_failed(&self, _: bool) {}
}
