//! A bucket of S3, tried out: first where it is and who we are there, then one small object through
//! its life, then uploads in parts.
//!
//! A request that is refused is asked about once more in another form where that tells what is
//! missing: without the expected owner, without the tags, without the checksum. Only then.

mod names;
mod object;
mod place;
mod remedy;
mod removal;
mod uploads;

use recording::{Capability, Fault, Finding, ParkReason, Permission, Purpose, S3Bucket, Verdict};

use self::remedy::Remedies;
use super::witness::Witness;
use super::{Stopped, Subject, external_id};
use crate::budget::Budget;
use crate::s3::Bucket;

/// S3's smallest part, in bytes.
const PART_BYTES: u64 = 5 * 1024 * 1024;
/// What a check may read at a time: two parts.
const BUDGET_BYTES: u64 = 2 * PART_BYTES + 1024;

/// One bucket being tried out.
struct Trial<'a> {
    subject: Subject<'a>,
    remedies: Remedies<'a>,
    witness: Witness,
    budget: Budget,
    /// The bucket as it is reached for each purpose, by sessions of this check's own.
    buckets: Result<Vec<(Purpose, Bucket)>, Fault>,
}

/// Tries everything.
pub(super) async fn check(subject: Subject<'_>, s3: &S3Bucket) {
    let prefix = subject.destination.key_prefix(subject.account);
    let buckets = Purpose::ALL.iter().map(|purpose| {
        let (destination, account) = (subject.destination, subject.account);
        let reach = |reached| (*purpose, reached);
        let tried = subject.shared.tried(destination, s3, account, *purpose);
        tried.map(reach)
    });
    let trial = Trial {
        subject,
        buckets: buckets.collect(),
        remedies: Remedies {
            s3,
            destination: subject.destination,
            prefix,
        },
        witness: Witness::new(&subject.shared.clock),
        budget: Budget::new(BUDGET_BYTES),
    };
    let detail = "a role has no secret: its sessions are renewed by themselves";
    subject
        .book
        .not_applicable(Capability::SecretExpiry, detail);
    if trial.all(s3).await.is_err() {
        tracing::debug!("the check could not go on");
    }
}

impl Trial<'_> {
    async fn all(&self, s3: &S3Bucket) -> Result<(), Stopped> {
        self.reach(s3).await?;
        self.sessions(s3).await?;
        external_id::check(self.subject, s3).await;
        let listed = self.owner(s3).await?;
        let key = self.small_key(listed).await;
        let mut stored = self.store_small(key).await?;
        self.look_and_read(&mut stored).await;
        let gone = self.remove_small(&stored).await;
        self.uploads(&stored, gone).await
    }

    /// The bucket as the fleet reaches it for this purpose, seen by the witness.
    fn bucket(&self, purpose: Purpose) -> Result<Bucket, Fault> {
        let buckets = self.buckets.as_ref().map_err(Clone::clone)?;
        let bucket = buckets.iter().find(|(its, _)| *its == purpose);
        let (_, bucket) = bucket.ok_or_else(|| {
            let detail = "the destination cannot be reached for this purpose";
            Fault::new(ParkReason::DestinationRefused, detail)
        })?;
        let client = self.witness.beside(&bucket.line().client);
        Ok(bucket.through(client))
    }

    /// The same, where a destination that cannot be reached for one purpose cannot for any.
    fn must_reach(&self, capability: Capability, purpose: Purpose) -> Result<Bucket, Stopped> {
        self.bucket(purpose).map_err(|fault| {
            self.fail(capability, &fault, &[]);
            Stopped
        })
    }

    /// A fault with what the store said last besides its code.
    fn told(&self, fault: &Fault) -> Fault {
        let mut fault = fault.clone();
        if let Some(said) = self.witness.last().said() {
            fault.detail = format!("{}; {said}", fault.detail);
        }
        fault
    }

    /// Notes what was refused by the last answer: what is missing where it is a denial, and what
    /// can be done.
    fn fail(&self, capability: Capability, fault: &Fault, needs: &[Permission]) {
        self.fail_told(capability, &self.told(fault), needs);
    }

    /// The same of an earlier answer.
    fn fail_told(&self, capability: Capability, fault: &Fault, needs: &[Permission]) {
        let missing = missing(fault, needs);
        let region = self.witness.last().region;
        let remedy = self.remedies.against(fault, missing, region.as_deref());
        self.subject.book.failed(capability, fault, missing, remedy);
    }

    /// Notes a refusal that the fleet gets along with.
    fn worth_a_word(&self, capability: Capability, fault: &Fault, needs: &[Permission]) {
        let fault = self.told(fault);
        let missing = missing(&fault, needs);
        self.subject.book.write(Finding {
            capability,
            verdict: Verdict::Warned,
            remedy: Some(self.remedies.against(&fault, missing, None)),
            detail: fault.detail,
            reason: None,
            missing: missing.to_vec(),
        });
    }
}

/// What is missing where a request was denied that needs these.
fn missing<'a>(fault: &Fault, needs: &'a [Permission]) -> &'a [Permission] {
    match fault.reason == ParkReason::AccessDenied {
        true => needs,
        false => &[],
    }
}
