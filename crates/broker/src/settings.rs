//! How to reach the broker, and how patient to be with it.

use std::sync::Arc;
use std::time::Duration;

use recording::Clock;
use retry::Policy;

use crate::{BrokerUrl, ManagementUrl};

/// What publishers, consumers and topology commands share.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the broker is.
    pub url: BrokerUrl,
    /// Where its management API is, if `topology check` shall look at bindings and arguments.
    pub management: Option<ManagementUrl>,
    /// What the broker shows operators as the connection's name, before its purpose.
    pub client_name: String,
    /// Certificate authorities in PEM for `amqps`, besides the system's.
    pub authorities_pem: Option<String>,
    /// The wall clock, for the timestamps of messages.
    pub clock: Arc<dyn Clock>,
    /// The longest that opening a connection may take, handshake included.
    pub connect_timeout: Duration,
    /// Seconds between heartbeats; a silent link is noticed after twice that.
    pub heartbeat_s: u16,
    /// The longest that a confirm may take before its outcome counts as unknown.
    pub confirm_timeout: Duration,
    /// The waits between attempts to connect. An attempt cap would be a worker that gave up.
    pub reconnect: Policy,
}

impl Settings {
    /// The defaults of the design.
    #[must_use]
    pub fn new(url: BrokerUrl, client_name: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self {
            url,
            management: None,
            client_name: client_name.into(),
            authorities_pem: None,
            clock,
            connect_timeout: Duration::from_secs(5),
            heartbeat_s: 10,
            confirm_timeout: Duration::from_secs(30),
            reconnect: Policy {
                initial: Duration::from_millis(200),
                cap: Duration::from_secs(5),
                jitter: 0.5,
                attempts: None,
                patience: None,
            },
        }
    }
}
