//! What adapters count on real servers arrives in the families that operators look at.

#![expect(
    clippy::unwrap_used,
    reason = "a test's own helper functions fail by panicking, as the test does"
)]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use broker::{
    BrokerCounts, BrokerStats, Consumer, ConsumerHealth, ConsumerSettings, Publisher, RawMessage,
    publisher, topology,
};
use callferry_tests::patience;
use callferry_tests::scratch::Scratch;
use callferry_tests::servers::{Postgres, Rabbit};
use catalog::Catalog;
use chrono::{DateTime, Utc};
use recording::{Clock, Delivery, Handler, Ledger, LedgerFault, Probe, Queue, Settlement};
use telemetry::{ConfirmCounts, DeliveryCounts, LedgerPool, Metrics, OutsideReadings, Sessions};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Long enough for anything that should happen, on a machine that compiles as well.
const SOON: Duration = Duration::from_secs(60);

/// A clock that stands.
#[derive(Debug)]
struct Noon;

impl Clock for Noon {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }
    fn boot(&self) -> Duration {
        Duration::ZERO
    }
}

/// The value of one series, if it is scraped.
fn series(metrics: &Metrics, name: &str) -> Option<f64> {
    let text = metrics.text().unwrap();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("callferry_{name} ")));
    value.map(|value| value.parse().unwrap())
}

async fn until(metrics: &Metrics, name: &str, wanted: f64) {
    let waited = patience::until(name, SOON, async || {
        Ok((series(metrics, name) == Some(wanted)).then_some(()))
    });
    let found = series(metrics, name);
    assert!(
        waited.await.is_ok(),
        "{name} was {found:?} first, and never {wanted}"
    );
}

#[tokio::test]
async fn statements_and_failures_of_the_ledger_are_seen_and_so_are_its_connections() {
    let scratch = Scratch::new("metrics-ledger").unwrap();
    let mut postgres = Postgres::start(scratch.path()).await.unwrap();
    let url = postgres.create_database("ledger").await.unwrap();
    let metrics = Metrics::new().unwrap();
    let mut settings = catalog::Settings::new(url);
    settings.pool_size = 3;
    settings.connect_timeout = Duration::from_secs(2);
    settings.meter = Arc::<Metrics>::clone(&metrics);
    let ledger = Arc::new(Catalog::connect(settings, Arc::new(Noon)).unwrap());
    let watched = Arc::clone(&ledger);
    metrics.watch(Box::new(move || {
        let now = watched.connections();
        OutsideReadings {
            ledger: Some(LedgerPool {
                in_use: now.in_use,
                idle: now.idle,
                max: now.max,
                waiting: now.waiting,
            }),
            ..OutsideReadings::default()
        }
    }));
    ledger.migrate().await.unwrap();
    for _ in 0..5 {
        ledger.probe().await.unwrap();
    }
    assert!(ledger.due(Queue::Transfer, 10).await.unwrap().is_empty());
    let took = |statement: &str| {
        let name = format!("ledger_statement_seconds_count{{statement=\"{statement}\"}}");
        series(&metrics, &name).unwrap()
    };
    assert!(took("probe") >= 5.0);
    assert!(took("drive") >= 1.0);
    assert!(took("claim").abs() < 0.5);
    assert_eq!(
        series(&metrics, "ledger_connections{state=\"max\"}"),
        Some(3.0)
    );
    until(&metrics, "ledger_connections{state=\"in_use\"}", 0.0).await;
    assert!(series(&metrics, "ledger_connections{state=\"idle\"}").unwrap() >= 1.0);

    let failed = "ledger_failures_total{kind=\"unavailable\"}";
    let before = series(&metrics, failed).unwrap();
    postgres.kill9().unwrap();
    let down = ledger.probe().await;
    assert!(matches!(down, Err(LedgerFault::Unavailable(_))), "{down:?}");
    assert!(series(&metrics, failed).unwrap() > before);
    let corrupt = "ledger_failures_total{kind=\"corrupt\"}";
    assert_eq!(series(&metrics, corrupt), Some(0.0));
}

/// Acks a delivery when the test lets it.
struct Gate(Semaphore);

#[async_trait]
impl Handler for Gate {
    async fn handle(&self, _: Delivery) -> Settlement {
        self.0.acquire().await.unwrap().forget();
        Settlement::Ack
    }
}

#[async_trait]
impl Probe for Gate {
    async fn probe(&self) -> Result<(), String> {
        Ok(())
    }
}

/// The broker's counts, as the service hands them on.
fn readings(now: BrokerCounts, consumes: bool) -> OutsideReadings {
    let sessions = Sessions {
        live: now.live,
        opened: now.sessions_opened,
        lost: now.sessions_lost,
    };
    OutsideReadings {
        consume: consumes.then_some(sessions),
        publish: (!consumes).then_some(sessions),
        blocked: now.blocked,
        confirms: ConfirmCounts {
            ok: now.publishes_confirmed,
            returned: now.publishes_returned,
            nacked: now.publishes_nacked,
            timed_out: now.publishes_unconfirmed,
            disconnected: now.publishes_disconnected,
        },
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

fn watch(metrics: &Metrics, stats: &Arc<BrokerStats>, consumes: bool) {
    let stats = Arc::clone(stats);
    metrics.watch(Box::new(move || readings(stats.snapshot(), consumes)));
}

async fn publish(publisher: &Publisher, queue: Queue, id: &str) -> bool {
    let message = RawMessage {
        queue,
        message_id: Some(id.to_owned()),
        content_type: None,
        content_encoding: None,
        headers: Vec::new(),
        body: "{}".into(),
    };
    publisher.publish_raw(message).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_confirms_and_deliveries_in_hand_are_seen_while_they_last() {
    let scratch = Scratch::new("metrics-broker").unwrap();
    let rabbit = Rabbit::obtain(scratch.path()).await.unwrap();
    let vhost = format!("metrics-{}", uuid::Uuid::new_v4().simple());
    rabbit.create_vhost(&vhost).await.unwrap();
    let url = rabbit.amqp_url_of(&vhost).parse().unwrap();
    let settings = broker::Settings::new(url, "test", Arc::new(Noon));
    topology::apply(&settings).await.unwrap();

    let metrics = Metrics::new().unwrap();
    let (published, consumed) = (Arc::default(), Arc::default());
    watch(&metrics, &published, false);
    watch(&metrics, &consumed, true);
    let (publisher, worker) = publisher(&settings, &published);
    let mut tasks = JoinSet::new();
    let stop = CancellationToken::new();
    tasks.spawn(worker.run(CancellationToken::new()));
    publisher.until_live().await;
    until(&metrics, "broker_sessions{side=\"publish\"}", 1.0).await;
    assert_eq!(
        series(&metrics, "broker_sessions{side=\"consume\"}"),
        Some(0.0)
    );
    for id in ["one", "two", "three"] {
        assert!(publish(&publisher, Queue::Transfer, id).await);
    }
    assert_eq!(
        series(&metrics, "broker_confirms_total{result=\"ok\"}"),
        Some(3.0)
    );

    let gate = Arc::new(Gate(Semaphore::new(0)));
    let consumer = Consumer {
        settings: ConsumerSettings::new(settings, Queue::Transfer),
        handler: Arc::<Gate>::clone(&gate),
        probe: Arc::<Gate>::clone(&gate),
        quarantine: publisher.clone(),
        health: ConsumerHealth::new(),
        stats: Arc::clone(&consumed),
    };
    tasks.spawn(consumer.run(stop.clone()));
    until(&metrics, "broker_unsettled", 3.0).await;
    assert_eq!(
        series(&metrics, "broker_sessions{side=\"consume\"}"),
        Some(1.0)
    );
    gate.0.add_permits(2);
    until(&metrics, "broker_unsettled", 1.0).await;
    until(&metrics, "broker_acks_total", 2.0).await;
    gate.0.add_permits(1);
    until(&metrics, "broker_unsettled", 0.0).await;
    stop.cancel();
    until(&metrics, "broker_sessions{side=\"consume\"}", 0.0).await;
    assert_eq!(
        series(&metrics, "broker_sessions_lost_total{side=\"consume\"}"),
        Some(0.0)
    );
    assert_eq!(
        series(&metrics, "broker_sessions{side=\"publish\"}"),
        Some(1.0)
    );
    tasks.shutdown().await;
}
