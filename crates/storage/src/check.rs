//! Checks a destination by doing what the fleet does there: with the fleet's own sessions, by the
//! fleet's own requests where they exist, and each capability with a finding of its own.
//!
//! **Decision.** What is not the fleet's own request is asked for in the way that tells most:
//! a listing of one key and not HEAD of the bucket. **Because** HEAD of a bucket has no prefix, so
//! that IAM refuses it to every session that is narrowed to one, as ours are; and its refusals have
//! no body, hence no code. Where the bucket is, is asked without any credential at all, which also
//! tells the way there from what a credential may do. **Instead of** one more permission.
//!
//! **What stays behind.** Probe objects have fixed names, so that a destination where nothing may
//! be deleted keeps one small object however often it is checked. Only while another check is
//! busy with that name, a name of its own is used.
//!
//! **No finding repeats what a store wrote**: of its prose nothing is kept but words that we know
//! (`witness`).

mod azure;
mod book;
mod clock;
mod external_id;
mod parcel;
mod s3;
mod unsigned;
mod witness;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use recording::{
    AccountId, Capability, CheckReport, Checker, Destination, Fault, ParkReason, Store,
};
use tokio::time::timeout;

use self::book::Book;
use crate::stores::Shared;

/// How long a whole check may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// What leads a probe's key within the destination's prefix.
const FOLDER: &str = "callferry-check/";

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
        let subject = Subject {
            shared: &self.shared,
            destination,
            account,
            book: &book,
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
}

impl Subject<'_> {
    /// The key of a probe.
    fn key(&self, name: &str) -> recording::ObjectKey {
        let prefix = self.destination.key_prefix(self.account);
        recording::ObjectKey::remembered(format!("{prefix}{FOLDER}{name}"))
    }
}

/// Nothing more can be tried: what stands in the way is noted.
#[derive(Debug)]
struct Stopped;
