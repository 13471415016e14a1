//! Our exchange, queues and bindings: one table, from which they are declared, checked and
//! exported. Declaring is an operator's act (`callferry topology apply`), never a worker's.
//!
//! The exchange has **no alternate exchange**: with one, a message that nothing is bound for would
//! be confirmed as if it had arrived.

mod definitions;
mod management;

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{Channel, Connection, ExchangeKind};
use recording::Queue;
use serde::Serialize;
use tokio::time::timeout;

pub use definitions::export;

use crate::dial::Dialer;
use crate::{BrokerFault, Settings};

/// The durable topic exchange of every event.
pub const EXCHANGE: &str = "callferry.recordings";
/// Deliveries of one message before it is dead-lettered. A killed consumer counts against every
/// message it held, so this is far above what poison needs; poison is judged in the ledger.
const DELIVERY_LIMIT: i32 = 1000;
/// Quarantine has nowhere to dead-letter to: from RabbitMQ 4.0 a queue without a limit of its own
/// would *drop* after 20 deliveries, and 3.10 has no word for "none".
const NO_LIMIT: i32 = i32::MAX;
/// The longest that looking at everything may take, once connected.
const LOOK: Duration = Duration::from_secs(20);

/// An argument's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Argument {
    Text(&'static str),
    Number(i32),
}

/// The key that binds a queue to the exchange; quarantine is reached by its name only.
fn binding(queue: Queue) -> Option<&'static str> {
    match queue {
        Queue::Transfer => Some("recording.completed.v1"),
        Queue::Cleanup => Some("recording.stored.v1"),
        Queue::Quarantine => None,
    }
}

/// The arguments a queue is declared with, valid for RabbitMQ 3.10 and 4.x.
fn arguments(queue: Queue) -> Vec<(&'static str, Argument)> {
    let quorum = ("x-queue-type", Argument::Text("quorum"));
    match queue {
        Queue::Transfer | Queue::Cleanup => vec![
            quorum,
            ("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)),
            // Without reject-publish the broker falls back to dead-lettering at most once.
            ("x-overflow", Argument::Text("reject-publish")),
            ("x-dead-letter-strategy", Argument::Text("at-least-once")),
            ("x-dead-letter-exchange", Argument::Text("")),
            (
                "x-dead-letter-routing-key",
                Argument::Text(Queue::Quarantine.name()),
            ),
        ],
        Queue::Quarantine => vec![quorum, ("x-delivery-limit", Argument::Number(NO_LIMIT))],
    }
}

fn table(queue: Queue) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments(queue) {
        let value = match value {
            Argument::Text(text) => AMQPValue::LongString(LongString::from(text.as_bytes())),
            Argument::Number(number) => AMQPValue::LongInt(number),
        };
        table.insert(name.into(), value);
    }
    table
}

/// How one thing is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "detail")]
pub enum Condition {
    /// As declared.
    Fine,
    /// Not there.
    Missing,
    /// There, but not as `topology apply` would make it.
    Differs(String),
    /// Nobody looked; the text says what would be needed.
    NotChecked(String),
}

/// One thing and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// How it is.
    pub condition: Condition,
}

/// Everything that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// One entry for each thing.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is missing or different. What was not checked does not count.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faults().next().is_none()
    }

    /// What is missing or different.
    pub fn faults(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| match finding.condition {
                Condition::Missing | Condition::Differs(_) => true,
                Condition::Fine | Condition::NotChecked(_) => false,
            })
    }

    fn note(&mut self, what: impl Into<String>, condition: Condition) {
        let what = what.into();
        self.findings.push(Finding { what, condition });
    }
}

fn of_exchange() -> String {
    format!("exchange {EXCHANGE}")
}

fn of_queue(queue: Queue) -> String {
    format!("queue {}", queue.name())
}

fn of_binding(queue: Queue, key: &str) -> String {
    format!("binding {EXCHANGE} -{key}-> {}", queue.name())
}

/// Declares everything. Doing it again changes nothing.
///
/// # Errors
/// The broker cannot be reached, or refuses: something of that name is there with other
/// arguments, which only deleting it can change, or we lack permission.
pub async fn apply(settings: &Settings) -> Result<(), BrokerFault> {
    let connection = Dialer::new(settings, "topology").connect().await?;
    let declared = timeout(LOOK, declare(&connection)).await;
    close(&connection).await;
    declared.unwrap_or_else(|_| Err(BrokerFault::Silent("declaring".to_owned())))
}

async fn declare(connection: &Connection) -> Result<(), BrokerFault> {
    let channel = channel(connection).await?;
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(
            EXCHANGE.into(),
            ExchangeKind::Topic,
            options,
            FieldTable::default(),
        )
        .await
        .map_err(|error| BrokerFault::of(&of_exchange(), &error))?;
    // Quarantine first: the others dead-letter to it.
    for queue in Queue::ALL.into_iter().rev() {
        channel
            .queue_declare(
                queue.name().into(),
                QueueDeclareOptions::durable(),
                table(queue),
            )
            .await
            .map_err(|error| BrokerFault::of(&of_queue(queue), &error))?;
    }
    for queue in Queue::ALL {
        let Some(key) = binding(queue) else { continue };
        channel
            .queue_bind(
                queue.name().into(),
                EXCHANGE.into(),
                key.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .map_err(|error| BrokerFault::of(&of_binding(queue, key), &error))?;
    }
    Ok(())
}

/// Looks whether everything is as [`apply`] makes it. Bindings and arguments are checked through
/// the management API, if its address is set: AMQP cannot ask for them.
///
/// # Errors
/// The broker, or the management API, does not answer.
pub async fn check(settings: &Settings) -> Result<Report, BrokerFault> {
    let connection = Dialer::new(settings, "topology").connect().await?;
    let looked = look(&connection, LOOK).await;
    close(&connection).await;
    let mut report = looked?;
    match &settings.management {
        Some(api) => management::compare(api, settings.url.vhost(), &mut report).await?,
        None => {
            let why = "needs the management API's address".to_owned();
            for queue in Queue::ALL {
                if let Some(key) = binding(queue) {
                    report.note(of_binding(queue, key), Condition::NotChecked(why.clone()));
                }
            }
            report.note("arguments", Condition::NotChecked(why));
        }
    }
    Ok(report)
}

/// Passive declares, each on a channel of its own, for a missing thing costs the channel.
pub(crate) async fn look(connection: &Connection, limit: Duration) -> Result<Report, BrokerFault> {
    let looking = async {
        let mut report = Report {
            findings: Vec::new(),
        };
        report.note(of_exchange(), condition(exchange(connection).await)?);
        for queue in Queue::ALL {
            report.note(
                of_queue(queue),
                condition(ready(connection, queue).await.map(drop))?,
            );
        }
        Ok(report)
    };
    let looked = timeout(limit, looking).await;
    looked.unwrap_or_else(|_| Err(BrokerFault::Silent("looking at the topology".to_owned())))
}

fn condition(found: Result<(), BrokerFault>) -> Result<Condition, BrokerFault> {
    match found {
        Ok(()) => Ok(Condition::Fine),
        Err(BrokerFault::Refused(why)) if why.contains("NOT_FOUND") => Ok(Condition::Missing),
        Err(BrokerFault::Refused(why)) => Ok(Condition::Differs(why)),
        Err(fault) => Err(fault),
    }
}

async fn exchange(connection: &Connection) -> Result<(), BrokerFault> {
    let channel = channel(connection).await?;
    let options = ExchangeDeclareOptions {
        passive: true,
        ..ExchangeDeclareOptions::default()
    };
    let arguments = FieldTable::default();
    channel
        .exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, options, arguments)
        .await
        .map_err(|error| BrokerFault::of(&of_exchange(), &error))?;
    finish(&channel).await
}

/// How many messages are ready in `queue`, by a passive declare on a throw-away channel.
pub(crate) async fn ready(connection: &Connection, queue: Queue) -> Result<u32, BrokerFault> {
    let channel = channel(connection).await?;
    let options = QueueDeclareOptions::durable().passive();
    let found = channel
        .queue_declare(queue.name().into(), options, FieldTable::default())
        .await
        .map_err(|error| BrokerFault::of(&of_queue(queue), &error))?;
    finish(&channel).await?;
    Ok(found.message_count())
}

async fn channel(connection: &Connection) -> Result<Channel, BrokerFault> {
    let channel = connection.create_channel().await;
    channel.map_err(|error| BrokerFault::of("opening a channel", &error))
}

async fn finish(channel: &Channel) -> Result<(), BrokerFault> {
    let closed = channel.close(200, "OK".into()).await;
    closed.map_err(|error| BrokerFault::of("closing a channel", &error))
}

async fn close(connection: &Connection) {
    let goodbye = timeout(Duration::from_secs(2), connection.close(200, "OK".into())).await;
    if !matches!(goodbye, Ok(Ok(()))) {
        tracing::debug!("the topology connection did not close cleanly");
    }
}
