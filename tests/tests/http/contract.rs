//! The OpenAPI document, as a judge of answers.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use callferry_tests::environment;
use jsonschema::Validator;
use serde_json::{Value, json};

use super::served::Answered;

/// The document.
pub(crate) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let file = environment::repository().join("schemas/http/openapi.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
});

static VALIDATORS: LazyLock<Mutex<BTreeMap<String, Validator>>> = LazyLock::new(Mutex::default);

/// A part of the document behind a reference, or the part itself.
fn resolved(part: &Value) -> &Value {
    let Some(reference) = part["$ref"].as_str() else {
        return part;
    };
    let pointer = reference.strip_prefix('#').unwrap();
    DOCUMENT.pointer(pointer).unwrap()
}

/// The operation that a path means, and its template.
fn operation(what: &str) -> Option<&'static Value> {
    let (method, path) = what.split_once(' ').unwrap();
    let path = path.split('?').next().unwrap();
    let segments: Vec<_> = path.split('/').collect();
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let mut found: Vec<_> = paths
        .iter()
        .filter(|(template, _)| {
            let own: Vec<_> = template.split('/').collect();
            own.len() == segments.len()
                && own
                    .iter()
                    .zip(&segments)
                    .all(|(own, given)| own.starts_with('{') || own == given)
        })
        .collect();
    // What is written out goes before what stands for anything.
    found.sort_by_key(|(template, _)| template.matches('{').count());
    let method = if method == "HEAD" { "get" } else { method };
    found
        .first()
        .and_then(|(_, methods)| methods.get(method.to_ascii_lowercase()))
}

fn validates(schema: &Value, value: &Value) -> Result<(), String> {
    let mut validators = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner);
    let validator = validators.entry(schema.to_string()).or_insert_with(|| {
        let whole = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema],
            "components": DOCUMENT["components"],
        });
        let options = jsonschema::options().offline();
        options.build(&whole).unwrap()
    });
    let errors: Vec<_> = validator
        .iter_errors(value)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.join("\n"))
    }
}

/// Asserts that an answer is one of those that the document promises for this operation.
#[track_caller]
pub(crate) fn assert_fits(what: &str, answered: &Answered) {
    let shown = format!("{what}: {} {}", answered.status, answered.text);
    let header = |name: &str| {
        answered
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap())
    };
    // Public keys alone may be kept by others.
    let cached = if what.ends_with("/v1/receipt-keys") && answered.status == 200 {
        "public, max-age=300"
    } else {
        "no-store"
    };
    for (name, value) in [
        ("cache-control", cached),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(header(name), Some(value), "{name}: {shown}");
    }
    assert!(
        header("x-request-id").is_some_and(|id| id.len() == 36),
        "{shown}"
    );
    assert!(header("access-control-allow-origin").is_none(), "{shown}");
    let Some(operation) = operation(what) else {
        assert!(matches!(answered.status, 404 | 405), "{shown}");
        return;
    };
    let promised = &operation["responses"][answered.status.to_string()];
    assert!(promised.is_object(), "not promised: {shown}");
    let promised = resolved(promised);
    if what.starts_with("HEAD") {
        return;
    }
    if promised["content"].is_null() {
        assert!(answered.text.is_empty(), "it says something: {shown}");
    } else {
        let kind = header("content-type").unwrap_or_default();
        let schema = &promised["content"][kind]["schema"];
        assert!(schema.is_object(), "not as {kind}: {shown}");
        let told = match kind.starts_with("text/") {
            true => &Value::String(answered.text.clone()),
            false => &answered.json,
        };
        if let Err(errors) = validates(schema, told) {
            panic!("{shown}\n{errors}");
        }
    }
    if answered.status >= 400 {
        assert_eq!(answered.json["status"], answered.status, "{shown}");
    }
    for name in promised["headers"].as_object().into_iter().flatten() {
        assert!(header(name.0).is_some(), "{} is missing: {shown}", name.0);
    }
}

#[test]
fn the_document_names_a_scope_for_everything_but_itself_and_the_page_and_resolves() {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            let scope = operation["security"][0]["token"][0].as_str();
            let public = ["show_contract", "show_player", "list_receipt_keys"];
            let name = operation["operationId"].as_str().unwrap();
            assert_eq!(scope.is_none(), public.contains(&name), "{method} {path}");
            for response in operation["responses"].as_object().unwrap().values() {
                assert!(resolved(response).is_object(), "{method} {path}");
            }
            let templated = path.matches('{').count();
            let given = operation["parameters"].as_array().into_iter().flatten();
            let in_path = given.filter(|given| resolved(given)["in"] == "path");
            assert_eq!(in_path.count(), templated, "{method} {path}");
        }
    }
}
