//! `callferry keyring`: the keys that secrets of destinations are encrypted with in the ledger.

use std::path::{Path, PathBuf};

use anyhow::Result;
use catalog::KeyRing;
use clap::{Args, Subcommand};
use serde_json::json;

use super::Context;
use crate::wiring::admin_failure;

/// What can be done with key rings.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  callferry keyring new /etc/callferry/keyring")]
pub(crate) enum KeyringCommand {
    /// Make a new key ring with one key, in a file that only its owner may read; a file that is
    /// there is never overwritten
    #[command(after_help = "\
Examples:
  callferry keyring new /etc/callferry/keyring
  callferry keyring new /etc/callferry/keyring --json

Every process needs the same file: CALLFERRY_KEYRING_FILE. Keep a copy apart from the database's:
without the key, destinations with a secret must be set anew.")]
    New(NewArgs),
}

/// `keyring new`.
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// The file to make
    file: PathBuf,
}

pub(super) fn execute(command: &KeyringCommand, context: &Context) -> Result<()> {
    let KeyringCommand::New(NewArgs { file }) = command;
    let ring = KeyRing::generate().map_err(admin_failure)?;
    ring.write_new(file).map_err(admin_failure)?;
    let key_id = ring.current_id();
    let in_use = context.config.keyring_file.as_deref() == Some(file.as_path());
    let answer = json!({ "file": file, "key_id": key_id, "configured": in_use });
    context
        .output
        .answer(&answer, |_| told(file, key_id, in_use))
}

fn told(file: &Path, key_id: &str, in_use: bool) -> String {
    let then = if in_use {
        "keep a copy apart from the database's"
    } else {
        "set CALLFERRY_KEYRING_FILE to it for every process, and keep a copy apart from the \
         database's"
    };
    format!("{} holds key {key_id}; {then}.", file.display())
}
