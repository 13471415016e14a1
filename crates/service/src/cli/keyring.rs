//! `callferry keyring`: the keys that secrets of destinations are encrypted with in the ledger.

mod rotate;
mod show;

use std::path::{Path, PathBuf};

use anyhow::Result;
use catalog::{KeyRing, KeyRingFile};
use clap::{Args, Subcommand};
use serde_json::json;

use super::Context;
use crate::failure::Failure;
use crate::wiring::{self, admin_failure};

/// What can be done with key rings.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  callferry keyring new /etc/callferry/keyring
  callferry keyring show
  callferry keyring rotate
  callferry keyring retire k-20261127T030405Z-1a2b3c4d")]
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
    /// List the keys: since when, and how many secrets are under each
    #[command(after_help = "\
Examples:
  callferry keyring show
  callferry keyring show --json")]
    Show(show::ShowArgs),
    /// Make a new key current and bring every secret under it, while the fleet runs
    #[command(after_help = "\
Examples:
  callferry keyring rotate
  callferry keyring rotate --prepare
  callferry keyring rotate --resume --json

The new key is written into the file that CALLFERRY_KEYRING_FILE names; older keys stay in it.
Processes that see this very file need no restart: they read it again when it has changed. Where
they see copies of it, first `rotate --prepare`, hand the file out, then `rotate`. It may be broken
off at any time and gone on with: `rotate --resume`.")]
    Rotate(rotate::RotateArgs),
    /// Take a key out of the ring that no secret is under any more
    #[command(after_help = "\
Examples:
  callferry keyring retire k-20261127T030405Z-1a2b3c4d
  callferry keyring retire k-1a2b3c4d --json

Backups of the database that are older than the rotation need the key: keep a copy of the ring as
long as those.")]
    Retire(RetireArgs),
}

/// `keyring new`.
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// The file to make
    file: PathBuf,
}

/// `keyring retire`.
#[derive(Debug, Args)]
pub(crate) struct RetireArgs {
    /// The key's id, as `keyring show` lists it
    key_id: String,
}

pub(super) async fn execute(command: &KeyringCommand, context: &Context) -> Result<()> {
    match command {
        KeyringCommand::New(args) => new(args, context),
        KeyringCommand::Show(_) => show::execute(context).await,
        KeyringCommand::Rotate(args) => rotate::execute(args, context).await,
        KeyringCommand::Retire(args) => retire(args, context).await,
    }
}

/// The file that is configured.
fn configured(context: &Context) -> Result<&Path> {
    let file = context.config.keyring_file.as_deref();
    file.ok_or_else(|| {
        Failure::usage("`keyring_file` is not configured")
            .hint(
                "set CALLFERRY_KEYRING_FILE to the key ring; `callferry keyring new FILE` makes \
                 one",
            )
            .into()
    })
}

fn new(args: &NewArgs, context: &Context) -> Result<()> {
    let file = &args.file;
    let ring = KeyRing::generate_at(wiring::clock().now()).map_err(admin_failure)?;
    ring.write_new(file).map_err(admin_failure)?;
    let key_id = ring.current_id();
    let in_use = context.config.keyring_file.as_deref() == Some(file.as_path());
    let answer = json!({ "file": file, "key_id": key_id, "configured": in_use });
    context
        .output
        .answer(&answer, |_| told(file, &key_id, in_use))
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

async fn retire(args: &RetireArgs, context: &Context) -> Result<()> {
    let key_id = &args.key_id;
    let file = KeyRingFile::lock(configured(context)?).map_err(admin_failure)?;
    let ledger = context.ledger().await?;
    let retired = ledger.retire_key(key_id, || file.remove(key_id)).await;
    retired.map_err(admin_failure)?;
    let ring = file.ring().map_err(admin_failure)?;
    let left: Vec<_> = ring.ids().collect();
    let answer = json!({ "retired": key_id, "current": ring.current_id(), "keys": left });
    context.output.answer(&answer, |_| {
        format!(
            "{key_id} is no longer in the key ring, which is left with {}.",
            left.join(", ")
        )
    })
}
