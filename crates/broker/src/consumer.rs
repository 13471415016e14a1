//! Consuming: handlers return settlements, and the broker is told.
//!
//! **What it does.** Opens a session, sets the prefetch *before* it consumes, hands each delivery
//! to the handler in a task of its own (at most `prefetch` at once), and settles what it returns.
//! **Retries.** Any end of the session opens another, for ever. Handlers under way go on; what
//! they return belongs to deliveries that the broker already gives to somebody, and is dropped.
//! **Crashes.** An unsettled delivery comes again. A handler that panics is a failed delivery.
//! **Shutdown.** No new deliveries, what was not begun goes back, what was begun may finish until
//! the deadline, acks are flushed, the connection is closed.

mod coalescer;
mod handling;
mod inbound;
mod quarantine;
mod subscription;

use std::sync::Arc;
use std::time::Duration;

use recording::{Handler, Probe, Queue};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

pub use quarantine::{DETAIL_HEADER, FIRST_SEEN_HEADER, QUEUE_HEADER, REASON_HEADER};

use crate::Settings;
use crate::dial::Dialer;
use crate::health::{ConsumerHealth, ConsumerState};
use crate::pace::Pace;
use crate::publisher::Publisher;
use crate::session::Session;
use crate::stats::BrokerStats;
use handling::Handling;
use subscription::{End, Subscription};

/// What one consumer consumes, and how.
#[derive(Debug, Clone)]
pub struct ConsumerSettings {
    /// How to reach the broker.
    pub settings: Settings,
    /// The queue.
    pub queue: Queue,
    /// Deliveries unsettled at once, and so handlers at once.
    pub prefetch: u16,
    /// The longest that handlers may go on after the stop. What is not finished then is dropped
    /// and delivered again.
    pub drain: Duration,
}

impl ConsumerSettings {
    /// With the design's defaults.
    #[must_use]
    pub fn new(settings: Settings, queue: Queue) -> Self {
        Self {
            settings,
            queue,
            prefetch: 64,
            drain: Duration::from_secs(25),
        }
    }
}

/// One consumer of one queue.
pub struct Consumer {
    /// What it consumes.
    pub settings: ConsumerSettings,
    /// What handles deliveries.
    pub handler: Arc<dyn Handler>,
    /// What says when it may consume again after a handler said that its outside is down.
    pub probe: Arc<dyn Probe>,
    /// Where refused messages are published. Its worker must outlive this consumer.
    pub quarantine: Publisher,
    /// What it is doing.
    pub health: ConsumerHealth,
    /// What it has done.
    pub stats: Arc<BrokerStats>,
}

impl Consumer {
    /// Consumes until `stop`, then drains.
    pub async fn run(self, stop: CancellationToken) {
        let purpose = format!("consumer {}", self.settings.queue.name());
        let mut dialer = Dialer::new(&self.settings.settings, &purpose);
        let mut pace = Pace::new(&self.settings.settings.reconnect);
        let mut handling = Handling::new(&self);
        while !stop.is_cancelled() {
            let opened = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                opened = Session::open(&mut dialer) => opened,
            };
            let why = match opened {
                Ok(session) => {
                    let end = self.keep(session, &mut handling, &mut pace, &stop).await;
                    match end {
                        End::Stopped => break,
                        End::Lost(lost) => lost.to_string(),
                    }
                }
                Err(fault) => fault.to_string(),
            };
            pace.complain(dialer.purpose(), &why);
            self.health.set(ConsumerState::Connecting(Some(why)));
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = sleep(pace.wait()) => {}
            }
        }
        // Only after a stop without a session is there anything left to wait for here.
        handling.finish(self.settings.drain).await;
        self.health.set(ConsumerState::Stopped);
    }

    async fn keep(
        &self,
        session: Session,
        handling: &mut Handling,
        pace: &mut Pace,
        stop: &CancellationToken,
    ) -> End {
        let opened = Instant::now();
        self.stats.session_opened();
        let mut subscription = Subscription::new(self, session, handling);
        let end = subscription.run(stop).await;
        self.stats.session_ended(matches!(end, End::Lost(_)));
        subscription.close().await;
        pace.ended(opened);
        end
    }
}
