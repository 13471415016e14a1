//! The table of operations and the OpenAPI document say the same, from both sides.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use telemetry::HttpRoute;

use super::problem::KINDS;
use super::routes::{ROUTES, Verb, Whose};
use crate::cli::destination::azure::AzureArgs;
use crate::cli::destination::s3::S3Args;

fn document() -> Value {
    serde_json::from_str(include_str!("../../../../schemas/http/openapi.json")).unwrap()
}

fn resolved<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    part["$ref"].as_str().map_or(part, |reference| {
        document.pointer(reference.trim_start_matches('#')).unwrap()
    })
}

fn method(verb: Verb) -> &'static str {
    match verb {
        Verb::Get => "get",
        Verb::Post => "post",
        Verb::Put => "put",
        Verb::Delete => "delete",
    }
}

#[test]
fn the_document_has_every_operation_and_no_other() {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let documented: BTreeSet<_> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| format!("{method} {path}"))
        })
        .collect();
    let served = ROUTES.iter();
    let served = served.map(|route| format!("{} {}", method(route.verb), route.template));
    assert_eq!(documented, served.collect());
    let mut words: BTreeSet<_> = HttpRoute::ALL.iter().map(|route| route.as_str()).collect();
    words.remove(HttpRoute::Unmatched.as_str());
    let named: BTreeSet<_> = ROUTES.iter().map(|route| route.call.as_str()).collect();
    assert_eq!(named, words, "each word is an operation, once");
}

#[test]
fn each_operation_is_documented_with_its_name_scope_parameters_and_body() {
    let document = document();
    for route in ROUTES {
        let operation = &document["paths"][route.template][method(route.verb)];
        let name = route.call.as_str();
        assert_eq!(operation["operationId"], name);
        let scope = operation["security"][0]["token"][0].as_str();
        assert_eq!(
            scope,
            route.scope.map(super::token::Scope::as_str),
            "{name}"
        );
        assert_eq!(scope.is_none(), route.whose == Whose::Nobodys, "{name}");
        let given = operation["parameters"].as_array().into_iter().flatten();
        let mut by_place: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for parameter in given {
            let parameter = resolved(&document, parameter);
            let (place, name) = (&parameter["in"], &parameter["name"]);
            let names = by_place.entry(place.as_str().unwrap()).or_default();
            names.insert(name.as_str().unwrap());
        }
        let query = by_place.remove("query").unwrap_or_default();
        assert_eq!(query, route.query.iter().copied().collect(), "{name}");
        let in_path = by_place.remove("path").unwrap_or_default();
        let parts = route.template.split(['{', '}']).skip(1).step_by(2);
        assert_eq!(in_path, parts.collect(), "{name}");
        let body = &operation["requestBody"]["required"];
        assert_eq!(body == true, route.has_body, "{name}");
        assert!(route.whose != Whose::Accounts || route.template.contains("{account_id}"));
    }
}

#[test]
fn every_problem_is_documented_by_its_type() {
    let document = document();
    let types = &document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"];
    let types = types.as_array().unwrap().iter();
    let types: BTreeSet<_> = types.map(|word| word.as_str().unwrap()).collect();
    assert_eq!(types, KINDS.iter().copied().collect());
}

/// The fields that a body may have, by what is said where it has another.
fn fields(error: &serde_json::Error) -> BTreeSet<String> {
    let said = error.to_string();
    let (_, listed) = said.split_once("expected one of ").unwrap();
    let listed = listed.split('`').skip(1).step_by(2);
    listed.map(str::to_owned).collect()
}

#[test]
fn the_bodies_of_destinations_have_the_documented_fields_and_none_that_names_a_file() {
    let document = document();
    let unknown = r#"{"no such field": 1}"#;
    let s3 = serde_json::from_str::<S3Args>(unknown).unwrap_err();
    let azure = serde_json::from_str::<AzureArgs>(unknown).unwrap_err();
    for (schema, fields) in [
        ("S3Destination", fields(&s3)),
        ("AzureDestination", fields(&azure)),
    ] {
        let documented = &document["components"]["schemas"][schema]["properties"];
        let documented = documented.as_object().unwrap().keys().cloned();
        assert_eq!(documented.collect::<BTreeSet<_>>(), fields, "{schema}");
        assert!(
            !fields.iter().any(|field| field.contains("file")),
            "{fields:?}"
        );
    }
}
