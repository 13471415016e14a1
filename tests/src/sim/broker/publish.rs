//! Publishing, with every outcome that a confirm can have.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use recording::{Outgoing, PublishFault, Publisher, Queue, Route};

use crate::sim::call::{Call, Lost, Port};
use crate::sim::mutant::Mutant;
use crate::sim::oracle;
use crate::sim::side::{Side, nap};
use crate::sim::world::World;

/// How long a publisher waits for a confirm.
const CONFIRM: Duration = Duration::from_secs(30);

/// One process's publisher.
pub(crate) struct PublishPort(pub(crate) Side);

fn arrive(world: &mut World, event: Outgoing) {
    let queue = match event.route {
        Route::Topic("recording.stored.v1") => Queue::Cleanup,
        // Other services listen to these, or nobody does.
        Route::Topic(_) => return,
        Route::Queue(queue) => queue,
    };
    let acknowledges = matches!(event.route, Route::Topic(_));
    let body = Bytes::from(event.body);
    let twice = !world.calm && world.dice.chance(world.mix.duplicates);
    for _ in 0..=u8::from(twice) {
        let number = world.broker.enqueue(queue, body.clone(), BTreeMap::new());
        world.say(format_args!("  {} #{number}", queue.name()));
    }
    if acknowledges {
        oracle::acknowledged(world, &body, true);
    }
}

#[async_trait]
impl Publisher for PublishPort {
    async fn publish(&self, event: Outgoing) -> Result<(), PublishFault> {
        if event.route == Route::Topic("recording.stored.v1") {
            let body = event.body.clone();
            let mut world = self.0.sim.world();
            if !world.over {
                world.apply(|world| oracle::acknowledged(world, &body, false));
            }
        }
        let about = match event.route {
            Route::Topic(key) => key,
            Route::Queue(queue) => queue.name(),
        };
        let published = self
            .0
            .step(Call::Publish, &about, move |world| arrive(world, event))
            .await;
        let lost = match published {
            Ok(()) => return Ok(()),
            Err(lost) => lost,
        };
        let (fault, lies) = {
            let mut world = self.0.sim.world();
            let fault = match (lost, world.dice.below(4)) {
                (Lost::After, 0) => PublishFault::Disconnected,
                (Lost::After, _) | (Lost::Before, 0) => PublishFault::Unconfirmed,
                (Lost::Before, 1) => PublishFault::Unroutable,
                (Lost::Before, 2) => PublishFault::Refused,
                (Lost::Before, _) => PublishFault::Disconnected,
            };
            (fault, world.mutated(Mutant::LyingConfirm))
        };
        if fault == PublishFault::Unconfirmed {
            nap(CONFIRM).await;
            self.0.awake().await;
        }
        if lies { Ok(()) } else { Err(fault) }
    }

    fn is_live(&self) -> bool {
        let world = self.0.sim.world();
        let down = world.outages.get(&Port::Broker).copied();
        down.is_none_or(|until| until <= world.now())
    }

    async fn ready(&self, queue: Queue) -> Result<u32, PublishFault> {
        self.0
            .step(Call::Ready, &queue.name(), move |world| {
                let ready = world.broker.line(queue).ready.len();
                u32::try_from(ready).unwrap_or(u32::MAX)
            })
            .await
            .map_err(|_| PublishFault::Disconnected)
    }
}
