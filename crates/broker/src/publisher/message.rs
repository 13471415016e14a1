//! A message as it goes out: persistent, with an id, within AMQP's limits.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use recording::{Outgoing, PublishFault, Queue, Route};
use uuid::Uuid;

use crate::topology::EXCHANGE;

/// What our own events are.
const CLOUD_EVENT: &str = "application/cloudevents+json";
/// AMQP's number for "write it to disk".
const PERSISTENT: u8 = 2;
/// Bytes of headers at most. They travel in one frame; one that is too large costs the connection.
const HEADERS_MAX: usize = 8 * 1024;

/// A message that is no event of ours, or no longer: it goes out as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawMessage {
    /// Where it goes.
    pub queue: Queue,
    /// Its id; a random one is made if it has none.
    pub message_id: Option<String>,
    /// Its content type.
    pub content_type: Option<String>,
    /// Its content encoding.
    pub content_encoding: Option<String>,
    /// Text headers, 8 KiB at most together.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// A message that can be sent.
#[derive(Debug)]
pub(crate) struct Message {
    /// The exchange; empty is the default one, which routes by queue name.
    pub(crate) exchange: ShortString,
    /// The routing key or the queue.
    pub(crate) routing_key: ShortString,
    /// The message id: what a returned message is recognised by.
    pub(crate) id: String,
    /// The body.
    pub(crate) body: Bytes,
    /// Everything else.
    pub(crate) properties: BasicProperties,
}

impl Message {
    /// An event of ours. [`PublishFault::Refused`]: it does not fit into AMQP.
    pub(crate) fn event(event: Outgoing, now: DateTime<Utc>) -> Result<Self, PublishFault> {
        let (exchange, routing_key) = match event.route {
            Route::Topic(key) => (EXCHANGE, key),
            Route::Queue(queue) => ("", queue.name()),
        };
        Ok(Self {
            exchange: short(exchange)?,
            routing_key: short(routing_key)?,
            properties: properties(&event.message_id, &event.headers, now)?
                .with_content_type(short(CLOUD_EVENT)?),
            id: event.message_id,
            body: event.body.into(),
        })
    }

    /// Somebody's message as it is.
    pub(crate) fn raw(raw: RawMessage, now: DateTime<Utc>) -> Result<Self, PublishFault> {
        let id = raw
            .message_id
            .filter(|id| !id.is_empty())
            .unwrap_or_else(|| Uuid::new_v4().to_string());
        let mut properties = properties(&id, &raw.headers, now)?;
        if let Some(text) = &raw.content_type {
            properties = properties.with_content_type(short(text)?);
        }
        if let Some(text) = &raw.content_encoding {
            properties = properties.with_content_encoding(short(text)?);
        }
        Ok(Self {
            exchange: short("")?,
            routing_key: short(raw.queue.name())?,
            id,
            body: raw.body,
            properties,
        })
    }
}

fn short(text: &str) -> Result<ShortString, PublishFault> {
    ShortString::try_new(text).map_err(|_| PublishFault::Refused)
}

fn properties(
    id: &str,
    headers: &[(String, String)],
    now: DateTime<Utc>,
) -> Result<BasicProperties, PublishFault> {
    let bytes: usize = headers
        .iter()
        .map(|(name, text)| name.len() + text.len())
        .sum();
    if bytes > HEADERS_MAX {
        return Err(PublishFault::Refused);
    }
    let mut table = FieldTable::default();
    for (name, text) in headers {
        let text = LongString::from(text.as_bytes());
        table.insert(short(name)?, AMQPValue::LongString(text));
    }
    Ok(BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_message_id(short(id)?)
        .with_timestamp(u64::try_from(now.timestamp()).unwrap_or_default())
        .with_headers(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw() -> RawMessage {
        RawMessage {
            queue: Queue::Quarantine,
            message_id: None,
            content_type: Some("text/plain".to_owned()),
            content_encoding: None,
            headers: vec![("x-callferry-reason".to_owned(), "not_json".to_owned())],
            body: Bytes::from_static(b"{"),
        }
    }

    #[test]
    fn every_message_is_persistent_and_has_an_id_of_its_own() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let message = Message::raw(raw(), now).unwrap();
        assert_eq!(message.properties.delivery_mode(), &Some(2));
        assert_eq!(message.properties.timestamp(), &Some(1_800_000_000));
        let id = message.properties.message_id().clone().unwrap();
        assert_eq!(id.as_str(), message.id);
        assert!(!message.id.is_empty());
        assert_ne!(Message::raw(raw(), now).unwrap().id, message.id);
        assert_eq!(message.exchange.as_str(), "");
        assert_eq!(message.routing_key.as_str(), "callferry.quarantine");
    }

    #[test]
    fn what_amqp_cannot_carry_is_refused_here_and_does_not_cost_the_connection() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let mut long_id = raw();
        long_id.message_id = Some("x".repeat(256));
        assert_eq!(
            Message::raw(long_id, now).unwrap_err(),
            PublishFault::Refused
        );
        let mut long_header = raw();
        long_header.headers.push(("h".to_owned(), "x".repeat(9000)));
        assert_eq!(
            Message::raw(long_header, now).unwrap_err(),
            PublishFault::Refused
        );
    }
}
