//! Checks a destination by doing what the fleet does there: with the fleet's own sessions, by the
//! fleet's own requests where they exist, and each capability with a finding of its own.
//!
//! **Decision.** What is not the fleet's own request is asked for in the way that tells most:
//! a listing of one key and not HEAD of the bucket. **Because** HEAD of a bucket has no prefix, so
//! that IAM refuses it to every session that is narrowed to one, as ours are; and its refusals have
//! no body, hence no code. Where the bucket is, is asked without any credential at all, which also
//! tells the way there from what a credential may do. **Instead of** one more permission.
//!
//! **What stays behind.** Every check has names of its own for its probes, so that two at a time do
//! not meet; where something may not be deleted, later checks find it and share it instead of
//! leaving more (`s3/names`, `azure/names`). So whatever two checks share, neither can delete.
//!
//! **Decision.** The sessions of a check are its own and reach no further than its folder.
//! **Because** every request of a check is below that folder anyway, so that nothing is hidden by
//! it; daily checks need not hold sessions that write to, read and delete all recordings; and
//! neither a session nor a refusal that is remembered from before answers for the role as it is
//! now. What no check ever sees, narrowed or not, is a policy that treats the folder otherwise than
//! its siblings. **Instead of** those that the fleet has.
//!
//! **No finding repeats what a store wrote**: of its prose nothing is kept but words that we know
//! (`witness`).

mod azure;
mod book;
mod clock;
mod external_id;
mod parcel;
mod played;
mod s3;
mod unsigned;
mod witness;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use recording::{
    AccountId, Capability, CheckReport, Checker, Destination, Fault, ObjectKey, ParkReason,
    SendFault, Store,
};
use tokio::time::timeout;
use uuid::Uuid;

use self::book::Book;
use self::parcel::Parcel;
use crate::stores::Shared;

/// How long a whole check may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long after a check is given up what it left is tidied up, where later ones cannot find it.
const TIDYING: Duration = Duration::from_secs(10);
/// A probe that is older than this belongs to no check that is still busy.
const OVER: TimeDelta = TimeDelta::seconds(120);
/// What leads a probe's key within the destination's prefix.
pub(crate) const FOLDER: &str = "callferry-check/";
/// The small probe's name, alone where it is shared.
const SMALL_NAME: &str = "object";
/// The name of what is put together from parts.
const PARTS_NAME: &str = "parts";

/// Checks destinations.
#[derive(Debug, Clone)]
pub struct BucketChecker {
    shared: Arc<Shared>,
}

impl BucketChecker {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[async_trait]
impl Checker for BucketChecker {
    async fn check(&self, destination: &Destination, account: &AccountId) -> CheckReport {
        let book = Book::new();
        book.skipped(
            Capability::Overlap,
            "the ledger knows, and was not asked here",
        );
        let id = Uuid::new_v4().simple().to_string();
        let subject = Subject {
            shared: &self.shared,
            destination,
            account,
            book: &book,
            id: &id,
        };
        // Boxed: both clouds' many states would be part of every caller's.
        let trying = async {
            match &destination.store {
                Store::S3(bucket) => Box::pin(s3::check(subject, bucket)).await,
                Store::Azure(container) => Box::pin(azure::check(subject, container)).await,
            }
        };
        if timeout(DEADLINE, trying).await.is_err() {
            let seconds = DEADLINE.as_secs();
            let detail = format!("the check was not finished within {seconds} s");
            book.ran_out(&Fault::new(ParkReason::DestinationUnreachable, detail));
            if let Store::Azure(_) = &destination.store {
                // As far as it goes: nothing is concluded from it.
                drop(timeout(TIDYING, azure::tidy(subject)).await);
            }
        }
        CheckReport {
            at: self.shared.clock.now(),
            findings: book.close(),
        }
    }
}

/// What is checked, and where findings go.
#[derive(Debug, Clone, Copy)]
struct Subject<'a> {
    shared: &'a Arc<Shared>,
    destination: &'a Destination,
    account: &'a AccountId,
    book: &'a Book,
    /// This check's alone.
    id: &'a str,
}

impl Subject<'_> {
    /// What all keys begin with that a check touches.
    fn folder(&self) -> String {
        let prefix = self.destination.key_prefix(self.account);
        format!("{prefix}{FOLDER}")
    }

    /// The key of a probe.
    fn key(&self, name: &str) -> ObjectKey {
        ObjectKey::remembered(format!("{}{name}", self.folder()))
    }

    /// The key of a probe that is this check's alone.
    fn own_key(&self, name: &str) -> ObjectKey {
        self.key(&format!("{name}-{}", self.id))
    }

    /// A probe.
    fn parcel(&self, key: ObjectKey, bytes: impl Into<bytes::Bytes>) -> Parcel {
        Parcel::new(self.account, key, bytes, &self.shared.clock)
    }
}

/// What a sender's fault is about the store.
fn of_store(fault: SendFault) -> Fault {
    match fault {
        SendFault::Store(fault) => fault,
        SendFault::Staging(_)
        | SendFault::DigestMismatch
        | SendFault::Ledger(_)
        | SendFault::LeaseLost(_)
        | SendFault::Paused => Fault::new(ParkReason::Interrupted, fault.to_string()),
    }
}

/// Nothing more can be tried: what stands in the way is noted.
#[derive(Debug)]
struct Stopped;
