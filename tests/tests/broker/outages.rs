//! A broker that crashes, freezes, closes connections and blocks publishers. Each test has its
//! own, for it breaks it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use broker::{ConsumerSettings, ConsumerState, Settings, topology};
use callferry_tests::patience;
use callferry_tests::scratch::Scratch;
use callferry_tests::servers::Rabbit;
use recording::{Delivery, Handler, PublishFault, Publisher, Queue, Settlement};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::lab::{Running, SOON, asking, raw, settings, until_ready};

async fn own() -> (Rabbit, Settings, Scratch) {
    let scratch = Scratch::new("broker-outage").unwrap();
    let rabbit = Rabbit::start(scratch.path()).await.unwrap();
    let settings = settings(&rabbit, rabbit.vhost());
    topology::apply(&settings).await.unwrap();
    (rabbit, settings, scratch)
}

/// Remembers what it acked.
#[derive(Default)]
struct Collects(Mutex<BTreeSet<String>>);

#[async_trait]
impl Handler for Collects {
    async fn handle(&self, delivery: Delivery) -> Settlement {
        self.0.lock().await.insert(delivery.message_id.unwrap());
        Settlement::Ack
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_confirmed_is_lost_when_the_broker_is_killed_under_load() {
    let (mut rabbit, settings, _scratch) = own().await;
    let mut running = Running::default();
    let (publisher, stats) = running.publisher_and_stats(&settings).await;
    let collects = Arc::new(Collects::default());
    let consumer = ConsumerSettings::new(settings.clone(), Queue::Transfer);
    let handler: Arc<dyn Handler> = Arc::<Collects>::clone(&collects);
    let consumer = running.consumer(consumer, handler, &publisher);
    let confirmed = Arc::new(Mutex::new(BTreeSet::new()));
    let mut load = JoinSet::new();
    for lane in 0..8 {
        let (publisher, confirmed) = (publisher.clone(), Arc::clone(&confirmed));
        load.spawn(async move {
            for number in 0..400 {
                let id = format!("{lane}-{number}");
                // The same id until it is confirmed, as everybody does it.
                while publisher
                    .publish_raw(raw(Queue::Transfer, &id))
                    .await
                    .is_err()
                {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                confirmed.lock().await.insert(id);
            }
        });
    }
    patience::until("the load is under way", SOON, async || {
        Ok((confirmed.lock().await.len() > 200).then_some(()))
    })
    .await
    .unwrap();
    rabbit.remembers(Queue::Transfer.name()).await.unwrap();
    rabbit.kill9().unwrap();
    consumer
        .until("it notices", |state| !state.is_ready())
        .await;
    patience::until("the publisher notices", SOON, async || {
        Ok((!publisher.is_live()).then_some(()))
    })
    .await
    .unwrap();
    rabbit.restart().await.unwrap();
    let all = timeout(2 * SOON, load.join_all()).await;
    assert_eq!(all.unwrap().len(), 8);
    patience::until("everything confirmed was delivered", SOON, async || {
        Ok((collects.0.lock().await.len() == 3200).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(*confirmed.lock().await, *collects.0.lock().await);
    assert!(stats.snapshot().sessions_opened >= 2);
    consumer.until_consuming().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_prefetch_holds_after_every_reconnect_and_handlers_under_way_go_on() {
    let (mut rabbit, settings, _scratch) = own().await;
    let mut running = Running::default();
    let publisher = running.publisher(&settings).await;
    let (handler, mut questions) = asking();
    let mut few = ConsumerSettings::new(settings.clone(), Queue::Transfer);
    few.prefetch = 3;
    let consumer = running.consumer(few, handler, &publisher);
    for number in 0..20 {
        let message = raw(Queue::Transfer, &number.to_string());
        publisher.publish_raw(message).await.unwrap();
    }
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(questions.next().await);
    }
    rabbit.close_all_connections().await.unwrap();
    patience::until("a new session", SOON, async || {
        let opened = consumer.stats.snapshot().sessions_opened;
        Ok((opened >= 2 && consumer.health.state().is_ready()).then_some(()))
    })
    .await
    .unwrap();
    // The old ones still work, and count.
    assert!(questions.quiet().await, "more handlers than the prefetch");
    for asked in held {
        asked.answer(Settlement::Ack);
    }
    let mut seen = BTreeSet::new();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(questions.next().await);
    }
    assert!(questions.quiet().await, "the prefetch was forgotten");
    publisher.until_live().await;
    until_ready(&publisher, Queue::Transfer, 17).await;
    assert_eq!(consumer.stats.snapshot().settled_too_late, 3);
    while seen.len() < 20 {
        let next = match held.pop() {
            Some(next) => next,
            None => questions.next().await,
        };
        seen.insert(next.id());
        next.answer(Settlement::Ack);
    }
    until_ready(&publisher, Queue::Transfer, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_publishers_are_blocked_acks_go_on_and_publishing_says_that_it_does_not_know() {
    let (mut rabbit, mut settings, _scratch) = own().await;
    settings.confirm_timeout = Duration::from_secs(5);
    let mut running = Running::default();
    let (publisher, stats) = running.publisher_and_stats(&settings).await;
    for number in 0..6 {
        let message = raw(Queue::Transfer, &number.to_string());
        publisher.publish_raw(message).await.unwrap();
    }
    let (handler, mut questions) = asking();
    let mut two = ConsumerSettings::new(settings.clone(), Queue::Transfer);
    two.prefetch = 2;
    let consumer = running.consumer(two, handler, &publisher);
    let mut held = vec![questions.next().await, questions.next().await];
    rabbit.block_publishers().await.unwrap();
    // The first one is what makes the broker block this connection.
    let unknown = publisher.publish_raw(raw(Queue::Cleanup, "blocked")).await;
    assert_eq!(unknown, Err(PublishFault::Unconfirmed));
    patience::until("the publisher knows", SOON, async || {
        Ok((!publisher.is_live()).then_some(()))
    })
    .await
    .unwrap();
    assert!(stats.snapshot().blocked);
    let unknown = publisher.publish_raw(raw(Queue::Cleanup, "blocked")).await;
    assert_eq!(unknown, Err(PublishFault::Unconfirmed));
    for _ in 0..6 {
        let next = match held.pop() {
            Some(next) => next,
            None => questions.next().await,
        };
        next.answer(Settlement::Ack);
    }
    patience::until("acks go on", SOON, async || {
        Ok((consumer.stats.snapshot().acks == 6).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(consumer.stats.snapshot().sessions_opened, 1);
    rabbit.unblock_publishers().await.unwrap();
    patience::until("publishing works again", SOON, async || {
        let sent = publisher.publish_raw(raw(Queue::Cleanup, "after")).await;
        Ok(sent.is_ok().then_some(()))
    })
    .await
    .unwrap();
    assert!(!stats.snapshot().blocked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_freezes_is_noticed_and_used_again_when_it_thaws() {
    let (mut rabbit, mut settings, _scratch) = own().await;
    settings.heartbeat_s = 2;
    settings.connect_timeout = Duration::from_secs(1);
    settings.confirm_timeout = Duration::from_secs(3);
    let mut running = Running::default();
    let publisher = running.publisher(&settings).await;
    let (handler, mut questions) = asking();
    let consumer = ConsumerSettings::new(settings.clone(), Queue::Transfer);
    let consumer = running.consumer(consumer, handler, &publisher);
    consumer.until_consuming().await;
    rabbit.freeze().unwrap();
    // It takes the kernel a moment to stop all its threads.
    let unknown = patience::until("publishing fails", SOON, async || {
        let sent = publisher.publish_raw(raw(Queue::Transfer, "frozen")).await;
        Ok(sent.err())
    });
    assert_eq!(unknown.await.unwrap(), PublishFault::Unconfirmed);
    let lost = consumer
        .until("it notices", |state| !state.is_ready())
        .await;
    assert!(matches!(lost, ConsumerState::Connecting(_)), "{lost:?}");
    let silent = |state: &ConsumerState| match state {
        ConsumerState::Connecting(Some(why)) => why.contains("no answer"),
        ConsumerState::Connecting(None)
        | ConsumerState::Consuming
        | ConsumerState::Waiting(_)
        | ConsumerState::Stopped => false,
    };
    consumer.until("attempts get no answer", silent).await;
    assert_eq!(
        publisher.publish_raw(raw(Queue::Transfer, "none")).await,
        Err(PublishFault::Disconnected)
    );
    rabbit.thaw().unwrap();
    consumer.until_consuming().await;
    publisher.until_live().await;
    let message = raw(Queue::Transfer, "thawed");
    publisher.publish_raw(message).await.unwrap();
    // The frozen one may have arrived as well: unknown is what was said.
    loop {
        let found = questions.next().await;
        let id = found.id();
        found.answer(Settlement::Ack);
        if id == "thawed" {
            break;
        }
        assert_eq!(id, "frozen");
    }
}
