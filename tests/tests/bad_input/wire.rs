//! Messages past our own publisher: with the broker's management API, which takes any bytes and
//! any properties, as a recorder that is not ours would send them.

use anyhow::{Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use callferry_tests::platform::Platform;
use serde_json::{Value, json};

use super::case::Message;

const QUEUE: &str = "heard";

/// Publishes a message as it is.
pub(crate) async fn publish(platform: &Platform, message: &Message) -> Result<()> {
    let vhost = platform.rabbit.vhost().replace('/', "%2F");
    let path = format!("/api/exchanges/{vhost}/callferry.recordings/publish");
    let body = json!({
        "properties": message.properties, "routing_key": message.key,
        "payload": STANDARD.encode(&message.body), "payload_encoding": "base64",
    });
    let management = platform.rabbit.management();
    let answer = management.call("POST", &path, Some(body)).await?;
    ensure!(
        answer["routed"] == true,
        "not routed: {answer}: {message:?}"
    );
    Ok(())
}

/// Declares a queue that hears every event, as another service's would.
pub(crate) async fn listen(platform: &Platform) -> Result<()> {
    let vhost = platform.rabbit.vhost().replace('/', "%2F");
    let management = platform.rabbit.management();
    let queue = json!({"durable": true, "arguments": {"x-queue-type": "quorum"}});
    let path = format!("/api/queues/{vhost}/{QUEUE}");
    management.call("PUT", &path, Some(queue)).await?;
    for key in ["recording.stored.v1", "recording.parked.v1"] {
        let path = format!("/api/bindings/{vhost}/e/callferry.recordings/q/{QUEUE}");
        let binding = json!({ "routing_key": key });
        management.call("POST", &path, Some(binding)).await?;
    }
    Ok(())
}

/// Everything that was heard since the last call: our own events, not what the tests forged.
pub(crate) async fn heard(platform: &Platform) -> Result<Vec<Value>> {
    let vhost = platform.rabbit.vhost().replace('/', "%2F");
    let path = format!("/api/queues/{vhost}/{QUEUE}/get");
    let mut events = Vec::new();
    loop {
        let ask = json!({"count": 200, "ackmode": "ack_requeue_false", "encoding": "base64"});
        let management = platform.rabbit.management();
        let answer = management.call("POST", &path, Some(ask)).await?;
        let messages = answer.as_array().cloned().unwrap_or_default();
        if messages.is_empty() {
            return Ok(events);
        }
        for message in messages {
            let payload = STANDARD.decode(message["payload"].as_str().unwrap_or_default())?;
            let event = serde_json::from_slice::<Value>(&payload).unwrap_or_default();
            if event["source"] == "urn:callferry" {
                events.push(event);
            }
        }
    }
}
