//! Handlers under way. They outlive the session that delivered to them: a broker's hiccup does
//! not throw away half an upload.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use recording::{Delivery, HandOff, Handler, Queue, Settlement};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{Consumer, inbound, quarantine};
use crate::publisher::Publisher;
use crate::stats::{BrokerStats, count, count_many};

/// How long a delivery whose handler panicked is kept before it goes back: the broker delivers it
/// again at once, and a message that always panics must not keep a core busy.
const PANIC_PAUSE: Duration = Duration::from_secs(1);

/// Which delivery something is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The session; tags of another mean nothing.
    pub(super) session: u64,
    /// The subscription within it: the one before it was given back as a whole.
    pub(super) subscription: u64,
    /// The delivery tag.
    pub(super) tag: u64,
}

/// How a delivery ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The obligation is done.
    Done,
    /// It lies in quarantine.
    Quarantined,
    /// The handler's outside is down; the text says what.
    Down(String),
    /// The handler panicked.
    Panicked,
    /// Its session ended before it could be quarantined.
    TooLate,
    /// It has not ended: a committed row carries its obligation while its handler goes on.
    HandedOff,
    /// It was handed off before, and now ended like this.
    AfterHandOff(Box<Outcome>),
}

/// Which delivery, over all sessions.
type Name = (u64, u64);

/// The handlers under way of one consumer.
pub(super) struct Handling {
    /// One task for each delivery.
    tasks: JoinSet<(Place, Outcome)>,
    /// Those under way, and whether they were handed off.
    under_way: HashMap<Name, bool>,
    /// How many were.
    handed_off: usize,
    /// How many may be.
    handed_off_max: usize,
    /// Says that one is.
    tell: UnboundedSender<Place>,
    /// Hears it.
    told: UnboundedReceiver<Place>,
    /// What each needs.
    shared: Arc<Shared>,
    /// Sessions so far.
    sessions: u64,
    /// When handlers must have ended, once we are asked to stop.
    deadline: Option<Instant>,
}

struct Shared {
    handler: Arc<dyn Handler>,
    publisher: Publisher,
    clock: Arc<dyn recording::Clock>,
    queue: Queue,
    stats: Arc<BrokerStats>,
}

impl Handling {
    pub(super) fn new(consumer: &Consumer) -> Self {
        let (tell, told) = unbounded_channel();
        Self {
            tasks: JoinSet::new(),
            under_way: HashMap::new(),
            handed_off: 0,
            handed_off_max: usize::from(consumer.settings.prefetch),
            tell,
            told,
            shared: Arc::new(Shared {
                handler: Arc::clone(&consumer.handler),
                publisher: consumer.quarantine.clone(),
                clock: Arc::clone(&consumer.settings.settings.clock),
                queue: consumer.settings.queue,
                stats: Arc::clone(&consumer.stats),
            }),
            sessions: 0,
            deadline: None,
        }
    }

    /// The number of a new session.
    pub(super) fn begin_session(&mut self) -> u64 {
        self.sessions += 1;
        self.sessions
    }

    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// How many are under way whose deliveries the broker still waits for.
    pub(super) fn held(&self) -> usize {
        self.tasks.len().saturating_sub(self.handed_off)
    }

    /// Begins to handle a delivery. `session` ends with the session.
    pub(super) fn begin(
        &mut self,
        place: Place,
        delivery: lapin::message::Delivery,
        session: CancellationToken,
    ) {
        count(&self.shared.stats.deliveries);
        let mut delivery = inbound::delivery(delivery);
        let tell = self.tell.clone();
        delivery.hand_off = HandOff::new(Arc::new(move || {
            if tell.send(place).is_err() {
                tracing::debug!("handed off after its consumer ended: nobody waits for it");
            }
        }));
        self.under_way.insert((place.session, place.tag), false);
        let span = tracing::info_span!(
            "delivery",
            queue = self.shared.queue.name(),
            message.id = delivery.message_id,
            message.redelivered = delivery.redelivered,
        );
        let shared = Arc::clone(&self.shared);
        let work = async move { (place, shared.handle(delivery, &session).await) };
        self.tasks.spawn(work.instrument(span));
    }

    /// The next one to end or to be handed off; `None` if none is under way. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<(Place, Outcome)> {
        loop {
            let joined = tokio::select! {
                biased;
                joined = self.tasks.join_next() => joined?,
                Some(place) = self.told.recv() => {
                    if self.hand_off(place) {
                        return Some((place, Outcome::HandedOff));
                    }
                    continue;
                }
            };
            match joined {
                Ok((place, outcome)) => return Some((place, self.ended(place, outcome))),
                // The handler's panics are caught below, so this is a task that was aborted: the
                // delivery comes again when its session ends.
                Err(error) => tracing::error!(%error, "a delivery's task did not end by itself"),
            }
        }
    }

    /// Whether this one is handed off now. Not if it ended meanwhile, and not if many are: what
    /// waits for memory of ours must not grow without an end.
    fn hand_off(&mut self, place: Place) -> bool {
        match self.under_way.get_mut(&(place.session, place.tag)) {
            Some(handed) if !*handed && self.handed_off < self.handed_off_max => {
                *handed = true;
                self.handed_off += 1;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Notes the end of one.
    fn ended(&mut self, place: Place, outcome: Outcome) -> Outcome {
        match self.under_way.remove(&(place.session, place.tag)) {
            Some(true) => {
                self.handed_off = self.handed_off.saturating_sub(1);
                Outcome::AfterHandOff(Box::new(outcome))
            }
            Some(false) | None => outcome,
        }
    }

    /// When handlers must have ended: `drain` from the first time that somebody asks.
    pub(super) fn deadline(&mut self, drain: Duration) -> Instant {
        *self.deadline.get_or_insert(Instant::now() + drain)
    }

    /// Waits for all until the deadline, then drops the rest.
    pub(super) async fn finish(&mut self, drain: Duration) {
        let deadline = self.deadline(drain);
        while let Ok(Some(_)) = timeout_at(deadline, self.next()).await {
            count(&self.shared.stats.settled_too_late);
        }
        self.drop_rest().await;
    }

    /// Drops what has not ended. Its deliveries come again.
    pub(super) async fn drop_rest(&mut self) {
        if !self.tasks.is_empty() {
            let dropped = self.tasks.len();
            tracing::warn!(dropped, "handlers did not finish before the deadline");
            count_many(&self.shared.stats.settled_too_late, dropped);
            self.tasks.shutdown().await;
        }
    }
}

impl Shared {
    async fn handle(&self, delivery: Delivery, session: &CancellationToken) -> Outcome {
        // Cheap: the body is shared.
        let kept = delivery.clone();
        let handled = AssertUnwindSafe(self.handler.handle(delivery))
            .catch_unwind()
            .await;
        match handled {
            Ok(Settlement::Ack) => Outcome::Done,
            Ok(Settlement::Requeue(why)) => Outcome::Down(why),
            Ok(Settlement::Quarantine(refusal)) => {
                let now = self.clock.now();
                let message = quarantine::message(kept, &refusal, self.queue, now);
                if quarantine::publish(&self.publisher, message, session).await {
                    Outcome::Quarantined
                } else {
                    Outcome::TooLate
                }
            }
            Err(_) => {
                count(&self.stats.handler_panics);
                tracing::error!("the handler panicked; the delivery goes back to the queue");
                tokio::select! {
                    () = sleep(PANIC_PAUSE) => {}
                    () = session.cancelled() => {}
                }
                Outcome::Panicked
            }
        }
    }
}
