//! The AsyncAPI document: every reference in it leads somewhere, and every event is in it with
//! the address at which the code publishes or reads it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::contract::{EVENTS, document, schemas};

/// Every `$ref` below a value.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                found.push(reference.clone());
            }
            object.values().for_each(|below| references(below, found));
        }
        Value::Array(items) => items.iter().for_each(|below| references(below, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Follows a reference within the document.
#[track_caller]
fn follow<'a>(document: &'a Value, reference: &Value) -> &'a Value {
    let reference = reference.as_str().unwrap();
    let pointer = reference.strip_prefix('#').unwrap();
    document
        .pointer(pointer)
        .unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

#[test]
fn every_reference_leads_to_something_that_exists() {
    let asyncapi = document("asyncapi.json");
    assert_eq!(asyncapi["asyncapi"], "3.0.0");
    let mut found = Vec::new();
    references(&asyncapi, &mut found);
    for reference in found {
        if let Some(file) = reference.strip_prefix("./") {
            assert!(schemas(file).is_file(), "{reference} leads nowhere");
        } else {
            follow(&asyncapi, &Value::String(reference));
        }
    }
}

#[test]
fn every_event_is_a_message_in_exactly_one_channel() {
    let asyncapi = document("asyncapi.json");
    let mut addresses = BTreeMap::new();
    for (name, channel) in asyncapi["channels"].as_object().unwrap() {
        let messages = channel["messages"].as_object().unwrap();
        assert_eq!(messages.len(), 1, "{name}");
        for reference in messages.values() {
            let message = follow(&asyncapi, &reference["$ref"]);
            let event = message["name"].as_str().unwrap();
            let event = event.strip_prefix("callferry.").unwrap();
            let payload = &message["payload"];
            assert_eq!(
                payload["schema"]["$ref"],
                format!("./events/{event}.json"),
                "{name}"
            );
            assert_eq!(
                payload["schemaFormat"],
                "application/schema+json;version=draft-2020-12"
            );
            assert_eq!(message["contentType"], "application/cloudevents+json");
            let address = channel["address"].as_str().unwrap().to_owned();
            assert_eq!(addresses.insert(event.to_owned(), address), None, "{name}");
        }
    }
    let messages = asyncapi["components"]["messages"].as_object().unwrap();
    assert_eq!(messages.len(), EVENTS.len());
    for event in EVENTS {
        let expected = match event {
            "transfer.due.v1" => recording::Queue::Transfer.name(),
            "cleanup.due.v1" => recording::Queue::Cleanup.name(),
            topic => topic,
        };
        let address = addresses.remove(event);
        assert_eq!(address.as_deref(), Some(expected), "{event}");
    }
    assert_eq!(addresses, BTreeMap::new());
}

#[test]
fn every_channel_is_used_in_the_directions_that_the_code_has() {
    let asyncapi = document("asyncapi.json");
    let mut used = BTreeSet::new();
    for (name, operation) in asyncapi["operations"].as_object().unwrap() {
        let channel = follow(&asyncapi, &operation["channel"]["$ref"]);
        for message in operation["messages"].as_array().unwrap() {
            let message = follow(&asyncapi, &message["$ref"]);
            let message = follow(&asyncapi, &message["$ref"]);
            let event = message["name"].as_str().unwrap().to_owned();
            let messages = channel["messages"].as_object().unwrap();
            let belongs = messages
                .values()
                .any(|m| follow(&asyncapi, &m["$ref"])["name"] == event.as_str());
            assert!(belongs, "{name}: {event} is not in the channel");
            used.insert((event, operation["action"].as_str().unwrap().to_owned()));
        }
    }
    let expected = [
        ("cleanup.due.v1", "receive"),
        ("cleanup.due.v1", "send"),
        ("destination.healthy.v1", "send"),
        ("destination.unhealthy.v1", "send"),
        ("recording.completed.v1", "receive"),
        ("recording.expired.v1", "send"),
        ("recording.parked.v1", "send"),
        ("recording.released.v1", "send"),
        ("recording.stored.v1", "receive"),
        ("recording.stored.v1", "send"),
        ("transfer.due.v1", "receive"),
        ("transfer.due.v1", "send"),
    ];
    let expected = expected.map(|(event, way)| (format!("callferry.{event}"), way.to_owned()));
    assert_eq!(used, BTreeSet::from(expected));
}
