//! Settlement: what a handler returns, and so what the broker is told about a delivery. The
//! return value is the settlement; a handler never sees the acker.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::Refusal;

/// One message, as a handler sees it.
#[derive(Debug, Clone, Default)]
pub struct Delivery {
    /// The body.
    pub body: Bytes,
    /// The content type, if the publisher gave one.
    pub content_type: Option<String>,
    /// The content encoding, if the publisher gave one.
    pub content_encoding: Option<String>,
    /// The message id, if the publisher gave one.
    pub message_id: Option<String>,
    /// The routing key it was published with.
    pub routing_key: String,
    /// Whether the broker says that it was delivered before.
    pub redelivered: bool,
    /// Text headers: trace context, the reason headers of a quarantined message.
    pub headers: BTreeMap<String, String>,
    /// The queue and reason of the first dead-lettering, if the broker dead-lettered it.
    pub dead_lettered: Option<(String, String)>,
    /// For a handler that outlasts the broker's patience.
    pub hand_off: HandOff,
}

/// Lets a handler have its delivery acked before it ends, once a *committed* row carries the
/// obligation. What the handler returns in the end is then only counted.
#[derive(Clone, Default)]
pub struct HandOff(Option<Arc<dyn Fn() + Send + Sync>>);

impl HandOff {
    /// A hand-off that tells `tell`.
    #[must_use]
    pub fn new(tell: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self(Some(tell))
    }

    /// A committed row carries the obligation from here on. Calling it twice is calling it once.
    pub fn carried_by_the_ledger(&self) {
        if let Some(tell) = &self.0 {
            tell();
        }
    }
}

impl fmt::Debug for HandOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandOff")
    }
}

/// What the broker is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Settlement {
    /// The obligation is done, or a committed row carries it.
    Ack,
    /// The ledger or staging is down: give it back once, and consume again only when the probe
    /// succeeds. The text says what is down.
    Requeue(String),
    /// Publish it to the quarantine queue with the reason, wait for the confirm, then ack.
    Quarantine(Refusal),
}

/// Handles one delivery at a time; called concurrently up to the prefetch.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Handles `delivery` to its end. Dropping the future is a crash, as harmless as any.
    async fn handle(&self, delivery: Delivery) -> Settlement;
}

/// Whether a role's outside (ledger, staging) answers.
#[async_trait]
pub trait Probe: Send + Sync + 'static {
    /// Asks each part once, with a deadline of its own.
    ///
    /// # Errors
    /// Says which part does not answer and why.
    async fn probe(&self) -> Result<(), String>;
}
