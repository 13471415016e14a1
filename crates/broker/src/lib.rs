//! RabbitMQ, for everybody else: publishing that knows what was confirmed, consuming that settles
//! what handlers return, and the declaration of our exchange and queues. The only crate that
//! knows `lapin`.
//!
//! **Decision.** A session (connection, channel, consumer) is opened and thrown away as one, by a
//! supervisor here. **Because** lapin's own recovery loses consumers without a word and gives up
//! after a budget. **Instead of** recovery: any error, end of stream or missing answer ends the
//! session, and the next one is opened after a wait of at most five seconds, for ever.
//!
//! **Decision.** Publishing and each consumer have connections of their own. **Because** a broker
//! that blocks publishers stops everything that the same connection would write, acks too.
//!
//! Logging: lapin logs every error itself, and whole bodies of returned messages with it. The
//! service silences its target (`lapin=off`); what matters is said here, once.

mod address;
mod consumer;
mod dial;
mod fault;
mod health;
mod pace;
mod publisher;
mod session;
mod settings;
mod stats;
pub mod topology;

pub use address::{BrokerUrl, ManagementUrl};
pub use consumer::{
    Consumer, ConsumerSettings, DETAIL_HEADER, FIRST_SEEN_HEADER, QUEUE_HEADER, REASON_HEADER,
};
pub use fault::BrokerFault;
pub use health::{ConsumerHealth, ConsumerState};
pub use publisher::{Publisher, PublisherWorker, RawMessage, publisher};
pub use settings::Settings;
pub use stats::{BrokerCounts, BrokerStats};
