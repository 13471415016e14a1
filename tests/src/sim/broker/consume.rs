//! Consuming, as the broker crate does it: a handler per delivery up to the prefetch; what the
//! handler returns is settled; a requeue pauses the consumer until its probe succeeds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use recording::{HandOff, Handler, Probe, Queue, Refusal, Settlement};
use roles::{DETAIL_HEADER, QUEUE_HEADER, REASON_HEADER};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Message;
use crate::sim::call::{Call, Port};
use crate::sim::mutant::Mutant;
use crate::sim::side::Side;

/// How long a paused consumer waits between two probes.
const PROBES: Duration = Duration::from_secs(5);

enum Ended {
    Settled,
    Pause,
    Resume,
}

/// Consumes `queue` until `stop` fires and every handler has ended.
pub(crate) async fn consume<H: Handler + Probe>(
    side: Side,
    queue: Queue,
    handler: Arc<H>,
    stop: CancellationToken,
) {
    let prefetch = side.sim.world().mix.prefetch;
    let mut running: FuturesUnordered<BoxFuture<'_, Ended>> = FuturesUnordered::new();
    let mut paused = false;
    loop {
        let stopping = stop.is_cancelled();
        if stopping && running.is_empty() {
            return;
        }
        let open = !paused && !stopping && running.len() < prefetch;
        tokio::select! {
            biased;
            Some(ended) = running.next(), if !running.is_empty() => match ended {
                Ended::Settled => {}
                Ended::Pause if paused => {}
                Ended::Pause => {
                    paused = true;
                    running.push(Box::pin(recover(&side, &*handler)));
                }
                Ended::Resume => paused = false,
            },
            () = stop.cancelled(), if !stopping => {}
            (tag, message) = next(&side, queue), if open => {
                running.push(Box::pin(handle(&side, queue, &*handler, tag, message)));
            }
        }
    }
}

async fn recover(side: &Side, probe: &impl Probe) -> Ended {
    loop {
        sleep(PROBES).await;
        side.awake().await;
        if probe.probe().await.is_ok() {
            return Ended::Resume;
        }
    }
}

/// Waits for a message.
async fn next(side: &Side, queue: Queue) -> (u64, Message) {
    loop {
        side.awake().await;
        let arrived = {
            let mut world = side.sim.world();
            let down = world.outages.get(&Port::Broker).copied();
            let until = down.unwrap_or_default().saturating_sub(world.now());
            if until.is_zero() {
                let early = world.mutated(Mutant::EarlyAck);
                if let Some((tag, message)) = world.broker.take(queue, side.process, early) {
                    let name = world.processes.get(side.process).map_or("?", |p| p.name);
                    let (number, returns) = (message.number, message.returns);
                    world.say(format_args!("{name} takes #{number} ({returns})"));
                    return (tag, message);
                }
                Ok(Arc::clone(&world.broker.line(queue).arrived))
            } else {
                Err(until)
            }
        };
        match arrived {
            // Nothing runs between the look and this: one thread, no await.
            Ok(arrived) => arrived.notified().await,
            Err(down) => sleep(down).await,
        }
    }
}

async fn handle(
    side: &Side,
    queue: Queue,
    handler: &impl Handler,
    tag: u64,
    message: Message,
) -> Ended {
    let handed_off = Arc::new(Notify::new());
    let told = Arc::clone(&handed_off);
    let mut delivery = message.delivery();
    delivery.hand_off = HandOff::new(Arc::new(move || told.notify_one()));
    let mut handling = handler.handle(delivery);
    let settlement = tokio::select! {
        biased;
        settlement = &mut handling => settlement,
        () = handed_off.notified() => {
            side.sim.world().truth.count("handed off");
            let (_, settlement) = tokio::join!(ack(side, queue, tag), handling);
            side.awake().await;
            return match settlement {
                Settlement::Requeue(_) => Ended::Pause,
                Settlement::Ack | Settlement::Quarantine(_) => Ended::Settled,
            };
        }
    };
    side.awake().await;
    match settlement {
        Settlement::Ack => {
            ack(side, queue, tag).await;
            Ended::Settled
        }
        Settlement::Requeue(why) => {
            let mut world = side.sim.world();
            let number = message.number;
            world.say(format_args!("requeue #{number}: {why}"));
            world.truth.count("settled requeue");
            world.broker.give_back(tag);
            Ended::Pause
        }
        Settlement::Quarantine(refusal) => {
            if publish(side, queue, &message, &refusal).await {
                ack(side, queue, tag).await;
            } else {
                sleep(Duration::from_secs(1)).await;
                side.awake().await;
                side.sim.world().broker.give_back(tag);
            }
            Ended::Settled
        }
    }
}

/// Publishes a refused message to quarantine. `false`: not confirmed.
async fn publish(side: &Side, queue: Queue, message: &Message, refusal: &Refusal) -> bool {
    let reason = refusal.reason.as_str();
    let headers = BTreeMap::from([
        (REASON_HEADER.to_owned(), reason.to_owned()),
        (DETAIL_HEADER.to_owned(), refusal.detail.clone()),
        (QUEUE_HEADER.to_owned(), queue.name().to_owned()),
    ]);
    let body = message.body.clone();
    side.step(Call::Publish, &reason, move |world| {
        world.broker.enqueue(Queue::Quarantine, body, headers);
    })
    .await
    .is_ok()
}

/// An ack can be lost with its session: then everything the process holds comes back.
async fn ack(side: &Side, queue: Queue, tag: u64) {
    let process = side.process;
    let settled = side
        .step(Call::Settle, &queue.name(), move |world| {
            world.broker.unacked.remove(&tag);
        })
        .await;
    if settled.is_err() {
        side.sim.world().broker.cut(process);
    }
}
