//! What a consumer is doing, for `/readyz`.

use std::sync::Arc;

use tokio::sync::watch;

/// What a consumer is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsumerState {
    /// It has no session yet, or lost it. The text says why, if anything failed.
    Connecting(Option<String>),
    /// Deliveries are coming.
    Consuming,
    /// It gave everything back and waits for its outside. The text says what is down.
    Waiting(String),
    /// It has ended, as asked.
    Stopped,
}

impl ConsumerState {
    /// Whether deliveries are coming.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Consuming => true,
            Self::Connecting(_) | Self::Waiting(_) | Self::Stopped => false,
        }
    }
}

/// The state of one consumer, shared between it and whoever reports it.
#[derive(Debug, Clone)]
pub struct ConsumerHealth(Arc<watch::Sender<ConsumerState>>);

impl ConsumerHealth {
    /// Of a consumer that does not run yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(ConsumerState::Connecting(
            None,
        ))))
    }

    /// The state now.
    #[must_use]
    pub fn state(&self) -> ConsumerState {
        self.0.borrow().clone()
    }

    /// The state now and each later one.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<ConsumerState> {
        self.0.subscribe()
    }

    pub(crate) fn set(&self, state: ConsumerState) {
        self.0.send_replace(state);
    }
}

impl Default for ConsumerHealth {
    fn default() -> Self {
        Self::new()
    }
}
