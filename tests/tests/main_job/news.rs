//! The news of destinations, as another service hears them: a queue of its own at the topic
//! exchange.

use anyhow::{Context, Result};
use callferry_tests::platform::Platform;
use serde_json::{Value, json};

const QUEUE: &str = "health-news";

/// A queue of another service's, for the news of destinations.
pub(crate) async fn listen(platform: &Platform) -> Result<()> {
    let management = platform.rabbit.management();
    let vhost = platform.rabbit.vhost().replace('/', "%2F");
    let path = format!("/api/queues/{vhost}/{QUEUE}");
    management
        .call("PUT", &path, Some(json!({"durable": true})))
        .await?;
    let path = format!("/api/bindings/{vhost}/e/callferry.recordings/q/{QUEUE}");
    let binding = json!({"routing_key": "destination.#"});
    management.call("POST", &path, Some(binding)).await?;
    Ok(())
}

/// What came since it was asked last.
pub(crate) async fn news(platform: &Platform) -> Result<Vec<Value>> {
    let vhost = platform.rabbit.vhost().replace('/', "%2F");
    let path = format!("/api/queues/{vhost}/{QUEUE}/get");
    let ask = json!({"count": 100, "ackmode": "ack_requeue_false", "encoding": "auto"});
    let answer = platform.rabbit.management().call("POST", &path, Some(ask));
    let answer = answer.await?;
    let messages = answer.as_array().context("the broker gave no array")?;
    let events = messages.iter().map(|message| {
        let payload = message["payload"].as_str().unwrap_or_default();
        Ok(serde_json::from_str(payload)?)
    });
    events.collect()
}
