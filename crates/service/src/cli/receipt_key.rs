//! `callferry receipt-key`: the key that custody receipts are signed with.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use custody::{KeyFile, PublicKey, ReceiptKeys};
use serde_json::json;

use super::Context;
use crate::failure::Failure;
use crate::wiring::{self, key_failure};

/// What can be done with the key.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  callferry receipt-key new /etc/callferry/receipt-key
  callferry receipt-key show
  callferry receipt-key rotate
  callferry receipt-key export-public > receipt-keys.json")]
pub(crate) enum ReceiptKeyCommand {
    /// Make a new key, in a file that only its owner may read; a file that is there is never
    /// overwritten
    #[command(after_help = "\
Examples:
  callferry receipt-key new /etc/callferry/receipt-key
  callferry receipt-key new /etc/callferry/receipt-key --json

Transfer and housekeeping need the file: CALLFERRY_RECEIPT_KEY_FILE. Playback publishes its public
half, and needs no more than what `receipt-key export-public` prints.")]
    New(NewArgs),
    /// List the keys: which one signs, which ones did
    #[command(after_help = "\
Examples:
  callferry receipt-key show
  callferry receipt-key show --json")]
    Show(ShowArgs),
    /// Sign with a new key from now on, while the fleet runs; what older ones signed stays valid
    #[command(after_help = "\
Examples:
  callferry receipt-key rotate --prepare
  callferry receipt-key rotate
  callferry receipt-key rotate --json

First `rotate --prepare`, and five minutes later `rotate`: whoever fetched the published keys may
keep the older answer for so long. Where processes see copies, or public keys are handed out by
hand, hand file and public keys out in between, and the file again at the end. Processes that see
this very file need no restart: they read it again when it has changed. The private half of the
older key is thrown away, its public half stays in the file and published.")]
    Rotate(RotateArgs),
    /// Print the public keys, for whoever verifies or publishes them: a JSON Web Key Set, or PEM
    #[command(after_help = "\
Examples:
  callferry receipt-key export-public > receipt-keys.json
  callferry receipt-key export-public --format pem")]
    ExportPublic(ExportArgs),
}

/// `receipt-key new`.
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// The file to make
    file: PathBuf,
}

/// `receipt-key show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {}

/// `receipt-key rotate`.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// Only add a new key that is published and does not sign yet; the next `rotate` lets it sign
    #[arg(long)]
    prepare: bool,
}

/// `receipt-key export-public`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Jwks)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A JSON Web Key Set, as `GET /v1/receipt-keys` answers
    Jwks,
    /// One PEM block for each key, the one that signs first
    Pem,
}

pub(super) fn execute(command: &ReceiptKeyCommand, context: &Context) -> Result<()> {
    match command {
        ReceiptKeyCommand::New(args) => new(args, context),
        ReceiptKeyCommand::Show(ShowArgs {}) => show(context),
        ReceiptKeyCommand::Rotate(args) => rotate(args, context),
        ReceiptKeyCommand::ExportPublic(args) => export(args, context),
    }
}

/// The file that is configured.
fn configured(context: &Context) -> Result<&Path> {
    let file = context.config.receipt_key_file.as_deref();
    file.ok_or_else(|| {
        Failure::usage("`receipt_key_file` is not configured")
            .hint("set CALLFERRY_RECEIPT_KEY_FILE; `callferry receipt-key new FILE` makes one")
            .into()
    })
}

/// The keys that are configured.
pub(super) fn keys(context: &Context) -> Result<ReceiptKeys> {
    ReceiptKeys::load(configured(context)?).map_err(key_failure)
}

fn new(args: &NewArgs, context: &Context) -> Result<()> {
    let file = &args.file;
    let key_id = KeyFile::make(file, wiring::clock().now()).map_err(key_failure)?;
    let in_use = context.config.receipt_key_file.as_deref() == Some(file.as_path());
    let answer = json!({ "file": file, "key_id": key_id, "configured": in_use });
    context.output.answer(&answer, |_| {
        let then = if in_use {
            "processes sign with it from their next start"
        } else {
            "set CALLFERRY_RECEIPT_KEY_FILE to it for transfer and housekeeping, and to what \
             `receipt-key export-public` prints for playback"
        };
        format!("{} holds key {key_id}; {then}.", file.display())
    })
}

fn show(context: &Context) -> Result<()> {
    let columns = ["key_id", "standing", "made_at", "retired_at"];
    let views = keys(context)?.views();
    context.output.list(&views, &columns, "No keys.")
}

fn rotate(args: &RotateArgs, context: &Context) -> Result<()> {
    let file = KeyFile::lock(configured(context)?).map_err(key_failure)?;
    let now = wiring::clock().now();
    if args.prepare {
        let prepared = file.prepare(now).map_err(key_failure)?;
        let signs = keys(context)?.signing_id();
        let answer = json!({ "prepared": prepared, "key_id": signs });
        return context.output.answer(&answer, |_| {
            format!(
                "{prepared} is published with the others and does not sign yet. Hand the file and \
                 the public keys out where processes see copies, and in five minutes or later run \
                 `callferry receipt-key rotate`."
            )
        });
    }
    let turned = file.turn(now).map_err(key_failure)?;
    let answer = json!({ "key_id": turned.current, "previous": turned.previous });
    context.output.answer(&answer, |_| {
        format!(
            "{} signs from now on, after {}, whose public half stays published.",
            turned.current, turned.previous
        )
    })
}

fn export(args: &ExportArgs, context: &Context) -> Result<()> {
    let public = keys(context)?.public();
    let set = PublicKey::set(&public);
    match args.format {
        Format::Jwks => context.output.answer(&set, |set| format!("{set:#}")),
        Format::Pem => {
            let blocks: String = public.iter().map(PublicKey::pem).collect();
            context.output.answer(&json!(blocks), |_| blocks.clone())
        }
    }
}
