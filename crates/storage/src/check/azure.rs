//! A container of Azure, tried out: who we are there, one small blob through its life, then blobs
//! that are put together from blocks.
//!
//! Azure answers for a blob that is not there in the same way to whoever may read or delete it, so
//! that what is missing can be tried without leaving anything. Where the account keeps versions,
//! nothing is deleted for the sake of trying: each deletion would leave a version.

mod blob;
mod blocks;
mod names;
mod remedy;

use chrono::TimeDelta;
use recording::{AzureContainer, AzureIdentity, Capability, Fault, Look, ParkReason, Purpose};
use uuid::Uuid;

pub(super) use self::names::tidy;
use self::remedy::Remedies;
use super::witness::Witness;
use super::{SMALL_NAME, Stopped, Subject, unsigned};
use crate::azure::{Container, refusal, sas_expiry};
use crate::budget::Budget;
use crate::stores::Reached;

/// What a check may read at a time.
const BUDGET_BYTES: u64 = 4 * 1024 * 1024;
/// A SAS that ends sooner is worth a word.
const SOON: TimeDelta = TimeDelta::days(14);

/// One container being tried out.
struct Trial<'a> {
    subject: Subject<'a>,
    azure: &'a AzureContainer,
    remedies: Remedies<'a>,
    witness: Witness,
    budget: Budget,
}

/// Tries everything.
pub(super) async fn check(subject: Subject<'_>, azure: &AzureContainer) {
    let book = subject.book;
    for capability in [Capability::ExternalIdRequired, Capability::ExternalIdExact] {
        book.not_applicable(capability, "Azure has no roles that others could assume");
    }
    let detail = "blocks that nobody puts together are dropped after a week";
    book.not_applicable(Capability::SweepUploads, detail);
    let trial = Trial {
        subject,
        azure,
        remedies: Remedies(azure),
        witness: Witness::new(&subject.shared.clock),
        budget: Budget::new(BUDGET_BYTES),
    };
    trial.judge_secret();
    if trial.all().await.is_err() {
        tracing::debug!("the check could not go on");
    }
}

impl Trial<'_> {
    async fn all(&self) -> Result<(), Stopped> {
        self.reach().await?;
        self.session().await?;
        self.container_is_there().await?;
        let key = self.small_key().await;
        let mut stored = self.store_small(key).await?;
        self.look_and_read(&mut stored).await;
        let gone = self.remove_small(&stored).await;
        if !gone {
            self.leave_word(&stored).await;
        }
        self.blocks(&stored, gone).await;
        Ok(())
    }

    /// The container as the fleet reaches it for this purpose, seen by the witness.
    fn container(&self, purpose: Purpose) -> Result<Container, Fault> {
        let Subject {
            shared,
            destination,
            account,
            ..
        } = self.subject;
        match shared.reached(destination, account, purpose)? {
            Reached::Azure(container) => {
                let client = self.witness.beside(&container.line().client);
                Ok(container.through(client))
            }
            Reached::S3(_) => Err(Fault::new(
                ParkReason::DestinationRefused,
                "the destination is not in Azure",
            )),
        }
    }

    fn must_reach(&self, capability: Capability, purpose: Purpose) -> Result<Container, Stopped> {
        self.container(purpose).map_err(|fault| {
            self.fail(capability, &fault);
            Stopped
        })
    }

    fn fail(&self, capability: Capability, fault: &Fault) {
        let remedy = self.remedies.against(capability, fault);
        self.subject.book.failed(capability, fault, &[], remedy);
    }

    async fn reach(&self) -> Result<(), Stopped> {
        let container = self.must_reach(Capability::Reach, Purpose::Look)?;
        let key = self.subject.key(SMALL_NAME);
        let knocked = match container.url(key.as_str()) {
            Ok(uri) => unsigned::knock(container.line(), uri, refusal).await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = knocked {
            self.fail(Capability::Reach, &fault);
            return Err(Stopped);
        }
        let book = self.subject.book;
        let endpoint = self.azure.endpoint.as_deref().unwrap_or("Azure");
        book.passed(Capability::Reach, format!("{endpoint} answers"));
        self.subject.judge_clock(self.witness.skew());
        Ok(())
    }

    /// A token, or something to sign with.
    async fn session(&self) -> Result<(), Stopped> {
        let container = self.must_reach(Capability::Session, Purpose::Look)?;
        let key = self.subject.key(SMALL_NAME);
        match container.authorized(key.as_str()).await {
            Ok(()) => {
                let detail = format!("reached by {}", self.azure.identity.as_str());
                self.subject.book.passed(Capability::Session, detail);
                Ok(())
            }
            Err(fault) => {
                self.fail(Capability::Session, &fault);
                Err(Stopped)
            }
        }
    }

    /// Looks for a blob that nobody has: whether the container is there, and whether a missing blob
    /// is told.
    async fn container_is_there(&self) -> Result<(), Stopped> {
        let look = self.must_reach(Capability::Owner, Purpose::Look)?;
        let nobodys = format!("absent-{}", Uuid::new_v4().simple());
        let key = self.subject.key(&nobodys);
        let book = self.subject.book;
        let there = format!("{} is there", self.azure.container);
        match look.look(key.as_str()).await {
            Ok(Look::Absent) => {
                book.passed(Capability::Owner, there);
                book.passed(Capability::List, "a blob that is not there is told");
                Ok(())
            }
            Ok(Look::Present(_)) => {
                let detail = "look: a blob that nobody wrote is there";
                let fault = Fault::new(ParkReason::DestinationRefused, detail);
                self.fail(Capability::List, &fault);
                Err(Stopped)
            }
            // Storing may be allowed all the same; the look at what was stored will tell.
            Err(fault) if fault.reason == ParkReason::AccessDenied => {
                self.fail(Capability::List, &fault);
                Ok(())
            }
            Err(fault) if fault.reason == ParkReason::CredentialRefused => {
                self.fail(Capability::Session, &fault);
                Err(Stopped)
            }
            Err(fault) => {
                self.fail(Capability::Owner, &fault);
                Err(Stopped)
            }
        }
    }

    /// When the secret ends, where that can be known.
    fn judge_secret(&self) {
        let book = self.subject.book;
        let capability = Capability::SecretExpiry;
        let AzureIdentity::Sas { sas_token } = &self.azure.identity else {
            let detail = format!(
                "when {} ends is not told to us",
                self.azure.identity.as_str()
            );
            book.not_applicable(capability, detail);
            return;
        };
        let end = sas_token.reveal().ok().and_then(sas_expiry);
        let Some(end) = end else {
            let detail = "the SAS does not say when it ends: a policy of the container does";
            book.passed(capability, detail);
            return;
        };
        let left = end - self.subject.shared.clock.now();
        let detail = format!("the SAS ends at {}", end.to_rfc3339());
        let remedy = self.remedies.new_sas();
        if left <= TimeDelta::zero() {
            let fault = Fault::new(ParkReason::CredentialRefused, detail);
            book.failed(capability, &fault, &[], remedy);
        } else if left < SOON {
            book.warned(capability, detail, Some(remedy));
        } else {
            book.passed(capability, detail);
        }
    }
}
