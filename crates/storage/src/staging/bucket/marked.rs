//! Staging whose marker must hold one id: what a failure there means.

use recording::{Fault, StagingFault};
use uuid::Uuid;

use super::{BucketStaging, cannot};

/// A bucket and the id that its marker must hold.
#[derive(Debug, Clone)]
pub(super) struct Marked {
    pub(super) staging: BucketStaging,
    staging_id: Uuid,
}

impl Marked {
    /// Staging whose marker is seen now.
    pub(super) async fn open(
        staging: &BucketStaging,
        staging_id: Uuid,
    ) -> Result<Self, StagingFault> {
        let marked = Self {
            staging: staging.clone(),
            staging_id,
        };
        marked.probe().await?;
        Ok(marked)
    }

    /// Looks for the marker, by a new request.
    pub(super) async fn probe(&self) -> Result<(), StagingFault> {
        match self.staging.read_marker().await? {
            Some(found) if found == self.staging_id => Ok(()),
            Some(found) => Err(StagingFault::Unavailable(format!(
                "the bucket's marker is another staging's ({found})"
            ))),
            None => Err(StagingFault::Unavailable(
                "the bucket has no staging marker below its prefix".to_owned(),
            )),
        }
    }

    /// What to answer when nothing was found: [`StagingFault::Absent`] only if the marker is
    /// there now.
    pub(super) async fn absent(&self) -> StagingFault {
        match self.probe().await {
            Ok(()) => StagingFault::Absent,
            Err(fault) => fault,
        }
    }

    /// Whose trouble a failure at one key is: staging's only if staging itself does not answer.
    /// A denial of one object is neither its presence nor its absence.
    pub(super) async fn blame(&self, fault: Fault) -> StagingFault {
        match self.probe().await {
            Ok(()) => StagingFault::Unreadable(fault.detail),
            Err(StagingFault::Unavailable(_)) => cannot("the bucket does not answer")(fault),
            Err(outage) => outage,
        }
    }
}
