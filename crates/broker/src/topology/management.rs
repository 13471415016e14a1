//! What AMQP cannot ask: bindings, arguments, an alternate exchange that a policy added.

use std::time::Duration;

use recording::Queue;
use reqwest::{Client, StatusCode};
use serde_json::{Map, Value};

use super::definitions::expected;
use super::{Condition, EXCHANGE, Report, binding, of_binding, of_exchange, of_queue};
use crate::{BrokerFault, ManagementUrl};

/// The longest that one call may take.
const CALL: Duration = Duration::from_secs(10);

/// Adds what the management API of `vhost` says to `report`.
pub(super) async fn compare(
    api: &ManagementUrl,
    vhost: &str,
    report: &mut Report,
) -> Result<(), BrokerFault> {
    let client = Client::builder()
        .timeout(CALL)
        .no_proxy()
        // Wherever else it were sent to, our password would go along.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| fault(&error))?;
    let api = Api { client, api };
    if let Some(found) = api.get(&["exchanges", vhost, EXCHANGE]).await? {
        report.note(
            format!("{}'s arguments", of_exchange()),
            of_the_exchange(&found),
        );
    }
    for queue in Queue::ALL {
        if let Some(found) = api.get(&["queues", vhost, queue.name()]).await? {
            let what = format!("{}'s arguments", of_queue(queue));
            report.note(what, of_the_queue(queue, &found));
        }
        let Some(key) = binding(queue) else { continue };
        let path = ["bindings", vhost, "e", EXCHANGE, "q", queue.name()];
        let found = api.get(&path).await?;
        let bound = found.as_ref().and_then(Value::as_array).is_some_and(|all| {
            all.iter()
                .any(|one| one.get("routing_key").and_then(Value::as_str) == Some(key))
        });
        let condition = if bound {
            Condition::Fine
        } else {
            Condition::Missing
        };
        report.note(of_binding(queue, key), condition);
    }
    Ok(())
}

fn of_the_exchange(found: &Value) -> Condition {
    let text = |name: &str| found.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("type") != "topic" || found.get("durable") != Some(&Value::Bool(true)) {
        return Condition::Differs("it is not a durable topic exchange".to_owned());
    }
    let alternate = |place: Option<&Value>| {
        let place = place.and_then(Value::as_object);
        place.is_some_and(|all| all.contains_key("alternate-exchange"))
    };
    if alternate(found.get("arguments")) || alternate(found.get("effective_policy_definition")) {
        return Condition::Differs(
            "it has an alternate exchange: unroutable messages would be confirmed".to_owned(),
        );
    }
    Condition::Fine
}

fn of_the_queue(queue: Queue, found: &Value) -> Condition {
    let none = Map::new();
    let has = found.get("arguments").and_then(Value::as_object);
    let has = has.unwrap_or(&none);
    for (name, wanted) in expected(queue) {
        if has.get(&name) != Some(&wanted) {
            let is = has
                .get(&name)
                .map_or("not set".to_owned(), Value::to_string);
            return Condition::Differs(format!("{name} is {is}, must be {wanted}"));
        }
    }
    Condition::Fine
}

struct Api<'a> {
    client: Client,
    api: &'a ManagementUrl,
}

impl Api<'_> {
    /// What is at `path`; `None` if nothing is.
    async fn get(&self, path: &[&str]) -> Result<Option<Value>, BrokerFault> {
        let sent = self.client.get(self.api.api(path)).send().await;
        let response = sent.map_err(|error| fault(&error))?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !status.is_success() {
            let what = path.join("/");
            return Err(BrokerFault::Management(format!("{what}: {status}")));
        }
        let body = response.bytes().await.map_err(|error| fault(&error))?;
        serde_json::from_slice(&body)
            .map(Some)
            .map_err(|error| BrokerFault::Management(error.to_string()))
    }
}

/// The error without the address, and with its cause, which says what went wrong.
fn fault(error: &reqwest::Error) -> BrokerFault {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    BrokerFault::Management(cause.to_string())
}
