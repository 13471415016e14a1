//! Large originals: read once, part by part, each part hashed and sent; completed only if the
//! whole is what was announced, the original did not change, and nothing is at the key.
//!
//! **Crashes.** The upload is in the ledger before its first part, and each part after the store
//! took it. Whoever comes next reads and hashes from the first byte on and sends only the parts
//! that the store does not have with these very bytes. An upload that a crash left between its
//! creation and the ledger is found by the sweep of leftovers (`uploads`).
//!
//! **Errors** leave the upload open for the next attempt, unless it is of no use to anybody: then
//! it is aborted here, as well as that goes. The key itself is never deleted: what is there may be
//! somebody's good copy.
//!
//! SUBTLE: two writers may fill one upload at once: one that lost its lease and does not know it
//! yet, and its successor. Both send the same bytes under the same numbers, since they agree on
//! original and cut, and the store makes at most one object of it, create-only and checked against
//! the checksum of the whole. So a writer that lost its lease just stops: aborting would take the
//! upload from under its successor.

mod complete;
mod parts;
mod plan;
mod resume;
mod trial;

use http::Method;
use recording::{
    Fault, Operation, Outbound, ParkReason, SendFault, SendOutcome, StagingFault, Upload,
};

use self::complete::Completed;
use self::parts::Filling;
use self::plan::LIMITS;
use self::resume::Open;
pub(crate) use self::trial::{Trial, TrialEnd};
use super::bucket::Bucket;
use super::exchange::Trouble;
use super::place::{encode, put as put_header};
use super::xml::{self, UploadCreated};
use crate::budget::Budget;
use crate::parts::{Plan, send_all};
use crate::whole::check_announced;

/// Why an upload was not completed.
#[derive(Debug)]
enum Stopped {
    /// The store does not know the upload any more.
    Gone(Fault),
    /// What the store has stays good for the next attempt, or for a successor.
    Paused(SendFault),
    /// The upload is of no use to anybody.
    Useless(SendFault),
}

impl From<SendFault> for Stopped {
    fn from(fault: SendFault) -> Self {
        match &fault {
            // Whatever was sent is of bytes that are not, or no longer, the original's.
            SendFault::DigestMismatch
            | SendFault::Staging(
                StagingFault::Changed | StagingFault::Absent | StagingFault::NotAPlainFile(_),
            ) => Self::Useless(fault),
            SendFault::Store(store) if store.reason == ParkReason::DestinationRefused => {
                Self::Useless(fault)
            }
            SendFault::Store(_)
            | SendFault::Staging(StagingFault::Unavailable(_) | StagingFault::Unreadable(_))
            | SendFault::Ledger(_)
            | SendFault::LeaseLost(_)
            | SendFault::Paused => Self::Paused(fault),
        }
    }
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        SendFault::from(fault).into()
    }
}

impl Bucket {
    /// Gives an upload up. One that is not there any more is given up already.
    pub(crate) async fn abort(&self, key: &str, upload_id: &str) -> Result<(), Fault> {
        let query = format!("uploadId={}", encode(upload_id));
        let ask = self.ask(Operation::Abort, Method::DELETE, Some(key), &query)?;
        match self.exchange(&ask).await {
            Ok(_) => Ok(()),
            Err(Trouble::Refused(refusal))
                if refusal.status == 404 && refusal.code.as_deref() != Some("NoSuchBucket") =>
            {
                Ok(())
            }
            Err(trouble) => Err(trouble.fault(Operation::Abort)),
        }
    }

    /// Sends the original in parts, going on with an earlier upload if that is of this very
    /// original and cut.
    pub(crate) async fn send_parts(
        &self,
        outbound: &Outbound<'_>,
        budget: &Budget,
        part_size: u64,
    ) -> Result<SendOutcome, SendFault> {
        let plan = Plan::new(outbound.size_bytes, part_size, LIMITS)?;
        let mut earlier = self.earlier(outbound, plan).await?;
        let mut anew = false;
        loop {
            let open = match earlier.take() {
                Some(open) => open,
                None => self.begin(outbound, plan).await?,
            };
            match self.fill(outbound, budget, plan, &open).await {
                Ok(Completed::Done(digests)) => return Ok(SendOutcome::Sent(digests, None)),
                // It may be completing right now: not for us to disturb.
                Ok(Completed::Unclear(digests, why)) => {
                    return Ok(SendOutcome::Unclear(digests, why));
                }
                Ok(Completed::Taken(digests, why)) => {
                    self.abort_useless(outbound, &open).await;
                    return Ok(SendOutcome::Unclear(digests, why));
                }
                // Aborted by somebody, or by the bucket's own rules. Once: a store that forgets
                // what was begun a moment ago is for a later attempt.
                Err(Stopped::Gone(fault)) if !anew => {
                    tracing::info!(detail = fault.detail, "the upload is gone, and begun anew");
                    anew = true;
                }
                Err(Stopped::Gone(fault)) => return Err(fault.into()),
                Err(Stopped::Paused(fault)) => return Err(fault),
                Err(Stopped::Useless(fault)) => {
                    self.abort_useless(outbound, &open).await;
                    return Err(fault);
                }
            }
        }
    }

    /// Creates an upload and has it remembered before anything is sent to it.
    async fn begin(&self, outbound: &Outbound<'_>, plan: Plan) -> Result<Open, SendFault> {
        let open = Open::new(Upload {
            id: self.create_upload(outbound).await?,
            part_bytes: plan.part_bytes(),
            identity: outbound.original.identity(),
            parts: Vec::new(),
        });
        if let Err(fault) = outbound.uploads.begun(open.upload()).await {
            // Nobody will know of it.
            self.try_abort(outbound, &open).await;
            return Err(fault);
        }
        Ok(open)
    }

    async fn create_upload(&self, outbound: &Outbound<'_>) -> Result<String, Fault> {
        let key = Some(outbound.key.as_str());
        let mut ask = self.ask(Operation::CreateUpload, Method::POST, key, "uploads=")?;
        self.describe_object(&mut ask.headers, outbound)?;
        if let Some(sha256) = outbound.sha256 {
            let sha256 = sha256.to_string();
            put_header(&mut ask.headers, "x-amz-meta-callferry-sha256", &sha256)?;
        }
        put_header(&mut ask.headers, "x-amz-checksum-algorithm", "CRC64NVME")?;
        put_header(&mut ask.headers, "x-amz-checksum-type", "FULL_OBJECT")?;
        let answer = self.exchange(&ask).await;
        let answer = answer.map_err(|trouble| trouble.fault(Operation::CreateUpload))?;
        let created: Option<UploadCreated> = xml::parse(&answer.body);
        match created {
            // The id goes into the ledger: what no store sends must not get as far as there.
            Some(created) if is_plain(&created.upload_id) => Ok(created.upload_id),
            Some(_) | None => Err(Fault::new(
                ParkReason::OutcomeUnknown,
                "create upload: the answer cannot be understood",
            )),
        }
    }

    async fn fill(
        &self,
        outbound: &Outbound<'_>,
        budget: &Budget,
        plan: Plan,
        open: &Open,
    ) -> Result<Completed, Stopped> {
        let filling = Filling {
            bucket: self,
            outbound,
            open,
        };
        let (mut landed, digests) = send_all(outbound, budget, plan, &filling).await?;
        landed.sort_unstable_by_key(|part| part.number);
        let still_same = outbound.original.still_same().await;
        still_same.map_err(|fault| Stopped::from(SendFault::from(fault)))?;
        check_announced(outbound, &digests)?;
        self.complete(outbound, open.id(), &landed, digests).await
    }

    /// Aborts what is of no use, unless somebody else may be using it by now.
    async fn abort_useless(&self, outbound: &Outbound<'_>, open: &Open) {
        if outbound.fence.check().is_ok() {
            self.try_abort(outbound, open).await;
        }
    }

    /// Not an outcome if it fails: the next attempt finds it in the ledger, or the sweep finds it.
    async fn try_abort(&self, outbound: &Outbound<'_>, open: &Open) {
        if let Err(fault) = self.abort(outbound.key.as_str(), open.id()).await {
            tracing::debug!(reason = %fault.reason, detail = fault.detail, "upload stays open");
        }
    }
}

/// Whether it may be an upload's id: what no store sends must not get any further.
pub(super) fn is_plain(upload_id: &str) -> bool {
    (1..=1024).contains(&upload_id.len()) && upload_id.bytes().all(|b| b.is_ascii_graphic())
}
