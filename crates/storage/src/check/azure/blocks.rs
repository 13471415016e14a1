//! Blobs that are put together from blocks: one that is made, and one that must not be because its
//! name is taken.

use recording::{Capability, Fault, ObjectKey, ParkReason, Purpose, SendOutcome};

use super::Trial;
use super::blob::Stored;
use crate::azure::Container;
use crate::check::parcel::Parcel;
use crate::check::{PARTS_NAME, of_store};

/// A small block; the last one is one byte. What is not put together, Azure keeps for a week.
const BLOCK_BYTES: usize = 1024;

/// How a commit ended.
enum Commit {
    Made,
    Taken,
    Unclear(String),
    Refused(Fault),
}

impl Trial<'_> {
    /// Tries blobs from blocks. `gone`: what is stored may be deleted, so a larger blob may be.
    pub(super) async fn blocks(&self, stored: &Stored, gone: bool) {
        let Ok(write) = self.must_reach(Capability::Multipart, Purpose::Write) else {
            return;
        };
        let book = self.subject.book;
        let key = match gone {
            true => self.subject.own_key(PARTS_NAME),
            false => stored.parcel.key.clone(),
        };
        let two = self
            .subject
            .parcel(key.clone(), vec![b'.'; BLOCK_BYTES + 1]);
        match self.send(&write, &two).await {
            Commit::Made if gone => book.passed(Capability::Multipart, "two blocks became a blob"),
            Commit::Made => {
                book.passed(Capability::Multipart, "two blocks became a blob");
                self.overwritten();
                return;
            }
            Commit::Taken => {
                let detail = "two blocks are taken, and refused only because their name is taken";
                book.passed(Capability::Multipart, detail);
                let detail = "blocks are not put together where the name is taken";
                book.passed(Capability::CreateOnlyMultipart, detail);
            }
            Commit::Unclear(why) => {
                let fault = Fault::new(ParkReason::OutcomeUnknown, why);
                self.fail(Capability::Multipart, &fault);
                return;
            }
            Commit::Refused(fault) => {
                self.fail(Capability::Multipart, &fault);
                return;
            }
        }
        if gone {
            self.taken(&write, key).await;
            self.remove(&two).await;
        }
    }

    async fn taken(&self, write: &Container, key: ObjectKey) {
        let book = self.subject.book;
        let one = self.subject.parcel(key, vec![b'.'; 1]);
        // Below the size of a block it would be sent whole by the fleet; here it must be a block.
        match self.send(write, &one).await {
            Commit::Taken => {
                let detail = "blocks are not put together where the name is taken";
                book.passed(Capability::CreateOnlyMultipart, detail);
            }
            Commit::Made => self.overwritten(),
            Commit::Unclear(why) => {
                let detail = format!("it cannot be told: {why}");
                let remedy = Some("check again later".to_owned());
                book.warned(Capability::CreateOnlyMultipart, detail, remedy);
            }
            Commit::Refused(fault) => self.fail(Capability::CreateOnlyMultipart, &fault),
        }
    }

    async fn send(&self, write: &Container, parcel: &Parcel) -> Commit {
        let part = u64::try_from(BLOCK_BYTES).unwrap_or(u64::MAX);
        let outbound = parcel.outbound();
        self.witness.forget_last();
        match write.send_blocks(&outbound, &self.budget, part).await {
            Ok(SendOutcome::Sent(..)) => Commit::Made,
            Ok(SendOutcome::Unclear(..))
                if matches!(self.witness.last().status, 403 | 409 | 412) =>
            {
                Commit::Taken
            }
            Ok(SendOutcome::Unclear(_, why)) => Commit::Unclear(why),
            Err(fault) => Commit::Refused(of_store(fault)),
        }
    }

    fn overwritten(&self) {
        let detail = "complete: the store ignores If-None-Match there, so copies could be \
                      overwritten by blocks";
        let fault = Fault::new(ParkReason::DestinationRefused, detail);
        self.fail(Capability::CreateOnlyMultipart, &fault);
    }

    async fn remove(&self, parcel: &Parcel) {
        let Ok(expire) = self.must_reach(Capability::Delete, Purpose::Expire) else {
            return;
        };
        if let Err(fault) = expire.delete(parcel.key.as_str()).await {
            self.fail(Capability::Delete, &fault);
        }
    }
}
