//! The fuzz corpus, replayed on any machine: every kept input and a bounded number of mutations
//! that are the same in every run. `tests/fuzz/run.sh` goes on from it for as long as it is told.

use std::collections::BTreeMap;

use callferry_tests::fuzz::{TARGETS, corpus, mutations};

/// Mutations of each kept input.
const MUTATIONS: u64 = 300;
/// All corpora together stay small enough to be kept beside the code.
const BYTES_MAX: usize = 300_000;
/// The verdicts that the kept inputs of a target must come to: a corpus that has rotted to one
/// kind of refusal tests nothing.
const VERDICTS: &[(&str, &[&str])] = &[
    (
        "event",
        &[
            "completed",
            "stored",
            "transfer_due",
            "cleanup_due",
            "content_type",
            "not_json",
            "duplicate_key",
            "too_deep",
            "missing_field",
            "wrong_field",
            "unknown_type",
            "unsafe_path",
        ],
    ),
    (
        "staging_path",
        &[
            "plain",
            "outside",
            "malformed",
            "too long",
            "no account",
            "not text",
        ],
    ),
    (
        "answer",
        &[
            "present",
            "present and read",
            "absent",
            "uploads",
            "a session",
            "sent",
            "unclear",
            "a passing refusal",
            "a refusal",
        ],
    ),
];

#[test]
fn every_kept_input_and_every_mutation_of_it_comes_to_one_verdict_without_a_panic() {
    for (name, target) in TARGETS {
        let mut verdicts: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, input) in corpus(name).unwrap() {
            *verdicts.entry(target(&input)).or_default() += 1;
        }
        let (_, all) = VERDICTS.iter().find(|(of, _)| of == name).unwrap();
        for verdict in *all {
            assert!(
                verdicts.contains_key(verdict),
                "{name}: none is {verdict}: {verdicts:?}"
            );
        }
        for (_, input) in corpus(name).unwrap() {
            for mutation in mutations(&input, MUTATIONS) {
                *verdicts.entry(target(&mutation)).or_default() += 1;
            }
        }
        println!("{name}: {verdicts:?}");
    }
}

#[test]
fn the_corpora_stay_small() {
    let names = TARGETS
        .iter()
        .map(|(name, _)| *name)
        .chain(["configuration"]);
    let sizes = names.map(|name| {
        let inputs = corpus(name).unwrap();
        (
            name,
            inputs.iter().map(|(_, input)| input.len()).sum::<usize>(),
        )
    });
    let sizes: BTreeMap<_, _> = sizes.collect();
    assert!(sizes.values().sum::<usize>() <= BYTES_MAX, "{sizes:?}");
}

#[test]
fn mutations_are_the_same_in_every_run() {
    let input = br#"{"specversion":"1.0"}"#;
    assert_eq!(mutations(input, 50), mutations(input, 50));
    assert!(
        mutations(input, 50)
            .iter()
            .any(|mutation| mutation != input)
    );
}
