//! Publishing: success means that the broker has confirmed the message and did not return it.
//!
//! [`publisher`] makes two halves. The [`Publisher`] is what everybody holds; the
//! [`PublisherWorker`] runs in the service's `JoinSet` and is the only task that publishes.
//!
//! **Decision.** One task publishes everything, in batches, and judges a batch only when every
//! confirm of it is there. **Because** lapin attributes confirms wrongly when tasks share a
//! channel, and hands a returned message to whichever confirm happens to complete first: the
//! unroutable message's own confirm then looks clean. **Instead of** one message in flight at a
//! time, which would be safe as well and twenty times slower.

mod batch;
mod message;
mod worker;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use async_trait::async_trait;
use lapin::Connection;
use recording::{Clock, Outgoing, PublishFault, Queue};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use message::Message;
pub use message::RawMessage;
pub use worker::PublisherWorker;

use crate::stats::count;
use crate::topology::{self, Report};
use crate::{BrokerFault, BrokerStats, Settings};

/// Messages that may wait for the worker. More is back-pressure.
const MAILBOX: usize = 1024;
/// The longest that counting a queue's messages may take.
const LOOK: Duration = Duration::from_secs(5);

/// A message and where its outcome goes.
#[derive(Debug)]
struct Job {
    /// The message.
    message: Message,
    /// Its outcome. Whoever waited may be gone.
    reply: oneshot::Sender<Result<(), PublishFault>>,
}

impl Job {
    fn end(self, outcome: Result<(), PublishFault>) {
        // A caller that no longer waits has already taken it for unconfirmed.
        drop(self.reply.send(outcome));
    }
}

/// The worker's session, as everybody else sees it.
#[derive(Debug, Clone)]
enum Link {
    /// There is none.
    Down,
    /// There is one, and the broker reads what it sends.
    Live(Arc<Connection>),
    /// There is one, and the broker does not read.
    Blocked,
}

/// Publishes messages. Clones share one worker.
#[derive(Debug, Clone)]
pub struct Publisher {
    /// To the worker.
    jobs: mpsc::Sender<Job>,
    /// From the worker.
    link: watch::Receiver<Link>,
    /// The longest that an outcome may take.
    patience: Duration,
    /// For the messages' timestamps.
    clock: Arc<dyn Clock>,
    /// What became of them.
    stats: Arc<BrokerStats>,
    /// For the report on the topology.
    settings: Arc<Settings>,
}

/// A publisher and the worker that must run for it.
#[must_use]
pub fn publisher(settings: &Settings, stats: &Arc<BrokerStats>) -> (Publisher, PublisherWorker) {
    let (jobs, mailbox) = mpsc::channel(MAILBOX);
    let (link, seen) = watch::channel(Link::Down);
    let publisher = Publisher {
        jobs,
        link: seen,
        patience: settings.confirm_timeout,
        clock: Arc::clone(&settings.clock),
        stats: Arc::clone(stats),
        settings: Arc::new(settings.clone()),
    };
    let worker = PublisherWorker::new(settings, mailbox, link, Arc::clone(stats));
    (publisher, worker)
}

impl Publisher {
    /// Publishes a message that is not an event of ours straight to one of our queues: a refused
    /// one to quarantine, a quarantined one back to where it came from.
    ///
    /// # Errors
    /// As [`recording::Publisher::publish`].
    pub async fn publish_raw(&self, message: RawMessage) -> Result<(), PublishFault> {
        self.submit(Message::raw(message, self.clock.now())).await
    }

    /// Waits until there is a live session: a role should not begin to consume before that, or
    /// its first messages would be parked for nothing. Ends also when the worker has ended.
    pub async fn until_live(&self) {
        let mut link = self.link.clone();
        drop(link.wait_for(|link| matches!(link, Link::Live(_))).await);
    }

    /// Whether our exchange and queues exist, asked on the live session: for `/readyz`. Bindings
    /// cannot be asked for over AMQP; `topology check` does it.
    ///
    /// # Errors
    /// There is no live session, or no answer.
    pub async fn topology(&self) -> Result<Report, BrokerFault> {
        let Link::Live(connection) = self.link.borrow().clone() else {
            return Err(BrokerFault::Unreachable("no live session".to_owned()));
        };
        topology::look(&connection, self.settings.connect_timeout).await
    }

    async fn submit(&self, message: Result<Message, PublishFault>) -> Result<(), PublishFault> {
        let outcome = match message {
            Ok(message) => self.hand_over(message).await,
            Err(fault) => Err(fault),
        };
        count(self.counter(&outcome));
        outcome
    }

    async fn hand_over(&self, message: Message) -> Result<(), PublishFault> {
        self.passable()?;
        let (reply, outcome) = oneshot::channel();
        let handing = async {
            let job = Job { message, reply };
            let taken = self.jobs.send(job).await;
            taken.map_err(|_| PublishFault::Disconnected)?;
            outcome.await.unwrap_or(Err(PublishFault::Disconnected))
        };
        let waited = timeout(self.patience, handing).await;
        waited.unwrap_or(Err(PublishFault::Unconfirmed))
    }

    fn passable(&self) -> Result<(), PublishFault> {
        match &*self.link.borrow() {
            Link::Live(_) => Ok(()),
            Link::Blocked => Err(PublishFault::Unconfirmed),
            Link::Down => Err(PublishFault::Disconnected),
        }
    }

    fn counter(&self, outcome: &Result<(), PublishFault>) -> &AtomicU64 {
        match outcome {
            Ok(()) => &self.stats.publishes_confirmed,
            Err(PublishFault::Unroutable) => &self.stats.publishes_returned,
            Err(PublishFault::Refused) => &self.stats.publishes_nacked,
            Err(PublishFault::Unconfirmed) => &self.stats.publishes_unconfirmed,
            Err(PublishFault::Disconnected) => &self.stats.publishes_disconnected,
        }
    }
}

#[async_trait]
impl recording::Publisher for Publisher {
    async fn publish(&self, event: Outgoing) -> Result<(), PublishFault> {
        self.submit(Message::event(event, self.clock.now())).await
    }

    fn is_live(&self) -> bool {
        self.passable().is_ok()
    }

    async fn ready(&self, queue: Queue) -> Result<u32, PublishFault> {
        self.passable()?;
        let Link::Live(connection) = self.link.borrow().clone() else {
            return Err(PublishFault::Disconnected);
        };
        match timeout(LOOK, topology::ready(&connection, queue)).await {
            Ok(Ok(count)) => Ok(count),
            Ok(Err(BrokerFault::Refused(_))) => Err(PublishFault::Unroutable),
            Ok(Err(_)) => Err(PublishFault::Disconnected),
            Err(_) => Err(PublishFault::Unconfirmed),
        }
    }
}
