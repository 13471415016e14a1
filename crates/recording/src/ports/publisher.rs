//! The broker, as far as roles see it.

use async_trait::async_trait;

use crate::{Outgoing, PublishFault};

/// Our own queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Queue {
    /// `callferry.transfer`: work for transfer.
    Transfer,
    /// `callferry.cleanup`: work for cleanup.
    Cleanup,
    /// `callferry.quarantine`: what is not believed.
    Quarantine,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Self; 3] = [Self::Transfer, Self::Cleanup, Self::Quarantine];

    /// Its name at the broker.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Transfer => "callferry.transfer",
            Self::Cleanup => "callferry.cleanup",
            Self::Quarantine => "callferry.quarantine",
        }
    }
}

/// Publishes events.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Publishes persistently and mandatorily and waits, with a deadline, for the broker to say
    /// that the event is in at least one queue.
    ///
    /// # Errors
    /// The event is not known to be in a queue; it may be all the same.
    async fn publish(&self, event: Outgoing) -> Result<(), PublishFault>;

    /// Whether a publishing session is live and not blocked by the broker.
    fn is_live(&self) -> bool;

    /// How many messages are ready in one of our queues, by a passive declare.
    ///
    /// # Errors
    /// The broker did not answer.
    async fn ready(&self, queue: Queue) -> Result<u32, PublishFault>;
}
