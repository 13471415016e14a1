//! What a handler returns is what the broker is told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use broker::{
    ConsumerSettings, ConsumerState, DETAIL_HEADER, FIRST_SEEN_HEADER, QUEUE_HEADER, REASON_HEADER,
    RawMessage, topology,
};
use callferry_tests::patience;
use recording::{Delivery, Handler, Probe, Queue, Refusal, RefusalReason, Settlement};
use serde_json::json;

use crate::lab::{Lab, Running, SOON, Switch, asking, raw, until_ready};

fn settings(lab: &Lab, queue: Queue, prefetch: u16) -> ConsumerSettings {
    ConsumerSettings {
        prefetch,
        ..ConsumerSettings::new(lab.settings.clone(), queue)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_long_delivery_holds_back_no_other_and_the_prefetch_is_never_exceeded() {
    let lab = Lab::new().await;
    let mut running = Running::default();
    let publisher = running.publisher(&lab.settings).await;
    for number in 0..30 {
        let message = raw(Queue::Transfer, &number.to_string());
        publisher.publish_raw(message).await.unwrap();
    }
    let (handler, mut questions) = asking();
    let consumer = running.consumer(settings(&lab, Queue::Transfer, 4), handler, &publisher);
    let long = questions.next().await;
    let mut seen = BTreeSet::from([long.id()]);
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(questions.next().await);
    }
    assert!(questions.quiet().await, "more than the prefetch");
    until_ready(&publisher, Queue::Transfer, 26).await;
    while seen.len() < 30 {
        let next = match held.pop() {
            Some(next) => next,
            None => questions.next().await,
        };
        seen.insert(next.id());
        next.answer(Settlement::Ack);
    }
    patience::until("all but one are acked", SOON, async || {
        Ok((consumer.stats.snapshot().acks == 29).then_some(()))
    })
    .await
    .unwrap();
    long.answer(Settlement::Ack);
    running.stop(&consumer).await;
    assert_eq!(consumer.stats.snapshot().acks, 30);
    until_ready(&publisher, Queue::Transfer, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handed_off_delivery_is_acked_once_while_its_handler_goes_on() {
    let lab = Lab::new().await;
    let mut running = Running::default();
    let publisher = running.publisher(&lab.settings).await;
    for number in 0..6 {
        let message = raw(Queue::Transfer, &number.to_string());
        publisher.publish_raw(message).await.unwrap();
    }
    let (handler, mut questions) = asking();
    let consumer = running.consumer(settings(&lab, Queue::Transfer, 2), handler, &publisher);
    let acked = async |count| {
        patience::until("acks", SOON, async || {
            Ok((consumer.stats.snapshot().acks == count).then_some(()))
        })
        .await
        .unwrap();
    };
    // Two are handed off, as many as the prefetch; their places are taken by the next two.
    let (first, second) = (questions.next().await, questions.next().await);
    for early in [&first, &second] {
        early.delivery.hand_off.carried_by_the_ledger();
        early.delivery.hand_off.carried_by_the_ledger();
    }
    acked(2).await;
    let (third, fourth) = (questions.next().await, questions.next().await);
    // A third is one too many: it stays the broker's.
    third.delivery.hand_off.carried_by_the_ledger();
    assert!(questions.quiet().await, "more than twice the prefetch");
    assert_eq!(consumer.stats.snapshot().acks, 2);
    // What the first two say in the end changes nothing at the broker.
    first.answer(Settlement::Ack);
    let refusal = Refusal::new(RefusalReason::NotJson, "too late to matter");
    second.answer(Settlement::Quarantine(refusal));
    third.answer(Settlement::Ack);
    fourth.answer(Settlement::Ack);
    questions.next().await.answer(Settlement::Ack);
    questions.next().await.answer(Settlement::Ack);
    acked(6).await;
    running.stop(&consumer).await;
    until_ready(&publisher, Queue::Transfer, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_message_lies_in_quarantine_as_it_came_with_its_reason() {
    let lab = Lab::new().await;
    let mut running = Running::default();
    let publisher = running.publisher(&lab.settings).await;
    let body = [b"\xff\x00{not json".as_slice(), &[7; 70_000]].concat();
    let message = RawMessage {
        content_type: Some("text/odd".to_owned()),
        headers: vec![("traceparent".to_owned(), "00-aa-bb-01".to_owned())],
        body: body.clone().into(),
        ..raw(Queue::Transfer, "bad-1")
    };
    publisher.publish_raw(message).await.unwrap();
    let (handler, mut questions) = asking();
    let transfer = running.consumer(settings(&lab, Queue::Transfer, 8), handler, &publisher);
    let refusal = Refusal::new(RefusalReason::NotJson, "the body must be JSON");
    let asked = questions.next().await;
    assert_eq!(asked.delivery.routing_key, "callferry.transfer");
    asked.answer(Settlement::Quarantine(refusal));

    let (handler, mut quarantined) = asking();
    running.consumer(settings(&lab, Queue::Quarantine, 8), handler, &publisher);
    let found = quarantined.next().await;
    assert_eq!(found.delivery.body, body);
    assert_eq!(found.delivery.content_type.as_deref(), Some("text/odd"));
    assert_eq!(found.delivery.message_id.as_deref(), Some("bad-1"));
    assert_eq!(found.delivery.dead_lettered, None);
    let header = |name: &str| found.delivery.headers.get(name).map(String::as_str);
    assert_eq!(header(REASON_HEADER), Some("not_json"));
    assert_eq!(header(DETAIL_HEADER), Some("the body must be JSON"));
    assert_eq!(header(QUEUE_HEADER), Some("callferry.transfer"));
    assert_eq!(header(FIRST_SEEN_HEADER), Some("2027-01-15T08:00:00.000Z"));
    assert_eq!(header("traceparent"), Some("00-aa-bb-01"));
    patience::until("the original is acked", SOON, async || {
        let counts = transfer.stats.snapshot();
        Ok((counts.quarantined == 1 && counts.acks == 1).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_message_waits_unacked_while_quarantine_cannot_be_published_to() {
    let lab = Lab::new().await;
    let mut running = Running::default();
    let publisher = running.publisher(&lab.settings).await;
    lab.manage("DELETE", "/api/queues/{vhost}/callferry.quarantine", None)
        .await;
    let message = raw(Queue::Transfer, "bad-1");
    publisher.publish_raw(message).await.unwrap();
    let (handler, mut questions) = asking();
    let transfer = running.consumer(settings(&lab, Queue::Transfer, 8), handler, &publisher);
    let refusal = Refusal::new(RefusalReason::MissingField, "`data` is missing");
    let asked = questions.next().await;
    asked.answer(Settlement::Quarantine(refusal));
    assert!(questions.quiet().await);
    assert_eq!(transfer.stats.snapshot().acks, 0);
    topology::apply(&lab.settings).await.unwrap();
    until_ready(&publisher, Queue::Quarantine, 1).await;
    running.stop(&transfer).await;
    assert_eq!(transfer.stats.snapshot().quarantined, 1);
    until_ready(&publisher, Queue::Transfer, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_outside_is_down_everything_goes_back_once_and_comes_when_the_probe_succeeds() {
    let lab = Lab::new().await;
    let mut running = Running::default();
    let publisher = running.publisher(&lab.settings).await;
    for number in 0..20 {
        let message = raw(Queue::Cleanup, &number.to_string());
        publisher.publish_raw(message).await.unwrap();
    }
    let switch = Arc::new(Switch::on());
    switch.turn(false);
    let probe: Arc<dyn Probe> = Arc::<Switch>::clone(&switch);
    let (handler, mut questions) = asking();
    let consumer = running.consumer_with_probe(
        settings(&lab, Queue::Cleanup, 5),
        handler,
        &publisher,
        probe,
    );
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(questions.next().await);
    }
    held.remove(0)
        .answer(Settlement::Requeue("the ledger is down".to_owned()));
    let waiting = consumer
        .until("it waits", |state| {
            matches!(state, ConsumerState::Waiting(_))
        })
        .await;
    assert!(!waiting.is_ready());
    // One under way can finish its work, the others notice the same outage.
    held.remove(0).answer(Settlement::Ack);
    for asked in held {
        asked.answer(Settlement::Requeue("the ledger is down".to_owned()));
    }
    until_ready(&publisher, Queue::Cleanup, 19).await;
    assert!(questions.quiet().await, "it consumes while it must not");
    let counts = consumer.stats.snapshot();
    assert_eq!((counts.acks, counts.requeues, counts.give_backs), (1, 4, 1));
    assert_eq!(
        consumer.health.state(),
        ConsumerState::Waiting("switched off".to_owned())
    );
    switch.turn(true);
    consumer.until_consuming().await;
    for _ in 0..19 {
        questions.next().await.answer(Settlement::Ack);
    }
    until_ready(&publisher, Queue::Cleanup, 0).await;
    running.stop(&consumer).await;
    assert_eq!(consumer.stats.snapshot().sessions_opened, 1);
}

/// Panics the first `times` times.
struct Panics {
    times: u32,
    handled: AtomicU32,
}

#[async_trait]
impl Handler for Panics {
    async fn handle(&self, _: Delivery) -> Settlement {
        let before = self.handled.fetch_add(1, Ordering::SeqCst);
        assert!(before >= self.times, "the handler is meant to panic");
        Settlement::Ack
    }
}

fn panics(times: u32) -> Arc<Panics> {
    let handled = AtomicU32::new(0);
    Arc::new(Panics { times, handled })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_loses_neither_its_message_nor_anybody_elses() {
    let lab = Lab::new().await;
    let mut running = Running::default();
    let publisher = running.publisher(&lab.settings).await;
    for number in 0..10 {
        let message = raw(Queue::Transfer, &number.to_string());
        publisher.publish_raw(message).await.unwrap();
    }
    let consumer = running.consumer(settings(&lab, Queue::Transfer, 4), panics(2), &publisher);
    patience::until("everything is acked", SOON, async || {
        Ok((consumer.stats.snapshot().acks == 10).then_some(()))
    })
    .await
    .unwrap();
    let counts = consumer.stats.snapshot();
    assert_eq!((counts.handler_panics, counts.requeues), (2, 2));
    assert_eq!((counts.deliveries, counts.sessions_opened), (12, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_reaches_the_delivery_limit_is_in_quarantine_and_says_where_from() {
    let lab = Lab::new().await;
    let mut running = Running::default();
    let publisher = running.publisher(&lab.settings).await;
    let limit = json!({
        "pattern": "^callferry.transfer$", "apply-to": "queues", "definition": {"delivery-limit": 1}
    });
    lab.manage("PUT", "/api/policies/{vhost}/impatient", Some(limit))
        .await;
    let message = raw(Queue::Transfer, "poison");
    publisher.publish_raw(message).await.unwrap();
    running.consumer(settings(&lab, Queue::Transfer, 4), panics(99), &publisher);
    let (handler, mut quarantined) = asking();
    running.consumer(settings(&lab, Queue::Quarantine, 4), handler, &publisher);
    let found = quarantined.next().await;
    assert_eq!(found.id(), "poison");
    let from = ("callferry.transfer".to_owned(), "delivery_limit".to_owned());
    assert_eq!(found.delivery.dead_lettered, Some(from));
    found.answer(Settlement::Ack);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_stop_what_is_finished_is_acked_and_everything_else_goes_back() {
    let lab = Lab::new().await;
    let mut running = Running::default();
    let publisher = running.publisher(&lab.settings).await;
    for number in 0..12 {
        let message = raw(Queue::Transfer, &number.to_string());
        publisher.publish_raw(message).await.unwrap();
    }
    let (handler, mut questions) = asking();
    let mut hasty = settings(&lab, Queue::Transfer, 6);
    hasty.drain = Duration::from_secs(4);
    let consumer = running.consumer(hasty, handler, &publisher);
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(questions.next().await);
    }
    let first = held.remove(0);
    let stopping = running.stop(&consumer);
    let finishing = async {
        // One finishes after the stop, five never do.
        first.answer(Settlement::Ack);
    };
    tokio::join!(stopping, finishing);
    assert!(questions.quiet().await);
    let counts = consumer.stats.snapshot();
    assert_eq!((counts.acks, counts.settled_too_late), (1, 5));
    until_ready(&publisher, Queue::Transfer, 11).await;
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_deleted_and_declared_again_is_consumed_again() {
    let lab = Lab::new().await;
    let mut running = Running::default();
    let publisher = running.publisher(&lab.settings).await;
    let (handler, mut questions) = asking();
    let consumer = running.consumer(settings(&lab, Queue::Transfer, 4), handler, &publisher);
    consumer.until_consuming().await;
    lab.manage("DELETE", "/api/queues/{vhost}/callferry.transfer", None)
        .await;
    let lost = consumer
        .until("it notices", |state| !state.is_ready())
        .await;
    assert!(
        matches!(lost, ConsumerState::Connecting(Some(_))),
        "{lost:?}"
    );
    topology::apply(&lab.settings).await.unwrap();
    let message = raw(Queue::Transfer, "after");
    publisher.publish_raw(message).await.unwrap();
    let found = questions.next().await;
    assert_eq!(found.id(), "after");
    found.answer(Settlement::Ack);
    until_ready(&publisher, Queue::Transfer, 0).await;
}
