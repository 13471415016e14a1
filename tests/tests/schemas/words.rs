//! The closed sets: the schemas list exactly the words that the code has.

use recording::{Capability, Kind, Method, ParkReason, RefusalReason};

use crate::contract::document;

#[track_caller]
fn assert_same(set: &str, code: &[&str]) {
    let words = document("shared/words.json");
    let listed: Vec<&str> = words["$defs"][set]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect();
    assert_eq!(listed, code, "{set}");
}

#[test]
fn the_closed_sets_in_the_schemas_are_the_codes() {
    assert_same("kind", &Kind::ALL.map(Kind::as_str));
    assert_same("method", &Method::ALL.map(Method::as_str));
    let reasons: Vec<&str> = ParkReason::ALL.iter().map(|r| r.as_str()).collect();
    assert_same("park_reason", &reasons);
    let reasons: Vec<&str> = RefusalReason::ALL.iter().map(|r| r.as_str()).collect();
    assert_same("refusal_reason", &reasons);
    let tried: Vec<&str> = Capability::ALL.iter().map(|one| one.as_str()).collect();
    assert_same("capability", &tried);
    let words = document("shared/words.json");
    assert_eq!(words["$defs"].as_object().unwrap().len(), 5);
}
