//! The health of destinations: probes where a breaker is open, the news of each change, and the
//! daily check.

use futures::stream::{FuturesUnordered, StreamExt};
use recording::{
    CheckReport, Checker, Diagnosis, DueCheck, LedgerFault, ParkReason, PublishFault,
    health_changed,
};
use telemetry::CheckVerdict;
use tokio_util::sync::CancellationToken;

use super::{BATCH, Housekeeping};

/// Breakers that are half open at the same time, at most, with each tick.
const PROBES: u32 = 50;
/// Destinations checked at a time. Ten thousand a day are seven in a minute, and one check takes
/// seconds; one that hangs keeps its place for two minutes, and the others' go on.
const CHECKS: u32 = 8;

impl Housekeeping {
    /// Tends the breakers and sends their probes.
    pub(super) async fn probe(&self) -> Result<(), LedgerFault> {
        for (queue, key) in self.ports.ledger.tend_breakers(PROBES).await? {
            match self.send(queue, key).await {
                Ok(()) => self.ports.metrics.destinations_probed(1),
                Err(key) => self.ports.ledger.undrive(queue, &[key]).await?,
            }
        }
        Ok(())
    }

    /// Says which destinations changed their health. What is not confirmed is said again later.
    pub(super) async fn announce_health(&self) -> Result<(), LedgerFault> {
        for news in self.ports.ledger.health_announcements(BATCH).await? {
            tracing::warn!(
                destination.owner = %news.owner, destination.revision = news.revision,
                reason = news.reason.map_or("", ParkReason::as_str),
                waiting = news.recordings_waiting,
                "a destination changed its health"
            );
            match self.ports.publisher.publish(health_changed(&news)).await {
                // Other services may not listen to these.
                Ok(()) | Err(PublishFault::Unroutable) => {
                    let ledger = &self.ports.ledger;
                    ledger.health_announced(news.revision, news.id).await?;
                }
                Err(
                    fault @ (PublishFault::Refused
                    | PublishFault::Unconfirmed
                    | PublishFault::Disconnected),
                ) => {
                    self.ports.metrics.unconfirmed();
                    tracing::info!(
                        destination.revision = news.revision, error = %fault,
                        "the news of a destination is not confirmed; it is repeated"
                    );
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Checks until `stop` fires.
    pub(super) async fn run_checks(&self, stop: CancellationToken) {
        let Some(checker) = self.ports.checker.clone() else {
            return;
        };
        loop {
            let wait = retry::jittered(self.tuning.check_poll, self.tuning.jitter);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                checked = self.check_due(&*checker) => if let Err(fault) = checked {
                    tracing::debug!(error = %fault, "destinations are checked later");
                },
            }
        }
    }

    /// Checks everything that is due, a few at a time: whenever one has ended, the next is begun.
    /// What hangs is given up and checked again later.
    ///
    /// # Errors
    /// The ledger does not answer; what is not checked is due again.
    pub async fn check_due(&self, checker: &dyn Checker) -> Result<(), LedgerFault> {
        let mut checks = FuturesUnordered::new();
        let (mut more, mut outcome) = (true, Ok(()));
        loop {
            let running = u32::try_from(checks.len()).unwrap_or(u32::MAX);
            let room = CHECKS.saturating_sub(running);
            if more && room > 0 {
                let due = match self.ports.ledger.checks(room).await {
                    Ok(due) => due,
                    Err(fault) => {
                        outcome = outcome.and(Err(fault));
                        Vec::new()
                    }
                };
                more = u32::try_from(due.len()).is_ok_and(|found| found >= room);
                checks.extend(due.into_iter().map(|due| self.check_one(checker, due)));
            }
            match checks.next().await {
                Some(Ok(())) => {}
                // What runs is still noted, if it can be.
                Some(Err(fault)) => {
                    more = false;
                    outcome = outcome.and(Err(fault));
                }
                None => return outcome,
            }
        }
    }

    async fn check_one(&self, checker: &dyn Checker, due: DueCheck) -> Result<(), LedgerFault> {
        let checking = checker.check(&due.destination, &due.account);
        let checked = tokio::time::timeout(self.tuning.check_max, checking).await;
        let Ok(report) = checked else {
            self.ports
                .metrics
                .destination_checked(CheckVerdict::Unknown);
            tracing::info!(
                destination.revision = due.destination.revision,
                "the check of a destination took too long; it is made again later"
            );
            return Ok(());
        };
        let verdict = verdict(&report);
        self.ports.metrics.destination_checked(verdict);
        tracing::info!(
            destination.owner = %due.destination.owner,
            destination.revision = due.destination.revision,
            verdict = verdict.as_str(),
            "destination checked"
        );
        self.ports.ledger.checked(&due, &report).await
    }
}

fn verdict(report: &CheckReport) -> CheckVerdict {
    match report.diagnosis() {
        Diagnosis::Unhealthy { .. } => CheckVerdict::Unusable,
        Diagnosis::Unknown => CheckVerdict::Unknown,
        Diagnosis::Healthy if report.concerns().next().is_some() => CheckVerdict::Concerns,
        Diagnosis::Healthy => CheckVerdict::Usable,
    }
}
