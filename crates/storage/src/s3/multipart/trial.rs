//! An upload in parts that a check makes in two steps, so that it can be looked at while it is
//! open.

use recording::{Outbound, SendFault};

use super::complete::Completed;
use super::plan::LIMITS;
use super::{Open, Stopped};
use crate::budget::Budget;
use crate::parts::Plan;
use crate::s3::bucket::Bucket;

/// An open upload of a check.
#[derive(Debug)]
pub(crate) struct Trial {
    open: Open,
    plan: Plan,
}

/// How completing it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TrialEnd {
    /// The store made an object of it.
    Made,
    /// It refused, since something is at the key; the upload is still open.
    Taken,
    /// It may have been made.
    Unclear(String),
}

impl Trial {
    /// The store's name for it.
    pub(crate) fn id(&self) -> &str {
        self.open.id()
    }
}

impl Bucket {
    /// Begins one.
    pub(crate) async fn begin_trial(
        &self,
        outbound: &Outbound<'_>,
        part_size: u64,
    ) -> Result<Trial, SendFault> {
        let plan = Plan::new(outbound.size_bytes, part_size, LIMITS)?;
        let open = self.begin(outbound, plan).await?;
        Ok(Trial { open, plan })
    }

    /// Sends its parts and completes it, as any other. What it leaves open is not aborted.
    pub(crate) async fn end_trial(
        &self,
        outbound: &Outbound<'_>,
        budget: &Budget,
        trial: &Trial,
    ) -> Result<TrialEnd, SendFault> {
        match self.fill(outbound, budget, trial.plan, &trial.open).await {
            Ok(Completed::Done(_)) => Ok(TrialEnd::Made),
            Ok(Completed::Taken(..)) => Ok(TrialEnd::Taken),
            Ok(Completed::Unclear(_, why)) => Ok(TrialEnd::Unclear(why)),
            Err(Stopped::Gone(fault)) => Err(fault.into()),
            Err(Stopped::Paused(fault) | Stopped::Useless(fault)) => Err(fault),
        }
    }
}
