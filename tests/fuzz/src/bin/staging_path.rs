//! Feeds the target `staging_path` from libFuzzer.

#![no_main]

use callferry_fuzz::target::TARGETS;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    for (name, target) in TARGETS {
        if *name == "staging_path" {
            let _verdict = target(input);
        }
    }
});
