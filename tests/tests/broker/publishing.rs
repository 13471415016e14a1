//! What "published" means.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use broker::{BrokerStats, ConsumerSettings, publisher};
use callferry_tests::patience;
use callferry_tests::ports::free_port;
use futures::future::join_all;
use recording::{Delivery, Handler, PublishFault, Publisher, Queue, Settlement};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::lab::{Lab, Running, SOON, event, raw, until_ready};

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_event_is_in_the_queue_persistent_and_with_its_id() {
    let lab = Lab::new().await;
    let mut running = Running::default();
    let publisher = running.publisher(&lab.settings).await;
    let completed = event("recording.completed.v1", "event-1");
    publisher.publish(completed).await.unwrap();
    assert_eq!(publisher.ready(Queue::Transfer).await, Ok(1));
    assert!(publisher.topology().await.unwrap().is_sound());
    let ask = json!({"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"});
    let path = "/api/queues/{vhost}/callferry.transfer/get";
    let found = lab.manage("POST", path, Some(ask)).await;
    let properties = &found[0]["properties"];
    assert_eq!(properties["delivery_mode"], 2);
    assert_eq!(properties["message_id"], "event-1");
    assert_eq!(properties["content_type"], "application/cloudevents+json");
    assert_eq!(properties["timestamp"], 1_800_000_000);
    assert_eq!(properties["headers"]["traceparent"], "00-aa-bb-01");
}

#[tokio::test(flavor = "multi_thread")]
async fn unroutable_events_among_five_hundred_good_ones_are_named_and_no_others() {
    let lab = Lab::new().await;
    let mut running = Running::default();
    let (publisher, stats) = running.publisher_and_stats(&lab.settings).await;
    for round in 0..4 {
        let one = async |number: usize| {
            let lost = number % 25 == 7;
            let key = if lost {
                "recording.nobody.v1"
            } else {
                "recording.completed.v1"
            };
            let sent = publisher.publish(event(key, &format!("{round}-{number}")));
            (lost, sent.await)
        };
        for (lost, outcome) in join_all((0..500).map(one)).await {
            let expected = if lost {
                Err(PublishFault::Unroutable)
            } else {
                Ok(())
            };
            assert_eq!(outcome, expected);
        }
    }
    assert_eq!(publisher.ready(Queue::Transfer).await, Ok(4 * 480));
    let counts = stats.snapshot();
    assert_eq!(
        (counts.publishes_confirmed, counts.publishes_returned),
        (1920, 80)
    );
    assert_eq!(counts.sessions_opened, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_twice_at_once_is_judged_each_for_itself() {
    let lab = Lab::new().await;
    let mut running = Running::default();
    let publisher = running.publisher(&lab.settings).await;
    let outcomes = join_all((0..40).map(|number| {
        let key = if number % 2 == 0 {
            "recording.completed.v1"
        } else {
            "recording.nobody.v1"
        };
        publisher.publish(event(key, "same"))
    }))
    .await;
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let expected = if number % 2 == 0 {
            Ok(())
        } else {
            Err(PublishFault::Unroutable)
        };
        assert_eq!(outcome, expected, "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counting_a_missing_queue_fails_and_costs_neither_session_nor_messages() {
    let lab = Lab::new().await;
    let mut running = Running::default();
    let (publisher, stats) = running.publisher_and_stats(&lab.settings).await;
    lab.manage("DELETE", "/api/queues/{vhost}/callferry.cleanup", None)
        .await;
    assert_eq!(
        publisher.ready(Queue::Cleanup).await,
        Err(PublishFault::Unroutable)
    );
    assert!(!publisher.topology().await.unwrap().is_sound());
    let stored = event("recording.stored.v1", "event-2");
    assert_eq!(
        publisher.publish(stored).await,
        Err(PublishFault::Unroutable)
    );
    let completed = event("recording.completed.v1", "event-1");
    publisher.publish(completed).await.unwrap();
    assert_eq!(stats.snapshot().sessions_lost, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_full_refuses_and_the_refused_are_known() {
    let lab = Lab::new().await;
    let mut running = Running::default();
    let publisher = running.publisher(&lab.settings).await;
    let full = json!({
        "pattern": "^callferry.transfer$", "apply-to": "queues", "definition": {"max-length": 3}
    });
    lab.manage("PUT", "/api/policies/{vhost}/small", Some(full))
        .await;
    let mut confirmed = 0;
    patience::until("the queue refuses", SOON, async || {
        let sent = publisher
            .publish(event("recording.completed.v1", "more"))
            .await;
        confirmed += u32::from(sent.is_ok());
        assert!(
            matches!(sent, Ok(()) | Err(PublishFault::Refused)),
            "{sent:?}"
        );
        Ok(sent.is_err().then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(publisher.ready(Queue::Transfer).await, Ok(confirmed));
}

#[tokio::test]
async fn without_a_session_publishing_fails_at_once() {
    let lab = Lab::bare().await;
    let mut nowhere = lab.settings.clone();
    let port = free_port().unwrap();
    nowhere.url = format!("amqp://guest:guest@127.0.0.1:{port}/%2F")
        .parse()
        .unwrap();
    let stats = Arc::new(BrokerStats::default());
    let (publisher, worker) = publisher(&nowhere, &stats);
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(worker.run(stop.clone()));
    assert!(!publisher.is_live());
    let completed = || event("recording.completed.v1", "event-1");
    let outcome = publisher.publish(completed()).await;
    assert_eq!(outcome, Err(PublishFault::Disconnected));
    assert_eq!(
        publisher.ready(Queue::Transfer).await,
        Err(PublishFault::Disconnected)
    );
    stop.cancel();
    assert_eq!(tasks.join_all().await.len(), 1);
    let outcome = publisher.publish(completed()).await;
    assert_eq!(outcome, Err(PublishFault::Disconnected));
    assert_eq!(stats.snapshot().publishes_disconnected, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_mailbox_at_the_stop_is_still_sent() {
    let lab = Lab::new().await;
    let stats = Arc::new(BrokerStats::default());
    let (publisher, worker) = publisher(&lab.settings, &stats);
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(worker.run(stop.clone()));
    publisher.until_live().await;
    let publishing = join_all((0..300).map(|number| {
        let publisher = publisher.clone();
        let stop = stop.clone();
        async move {
            let sent = publisher.publish_raw(raw(Queue::Cleanup, &number.to_string()));
            let sent = sent.await;
            stop.cancel();
            sent
        }
    }));
    let sent = publishing.await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    assert_eq!(tasks.join_all().await.len(), 1);
    assert!(!publisher.is_live());
    let mut running = Running::default();
    let publisher = running.publisher(&lab.settings).await;
    until_ready(&publisher, Queue::Cleanup, 300).await;
}

struct Acks;

#[async_trait]
impl Handler for Acks {
    async fn handle(&self, _: Delivery) -> Settlement {
        Settlement::Ack
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_messages_go_through_each_exactly_once_when_nothing_breaks() {
    const MESSAGES: u64 = 20_000;
    let lab = Lab::new().await;
    let mut running = Running::default();
    let publisher = running.publisher(&lab.settings).await;
    let began = Instant::now();
    let mut publishing = JoinSet::new();
    for lane in 0..256_u64 {
        let publisher = publisher.clone();
        publishing.spawn(async move {
            for number in (lane..MESSAGES).step_by(256) {
                let message = raw(Queue::Transfer, &number.to_string());
                publisher.publish_raw(message).await.unwrap();
            }
        });
    }
    assert_eq!(publishing.join_all().await.len(), 256);
    let published = began.elapsed();
    let settings = ConsumerSettings::new(lab.settings.clone(), Queue::Transfer);
    let began = Instant::now();
    let consumer = running.consumer(settings, Arc::new(Acks), &publisher);
    patience::until("everything is acked", 5 * SOON, async || {
        Ok((consumer.stats.snapshot().acks == MESSAGES).then_some(()))
    })
    .await
    .unwrap();
    let rate = |took: Duration| 20_000.0 / took.as_secs_f64();
    println!(
        "published {:.0}/s, consumed {:.0}/s",
        rate(published),
        rate(began.elapsed())
    );
    running.stop(&consumer).await;
    assert_eq!(consumer.stats.snapshot().deliveries, MESSAGES);
    until_ready(&publisher, Queue::Transfer, 0).await;
}
