//! What is read when somebody scrapes: the ledger's last reading, and the process's parts.

use std::collections::BTreeMap;
use std::time::Duration;

use recording::{LedgerReading, ParkReason, Queue, RefusalReason, State, Tally};

use super::super::Metrics;
use super::super::readings::{
    ByteBudget, ConfirmCounts, DeliveryCounts, LedgerPool, OutsideReadings, Sessions,
};
use super::{assert_series, scrape};

#[test]
fn a_reading_of_the_ledger_replaces_the_one_before_as_a_whole() {
    let metrics = Metrics::new().unwrap();
    let tally = |count, age| Tally {
        count,
        oldest: Duration::from_secs(age),
    };
    let account = |number: u64| (format!("acme-{number}").parse().unwrap(), number);
    let reading = LedgerReading {
        states: BTreeMap::from([
            (State::Staged, tally(3, 40)),
            (State::Released, tally(9, 9)),
        ]),
        parked: BTreeMap::from([(ParkReason::AccessDenied, tally(2, 30))]),
        quarantined: BTreeMap::from([(RefusalReason::Conflict, tally(1, 20))]),
        unproven_oldest: Duration::from_millis(1500),
        due: BTreeMap::from([(Queue::Transfer, 7)]),
        suspected: 1,
        accounts: (1..=80).map(account).collect(),
        ..LedgerReading::default()
    };
    metrics.ledger_reading(&reading, "2026-11-23T00:00:00.500Z".parse().unwrap());
    let now = scrape(&metrics);
    assert_series(
        &now,
        &[
            ("recordings{state=\"staged\"}", 3.0),
            ("recordings{state=\"stored\"}", 0.0),
            ("oldest_seconds{state=\"staged\"}", 40.0),
            ("parked{reason=\"access_denied\"}", 2.0),
            ("parked_oldest_seconds{reason=\"access_denied\"}", 30.0),
            ("quarantined{reason=\"conflict\"}", 1.0),
            ("unproven_oldest_seconds", 1.5),
            ("due{queue=\"transfer\"}", 7.0),
            ("suspected", 1.0),
            ("ledger_reading_timestamp_seconds", 1_795_392_000.5),
        ],
    );
    let open = |now: &BTreeMap<String, f64>| {
        let accounts = now
            .keys()
            .filter(|k| k.starts_with("callferry_account_open"));
        accounts.count()
    };
    assert_eq!(open(&now), 50, "accounts are capped");
    assert!(!now.contains_key("callferry_recordings{state=\"released\"}"));

    metrics.ledger_reading(&LedgerReading::default(), chrono::DateTime::UNIX_EPOCH);
    let now = scrape(&metrics);
    assert_eq!(
        now.get("callferry_recordings{state=\"staged\"}"),
        Some(&0.0)
    );
    assert_eq!(open(&now), 0, "an account with nothing open is not shown");
}

#[test]
fn parts_of_a_process_are_put_together_when_somebody_scrapes() {
    let metrics = Metrics::new().unwrap();
    let consumer = |live| OutsideReadings {
        consume: Some(Sessions {
            live,
            opened: 2,
            lost: 1,
        }),
        deliveries: DeliveryCounts {
            handed: 9,
            acked: 4,
            unsettled: 5,
            ..DeliveryCounts::default()
        },
        ..OutsideReadings::default()
    };
    metrics.watch(Box::new(move || consumer(true)));
    metrics.watch(Box::new(move || consumer(false)));
    metrics.watch(Box::new(|| OutsideReadings {
        publish: Some(Sessions {
            live: true,
            opened: 1,
            lost: 0,
        }),
        blocked: true,
        confirms: ConfirmCounts {
            ok: 10,
            timed_out: 1,
            ..ConfirmCounts::default()
        },
        ledger: Some(LedgerPool {
            in_use: 3,
            idle: 4,
            max: 8,
            waiting: 1,
        }),
        byte_budget: Some(ByteBudget {
            bytes: 1 << 27,
            used_bytes: 1 << 24,
        }),
        ..OutsideReadings::default()
    }));
    metrics.watch_parts(Box::new(|| {
        vec![("ledger".to_owned(), false), ("publisher".to_owned(), true)]
    }));
    let now = scrape(&metrics);
    assert_series(
        &now,
        &[
            ("broker_sessions{side=\"consume\"}", 0.0),
            ("broker_sessions{side=\"publish\"}", 1.0),
            ("broker_sessions_opened_total{side=\"consume\"}", 4.0),
            ("broker_blocked", 1.0),
            ("broker_confirms_total{result=\"ok\"}", 10.0),
            ("broker_confirms_total{result=\"timed_out\"}", 1.0),
            ("broker_unsettled", 10.0),
            ("broker_sessions_lost_total{side=\"consume\"}", 2.0),
            ("broker_deliveries_total", 18.0),
            ("broker_acks_total", 8.0),
            ("part_ready{part=\"ledger\"}", 0.0),
            ("part_ready{part=\"publisher\"}", 1.0),
            ("ledger_connections{state=\"in_use\"}", 3.0),
            ("ledger_connections{state=\"max\"}", 8.0),
            ("ledger_waiting", 1.0),
            ("byte_budget_bytes", 134_217_728.0),
            ("byte_budget_used_bytes", 16_777_216.0),
        ],
    );
}
