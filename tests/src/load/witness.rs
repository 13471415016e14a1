//! A witness of acknowledgments: a queue of its own, bound like another service's.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Id, Produce};
use crate::platform::Platform;

const QUEUE: &str = "witness";
const BATCH: u32 = 500;

/// The witness. Made before anything is published.
pub struct Witness(());

impl Witness {
    /// Declares the queue and binds it to the acknowledgments.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn new(platform: &Platform) -> Result<Self> {
        Self::of(platform, "recording.stored.v1").await
    }

    /// The same for events of another routing key.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn of(platform: &Platform, routing_key: &str) -> Result<Self> {
        let management = platform.rabbit.management();
        let vhost = platform.rabbit.vhost().replace('/', "%2F");
        let quorum = json!({"durable": true, "arguments": {"x-queue-type": "quorum"}});
        management
            .call("PUT", &format!("/api/queues/{vhost}/{QUEUE}"), Some(quorum))
            .await?;
        let path = format!("/api/bindings/{vhost}/e/callferry.recordings/q/{QUEUE}");
        let binding = json!({"routing_key": routing_key});
        management.call("POST", &path, Some(binding)).await?;
        Ok(Self(()))
    }

    /// Reads everything and compares: at least one acknowledgment for each recording, each with
    /// the digest that was staged, and one payload for each acknowledgment id.
    pub(super) async fn differences(
        &self,
        platform: &Platform,
        produce: &Produce,
    ) -> Result<Vec<String>> {
        let mut payloads: BTreeMap<String, String> = BTreeMap::new();
        let mut differences = Vec::new();
        let mut seen: BTreeMap<Id, u32> = BTreeMap::new();
        for payload in self.read(platform).await? {
            let event: Value = serde_json::from_str(&payload)?;
            let id = event
                .get("id")
                .and_then(Value::as_str)
                .context("an acknowledgment without id")?
                .to_owned();
            let earlier = payloads.insert(id.clone(), payload.clone());
            if earlier.is_some_and(|earlier| earlier != payload) {
                differences.push(format!("acknowledgment {id} has two payloads"));
            }
            let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
            let part = |pointer: &str| text(pointer).unwrap_or_default().to_owned();
            let key = (part("/data/account_id"), part("/data/recording_id"));
            let sha256 = text("/data/receipt/sha256");
            match produce.get(&key) {
                Some(one) if sha256 == Some(one.sha256.as_str()) => {}
                Some(_) => differences.push(format!("{key:?}: another digest acknowledged")),
                None => differences.push(format!("{key:?}: acknowledged, never staged")),
            }
            let times = seen.entry(key).or_default();
            *times = times.saturating_add(1);
        }
        for key in produce.keys().filter(|key| !seen.contains_key(key)) {
            differences.push(format!("{key:?} was never acknowledged"));
        }
        let again = seen.values().filter(|times| **times > 1).count();
        tracing::info!(
            recordings = seen.len(),
            again,
            "acknowledgments seen by the witness"
        );
        Ok(differences)
    }

    /// Takes every acknowledgment that came since the last time.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn read(&self, platform: &Platform) -> Result<Vec<String>> {
        let vhost = platform.rabbit.vhost().replace('/', "%2F");
        let path = format!("/api/queues/{vhost}/{QUEUE}/get");
        let mut payloads = Vec::new();
        loop {
            let ask = json!({"count": BATCH, "ackmode": "ack_requeue_false", "encoding": "auto"});
            let answer = platform
                .rabbit
                .management()
                .call("POST", &path, Some(ask))
                .await?;
            let messages = answer.as_array().context("the broker gave no array")?;
            ensure!(messages.len() <= 10_000, "more messages than asked for");
            if messages.is_empty() {
                return Ok(payloads);
            }
            for message in messages {
                let payload = message.get("payload").and_then(Value::as_str);
                payloads.push(payload.unwrap_or_default().to_owned());
            }
        }
    }
}
