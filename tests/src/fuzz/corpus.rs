//! The corpus that is kept, and mutations of it that are the same in every run.

use std::fs;

use anyhow::{Context, Result};

use crate::environment::repository;

/// Words that readers stumble over.
const WORDS: [&[u8]; 20] = [
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xae",
    b"\\u0000",
    b"\\ud800",
    b"\"",
    b"\\",
    b"{",
    b"[[[[[[[[[[[[[[[[[",
    b"}",
    b"null",
    b"-0",
    b"1e309",
    b"9007199254740993",
    b"../",
    b"//",
    b"<![CDATA[",
    b"<!DOCTYPE a [<!ENTITY b \"c\">]>",
    b"&b;",
];

/// The kept inputs of a target with their names, sorted.
///
/// # Errors
/// When there are none, or one cannot be read.
pub fn corpus(target: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let folder = repository().join("tests/fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        found.push((name, fs::read(entry.path())?));
    }
    found.sort();
    anyhow::ensure!(!found.is_empty(), "{} is empty", folder.display());
    Ok(found)
}

/// Numbers that look random and are the same for the same input.
struct Numbers(u64);

impl Numbers {
    fn of(bytes: &[u8]) -> Self {
        let mix = |state: u64, byte: &u8| (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self(bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix) | 1)
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.0 % bound).unwrap_or_default()
    }
}

/// `count` inputs that are this one with a few things done to it.
#[must_use]
pub fn mutations(bytes: &[u8], count: u64) -> Vec<Vec<u8>> {
    let mut numbers = Numbers::of(bytes);
    let mutate = |_| {
        let mut input = bytes.to_vec();
        for _ in 0..=numbers.below(3) {
            mutate_once(&mut input, &mut numbers);
        }
        input
    };
    (0..count).map(mutate).collect()
}

fn mutate_once(input: &mut Vec<u8>, numbers: &mut Numbers) {
    let at = numbers
        .below(input.len().saturating_add(1))
        .min(input.len());
    let rest = input.len().saturating_sub(at);
    let end = at.saturating_add(numbers.below(rest.min(40).saturating_add(1)));
    match numbers.below(6) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << numbers.below(8);
            }
        }
        1 => drop(input.drain(at..end)),
        2 => {
            let word = WORDS.get(numbers.below(WORDS.len())).copied();
            drop(input.splice(at..at, word.unwrap_or_default().iter().copied()));
        }
        3 => {
            let word = WORDS.get(numbers.below(WORDS.len())).copied();
            drop(input.splice(at..end, word.unwrap_or_default().iter().copied()));
        }
        4 => {
            let slice = input.get(at..end).unwrap_or_default().to_vec();
            drop(input.splice(at..at, slice));
        }
        _ => input.truncate(at),
    }
}
