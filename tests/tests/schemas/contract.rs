//! The schema files as validators. Relative references resolve among the files themselves;
//! nothing is ever fetched.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use bytes::Bytes;
use jsonschema::{Registry, Validator};
use recording::Delivery;
use serde_json::{Value, json};

/// Every event of this release, by the stem of its schema.
pub(crate) const EVENTS: [&str; 9] = [
    "cleanup.due.v1",
    "destination.healthy.v1",
    "destination.unhealthy.v1",
    "recording.completed.v1",
    "recording.expired.v1",
    "recording.parked.v1",
    "recording.released.v1",
    "recording.stored.v1",
    "transfer.due.v1",
];

/// Stands for the folder `schemas/`; reserved never to resolve.
const BASE: &str = "https://schemas.invalid/";

/// A path below `schemas/`.
pub(crate) fn schemas(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../schemas")
        .join(below)
}

/// The files of a folder below `schemas/`, hidden ones aside, sorted by name.
pub(crate) fn files(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(schemas(folder)).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

/// The bytes of a file below `schemas/`.
pub(crate) fn bytes(path: &str) -> Vec<u8> {
    fs::read(schemas(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A JSON file below `schemas/`.
pub(crate) fn document(path: &str) -> Value {
    serde_json::from_slice(&bytes(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The validators of all events, compiled once.
static VALIDATORS: LazyLock<BTreeMap<&'static str, Validator>> = LazyLock::new(|| {
    let paths = ["events", "shared"].into_iter().flat_map(|folder| {
        let names = files(folder).into_iter();
        names.map(move |name| format!("{folder}/{name}"))
    });
    let documents = paths.map(|path| (format!("{BASE}{path}"), document(&path)));
    let registry = Registry::new().extend(documents).unwrap();
    let registry = registry.prepare().unwrap();
    let build = |event| {
        jsonschema::options()
            .offline()
            .with_registry(&registry)
            .build(&json!({"$ref": format!("{BASE}events/{event}.json")}))
            .unwrap_or_else(|error| panic!("{event}: {error}"))
    };
    EVENTS.map(|event| (event, build(event))).into()
});

/// The validator of one event's schema.
#[track_caller]
pub(crate) fn validator(event: &str) -> &'static Validator {
    let found = VALIDATORS.get(event);
    found.unwrap_or_else(|| panic!("{event} is not an event"))
}

/// Panics with every complaint of the schema, unless it accepts.
#[track_caller]
pub(crate) fn assert_fits(event: &str, value: &Value) {
    let validator = validator(event);
    let complaints: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(
        complaints.is_empty(),
        "{event}: {complaints:#?} in {value:#}"
    );
}

/// A delivery of these bytes without any property.
pub(crate) fn deliver(body: impl Into<Bytes>) -> Delivery {
    Delivery {
        body: body.into(),
        ..Delivery::default()
    }
}
