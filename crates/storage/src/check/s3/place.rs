//! Where the bucket is, whether we are let in, and whose it is.

use recording::{Capability, Fault, ParkReason, Permission, Purpose, S3Bucket};

use super::Trial;
use crate::check::{Stopped, unsigned};
use crate::s3::refusal;
use crate::staging::bucket::object::Line;

impl Trial<'_> {
    /// Knocks without a credential: who answers, at what time, and in which region.
    pub(super) async fn reach(&self, s3: &S3Bucket) -> Result<(), Stopped> {
        let bucket = self.must_reach(Capability::Reach, Purpose::Look)?;
        let book = self.subject.book;
        let knocked = match bucket.url() {
            Ok(uri) => unsigned::knock(bucket.line(), uri, refusal).await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = knocked {
            self.fail(Capability::Reach, &fault, &[]);
            return Err(Stopped);
        }
        let endpoint = s3.endpoint.as_deref().unwrap_or("AWS");
        book.passed(Capability::Reach, format!("{endpoint} answers"));
        self.subject.judge_clock(self.witness.skew());
        match self.witness.last().region {
            Some(region) if region != s3.region => {
                let detail = format!("the bucket is in {region} and not in {}", s3.region);
                let fault = Fault::new(ParkReason::WrongRegion, detail);
                self.fail(Capability::Owner, &fault, &[]);
                Err(Stopped)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Has a session granted for every purpose.
    pub(super) async fn sessions(&self, s3: &S3Bucket) -> Result<(), Stopped> {
        let book = self.subject.book;
        for purpose in Purpose::ALL {
            let bucket = self.must_reach(Capability::Session, purpose)?;
            if let Err(fault) = bucket.session().issued().await {
                let detail = format!("for `{}`: {}", purpose.as_str(), fault.detail);
                self.fail(Capability::Session, &Fault { detail, ..fault }, &[]);
                return Err(Stopped);
            }
        }
        let detail = match &s3.role_arn {
            Some(arn) => format!("{arn} is assumed for every purpose"),
            None => "our own identity serves every purpose".to_owned(),
        };
        book.passed(Capability::Session, detail);
        Ok(())
    }

    /// Lists the check's folder: whether the bucket is there, whether it is the expected owner's,
    /// and whether a missing key can be told. What lies there from earlier checks; `None` where it
    /// may not be listed.
    pub(super) async fn owner(&self, s3: &S3Bucket) -> Result<Option<Vec<Line>>, Stopped> {
        let look = self.must_reach(Capability::Owner, Purpose::Look)?;
        let folder = self.subject.folder();
        let book = self.subject.book;
        let fault = match look.list_staged(&folder, None).await {
            Ok(page) => {
                book.passed(Capability::Owner, whose(s3));
                book.passed(Capability::List, "a key that is not there is told");
                return Ok(Some(page.lines));
            }
            Err(fault) => fault,
        };
        if fault.reason != ParkReason::AccessDenied {
            self.fail(Capability::Owner, &fault, &[]);
            return Err(Stopped);
        }
        let anybodys =
            s3.expected_owner.is_some() && look.whoever_owns_it().lists(&folder).await.is_ok();
        if anybodys {
            let owner = s3.expected_owner.as_deref().unwrap_or_default();
            let detail = format!("the bucket does not belong to the expected account {owner}");
            self.fail(
                Capability::Owner,
                &Fault::new(ParkReason::OwnerMismatch, detail),
                &[],
            );
            return Err(Stopped);
        }
        // Whose it is, is seen when it takes an object that names the owner.
        self.fail(Capability::List, &fault, &[Permission::ListBucket]);
        Ok(None)
    }
}

/// What a request that was granted says of the owner.
pub(super) fn whose(s3: &S3Bucket) -> String {
    match &s3.expected_owner {
        Some(owner) => format!("{} is there and belongs to {owner}", s3.bucket),
        None => format!("{} is there; nobody in particular must own it", s3.bucket),
    }
}
