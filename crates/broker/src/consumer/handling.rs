//! Handlers under way. They outlive the session that delivered to them: a broker's hiccup does
//! not throw away half an upload.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use recording::{Delivery, Handler, Queue, Settlement};
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
}

/// The handlers under way of one consumer.
pub(super) struct Handling {
    /// One task for each delivery.
    tasks: JoinSet<(Place, Outcome)>,
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
        Self {
            tasks: JoinSet::new(),
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

    /// Begins to handle a delivery. `session` ends with the session.
    pub(super) fn begin(
        &mut self,
        place: Place,
        delivery: lapin::message::Delivery,
        session: CancellationToken,
    ) {
        count(&self.shared.stats.deliveries);
        let delivery = inbound::delivery(delivery);
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

    /// The next one to end; `None` if none is under way. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<(Place, Outcome)> {
        loop {
            match self.tasks.join_next().await? {
                Ok(ended) => return Some(ended),
                // The handler's panics are caught below, so this is a task that was aborted: the
                // delivery comes again when its session ends.
                Err(error) => tracing::error!(%error, "a delivery's task did not end by itself"),
            }
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
