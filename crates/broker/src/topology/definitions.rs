//! The same table in RabbitMQ's definitions format, for operators who declare by file:
//! `rabbitmqctl import_definitions`, `load_definitions`, or the Kubernetes operators.

use recording::Queue;
use serde_json::{Map, Value, json};

use super::{Argument, EXCHANGE, arguments, binding};

/// Exchange, queues and bindings for one virtual host.
#[must_use]
pub fn export(vhost: &str) -> Value {
    let queues: Vec<Value> = Queue::ALL
        .into_iter()
        .map(|queue| {
            json!({
                "name": queue.name(),
                "vhost": vhost,
                "durable": true,
                "auto_delete": false,
                "arguments": expected(queue),
            })
        })
        .collect();
    let bindings: Vec<Value> = Queue::ALL
        .into_iter()
        .filter_map(|queue| {
            let key = binding(queue)?;
            Some(json!({
                "source": EXCHANGE,
                "vhost": vhost,
                "destination": queue.name(),
                "destination_type": "queue",
                "routing_key": key,
                "arguments": {},
            }))
        })
        .collect();
    json!({
        "exchanges": [{
            "name": EXCHANGE,
            "vhost": vhost,
            "type": "topic",
            "durable": true,
            "auto_delete": false,
            "internal": false,
            "arguments": {},
        }],
        "queues": queues,
        "bindings": bindings,
    })
}

/// A queue's arguments as JSON.
pub(super) fn expected(queue: Queue) -> Map<String, Value> {
    let value = |value: Argument| match value {
        Argument::Text(text) => Value::from(text),
        Argument::Number(number) => Value::from(number),
    };
    arguments(queue)
        .into_iter()
        .map(|(name, argument)| (name.to_owned(), value(argument)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_export_has_no_alternate_exchange_and_every_work_queue_dead_letters_at_least_once() {
        let all = export("/");
        assert_eq!(all["exchanges"][0]["arguments"], json!({}));
        assert_eq!(all["exchanges"][0]["type"], "topic");
        for queue in all["queues"].as_array().unwrap() {
            let arguments = &queue["arguments"];
            assert_eq!(arguments["x-queue-type"], "quorum");
            if queue["name"] == "callferry.quarantine" {
                assert_eq!(arguments["x-delivery-limit"], 2_147_483_647);
                assert!(arguments.get("x-dead-letter-exchange").is_none());
            } else {
                assert_eq!(arguments["x-delivery-limit"], 1000);
                assert_eq!(arguments["x-overflow"], "reject-publish");
                assert_eq!(arguments["x-dead-letter-strategy"], "at-least-once");
                assert_eq!(
                    arguments["x-dead-letter-routing-key"],
                    "callferry.quarantine"
                );
            }
        }
        let keys: Vec<&str> = all["bindings"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|binding| binding["routing_key"].as_str())
            .collect();
        assert_eq!(keys, ["recording.completed.v1", "recording.stored.v1"]);
    }
}
