//! The intake of quarantine: moves the quarantine queue into the ledger's table, on which the
//! command line works. It refuses nothing: whatever arrives is kept.

use std::sync::Arc;

use async_trait::async_trait;
use recording::{
    Delivery, Handler, Incoming, Ledger, Probe, QuarantineEntry, Queue, RefusalReason, Settlement,
    parse,
};
use telemetry::Metrics;

use crate::Tuning;
use crate::outage::Patience;

/// The header with the reason, as [`RefusalReason::as_str`].
pub const REASON_HEADER: &str = "x-callferry-reason";
/// The header that names the field and the fix.
pub const DETAIL_HEADER: &str = "x-callferry-detail";
/// The header with the queue the message came from.
pub const QUEUE_HEADER: &str = "x-callferry-queue";
/// The header with the time it was refused first.
pub const FIRST_SEEN_HEADER: &str = "x-callferry-first-seen";

/// What the intake reaches the outside through.
#[derive(Clone)]
pub struct IntakePorts {
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// The handler of the quarantine queue.
pub struct Intake {
    ports: IntakePorts,
    patience: Patience,
}

impl Intake {
    /// The intake over its ports.
    #[must_use]
    pub fn new(ports: IntakePorts, tuning: &Tuning) -> Self {
        Self {
            ports,
            patience: Patience::new(tuning),
        }
    }
}

fn queue_named(name: &str) -> Option<Queue> {
    Queue::ALL.into_iter().find(|queue| queue.name() == name)
}

fn entry(delivery: &Delivery) -> QuarantineEntry {
    let header = |name: &str| delivery.headers.get(name).cloned();
    let dead = delivery.dead_lettered.as_ref();
    let queue = header(QUEUE_HEADER).or_else(|| dead.map(|(queue, _)| queue.clone()));
    // A message that somebody put here by hand has neither; its body says where it belongs.
    let understood = parse(delivery);
    let by_body = match &understood {
        Ok(Incoming::Stored(_) | Incoming::CleanupDue(_)) => Queue::Cleanup,
        Ok(Incoming::Completed(..) | Incoming::TransferDue(_)) | Err(_) => Queue::Transfer,
    };
    let (reason, detail) = match (header(REASON_HEADER), dead, &understood) {
        (Some(word), _, _) => (
            word.parse().unwrap_or(RefusalReason::NotJson),
            header(DETAIL_HEADER).unwrap_or_default(),
        ),
        (None, Some((_, why)), _) => (
            RefusalReason::DeliveryLimit,
            format!("dead-lettered by the broker: {why}"),
        ),
        (None, None, Err(refusal)) => (refusal.reason, refusal.detail.clone()),
        (None, None, Ok(_)) => (
            RefusalReason::DeliveryLimit,
            "put here without a reason; returned".to_owned(),
        ),
    };
    let names = match &understood {
        Ok(Incoming::Completed(announced, _)) => {
            let account = announced.key.account_id.to_string();
            Some((account, announced.original.path.to_string()))
        }
        Ok(Incoming::Stored(_) | Incoming::TransferDue(_) | Incoming::CleanupDue(_)) | Err(_) => {
            None
        }
    };
    QuarantineEntry {
        reason,
        detail,
        queue: queue.as_deref().and_then(queue_named).unwrap_or(by_body),
        body: delivery.body.clone(),
        content_type: delivery.content_type.clone(),
        names,
    }
}

#[async_trait]
impl Handler for Intake {
    async fn handle(&self, delivery: Delivery) -> Settlement {
        let entry = entry(&delivery);
        let ledger = &self.ports.ledger;
        match self.patience.ledger(|| ledger.quarantine(&entry)).await {
            Ok(()) => {
                tracing::warn!(
                    reason = %entry.reason, detail = %entry.detail, queue = entry.queue.name(),
                    suspicious = entry.reason.is_suspicious(), "message quarantined"
                );
                self.ports.metrics.outcome(entry.reason);
                Settlement::Ack
            }
            // There is no quarantine for the quarantine.
            Err(outage) => Settlement::Requeue(outage.to_string()),
        }
    }
}

#[async_trait]
impl Probe for Intake {
    async fn probe(&self) -> Result<(), String> {
        self.ports
            .ledger
            .probe()
            .await
            .map_err(|fault| fault.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_reason_comes_from_our_header_then_from_the_broker_then_from_the_body() {
        let ours = Delivery {
            headers: BTreeMap::from([
                (REASON_HEADER.to_owned(), "conflict".to_owned()),
                (QUEUE_HEADER.to_owned(), "callferry.cleanup".to_owned()),
            ]),
            ..Delivery::default()
        };
        let kept = entry(&ours);
        assert_eq!(
            (kept.reason, kept.queue),
            (RefusalReason::Conflict, Queue::Cleanup)
        );

        let dead = Some(("callferry.transfer".to_owned(), "delivery_limit".to_owned()));
        let brokers = Delivery {
            dead_lettered: dead,
            ..Delivery::default()
        };
        let kept = entry(&brokers);
        assert_eq!(
            (kept.reason, kept.queue),
            (RefusalReason::DeliveryLimit, Queue::Transfer)
        );

        let bare = Delivery {
            body: "[]".into(),
            ..Delivery::default()
        };
        assert_eq!(entry(&bare).reason, RefusalReason::WrongField);
    }
}
