//! Feeds the target `event` from libFuzzer.

#![no_main]

use callferry_fuzz::target::TARGETS;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    for (name, target) in TARGETS {
        if *name == "event" {
            let _verdict = target(input);
        }
    }
});
