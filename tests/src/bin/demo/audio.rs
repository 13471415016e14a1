//! Real audio: telephone prompts of a Debian sound package, in three codecs, and one long call.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use callferry_tests::environment;
use callferry_tests::platform::Platform;
use sha2::{Digest, Sha256};

use crate::ACCOUNTS;

/// Where originals lie below the account's folder.
pub(crate) const FOLDER: &str = "2026/11/22";
/// Prompts for each account.
const PER_ACCOUNT: usize = 70;
/// The long call must be sent in parts: the part size is 16 MiB.
const LONG_CALL_BYTES: usize = 40 << 20;

/// One staged recording, as the recorder knows it: the check compares with this, never with what
/// callferry says.
pub(crate) struct Staged {
    pub(crate) account: &'static str,
    pub(crate) id: String,
    /// Relative to the staging root.
    pub(crate) path: String,
    pub(crate) size_bytes: u64,
    pub(crate) sha256: String,
}

pub(crate) fn media_type(extension: &str) -> &'static str {
    match extension {
        "g722" => "audio/G722",
        "gsm" => "audio/GSM",
        _ => "audio/wav",
    }
}

/// Stages everything good.
pub(crate) fn stage(platform: &Platform) -> Result<Vec<Staged>> {
    let library = environment::local().join("audio");
    let mut staged = Vec::new();
    for (account, extension, _) in ACCOUNTS {
        let mut prompts = Vec::new();
        collect(&library, extension, &mut prompts)?;
        prompts.sort();
        ensure!(
            prompts.len() >= PER_ACCOUNT,
            "no audio: run deploy/local/install.sh demo"
        );
        // Every fifth, so that words and letters, short and long ones take part.
        let step = prompts.len() / PER_ACCOUNT;
        for source in prompts.iter().step_by(step).take(PER_ACCOUNT) {
            let id = name(&library, source)?;
            let bytes = fs::read(source)?;
            staged.push(write(platform, account, &id, extension, &bytes)?);
        }
        if extension == "wav" {
            let call = long_call(&prompts)?;
            staged.push(write(platform, account, "long-call", extension, &call)?);
        }
    }
    Ok(staged)
}

/// Writes one original as a recorder does: under another name, then renamed.
pub(crate) fn write(
    platform: &Platform,
    account: &'static str,
    id: &str,
    extension: &str,
    bytes: &[u8],
) -> Result<Staged> {
    let path = format!("{account}/{FOLDER}/{id}.{extension}");
    let target = platform.staging.join(&path);
    let folder = target.parent().context("no parent")?;
    fs::create_dir_all(folder)?;
    let partial = target.with_extension("part");
    fs::write(&partial, bytes)?;
    fs::rename(&partial, &target)?;
    let (size_bytes, sha256) = (
        u64::try_from(bytes.len())?,
        hex::encode(Sha256::digest(bytes)),
    );
    Ok(Staged {
        account,
        id: id.to_owned(),
        path,
        size_bytes,
        sha256,
    })
}

fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, extension, found)?;
        } else if path.extension().is_some_and(|end| end == extension) {
            found.push(path);
        }
    }
    Ok(())
}

/// `digits/day-1.wav` → `digits-day-1`: unique below the library, and an identifier.
fn name(library: &Path, source: &Path) -> Result<String> {
    let relative = source.strip_prefix(library)?.with_extension("");
    let text = relative.to_str().context("a sound's name is not UTF-8")?;
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '-'
        }
    };
    Ok(text.chars().map(plain).collect())
}

/// A WAV file of all prompts, over and over: 8 kHz, 16 bit, mono.
fn long_call(prompts: &[PathBuf]) -> Result<Vec<u8>> {
    const HEADER: usize = 44;
    let mut sound = Vec::with_capacity(LONG_CALL_BYTES + (1 << 20));
    for prompt in prompts.iter().cycle() {
        if sound.len() >= LONG_CALL_BYTES {
            break;
        }
        sound.extend_from_slice(fs::read(prompt)?.get(HEADER..).unwrap_or_default());
    }
    let bytes = u32::try_from(sound.len())?;
    let mut call = Vec::with_capacity(sound.len() + HEADER);
    call.extend_from_slice(b"RIFF");
    call.extend_from_slice(&(bytes + 36).to_le_bytes());
    call.extend_from_slice(b"WAVEfmt ");
    for word in [16_u32, 0x0001_0001, 8000, 16_000, 0x0010_0002] {
        call.extend_from_slice(&word.to_le_bytes());
    }
    call.extend_from_slice(b"data");
    call.extend_from_slice(&bytes.to_le_bytes());
    call.extend_from_slice(&sound);
    Ok(call)
}
