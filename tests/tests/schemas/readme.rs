//! The README's examples are events, and it speaks of every event, word and example folder.

use recording::{Incoming, parse};
use serde_json::Value;

use crate::contract::{EVENTS, assert_fits, bytes, deliver};

fn readme() -> String {
    String::from_utf8(bytes("README.md")).unwrap()
}

#[test]
fn every_json_block_of_the_readme_is_a_valid_event() {
    let readme = readme();
    let mut shown = Vec::new();
    for block in readme.split("```json\n").skip(1) {
        let (text, _) = block.split_once("```").unwrap();
        let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let kind = value["type"].as_str().unwrap();
        let event = kind.strip_prefix("callferry.").unwrap().to_owned();
        assert_fits(&event, &value);
        let understood = parse(&deliver(text.to_owned()));
        match event.as_str() {
            "recording.completed.v1" => {
                assert!(matches!(understood, Ok(Incoming::Completed(..))), "{text}");
            }
            "recording.stored.v1" => {
                assert!(matches!(understood, Ok(Incoming::Stored(_))), "{text}");
            }
            _ => {}
        }
        shown.push(event);
    }
    shown.sort();
    assert_eq!(shown, EVENTS, "the README shows each event once");
}

#[test]
fn the_readme_names_every_schema_file() {
    let readme = readme();
    for event in EVENTS {
        let link = format!("(events/{event}.json)");
        assert!(readme.contains(&link), "no link to {event}");
    }
}
