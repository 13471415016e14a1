//! Feeds the reader of configuration files from libFuzzer. The service is a binary, so its files
//! are taken as they are; `tests/tests/bad_input/configuration.rs` does the same to the binary.

#![no_main]
#![expect(
    dead_code,
    unused_imports,
    reason = "the service uses the rest of these files"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

#[path = "../../../../crates/service/src"]
mod service {
    pub(crate) mod config;
    pub(crate) mod endpoint;
    pub(crate) mod failure;
}

// Where these files look for each other.
use service::{config, endpoint, failure};

/// A file in memory, one for each process.
fn file() -> PathBuf {
    PathBuf::from(format!(
        "/dev/shm/callferry-fuzz-{}.toml",
        std::process::id()
    ))
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let file = file();
    fs::write(&file, input).expect("memory to write to");
    match config::Config::load(Some(&file), &BTreeMap::new()) {
        Ok(config) => {
            let shown = config.shown();
            assert!(shown.is_object(), "{shown}");
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let hint = failure::hint(&error);
            assert!(
                hint.is_some_and(|hint| !hint.is_empty()),
                "no hint: {error:#}"
            );
            assert_eq!(failure::exit_code(&error), 2, "{error:#}");
        }
    }
});
