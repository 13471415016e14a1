//! What adapters count, in the words of the metrics: they do not know each other. Asked at every
//! scrape; nothing here waits.

use broker::{BrokerCounts, BrokerStats};
use catalog::Catalog;
use storage::Stores;
use telemetry::{ByteBudget, ConfirmCounts, DeliveryCounts, LedgerPool, OutsideReadings, Sessions};

fn sessions(now: &BrokerCounts) -> Sessions {
    Sessions {
        live: now.live,
        opened: now.sessions_opened,
        lost: now.sessions_lost,
    }
}

/// What a consumer has done.
pub(super) fn consumer(stats: &BrokerStats) -> OutsideReadings {
    let now = stats.snapshot();
    OutsideReadings {
        consume: Some(sessions(&now)),
        deliveries: DeliveryCounts {
            handed: now.deliveries,
            acked: now.acks,
            requeued: now.requeues,
            quarantined: now.quarantined,
            too_late: now.settled_too_late,
            panics: now.handler_panics,
            give_backs: now.give_backs,
            unsettled: now.unsettled,
        },
        ..OutsideReadings::default()
    }
}

/// What a publisher has done.
pub(super) fn publisher(stats: &BrokerStats) -> OutsideReadings {
    let now = stats.snapshot();
    OutsideReadings {
        publish: Some(sessions(&now)),
        blocked: now.blocked,
        confirms: ConfirmCounts {
            ok: now.publishes_confirmed,
            returned: now.publishes_returned,
            nacked: now.publishes_nacked,
            timed_out: now.publishes_unconfirmed,
            disconnected: now.publishes_disconnected,
        },
        ..OutsideReadings::default()
    }
}

/// The memory that all transfers share.
pub(super) fn stores(stores: &Stores) -> OutsideReadings {
    let (bytes, used_bytes) = stores.byte_budget();
    OutsideReadings {
        byte_budget: Some(ByteBudget { bytes, used_bytes }),
        ..OutsideReadings::default()
    }
}

/// The connections to the ledger.
pub(super) fn ledger(catalog: &Catalog) -> OutsideReadings {
    let now = catalog.connections();
    OutsideReadings {
        ledger: Some(LedgerPool {
            in_use: now.in_use,
            idle: now.idle,
            max: now.max,
            waiting: now.waiting,
        }),
        ..OutsideReadings::default()
    }
}
