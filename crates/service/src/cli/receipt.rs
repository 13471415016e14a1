//! `callferry receipt`: custody receipts, as whoever was given one looks at them.

mod file;
mod verify;

use anyhow::Result;
use clap::{Args, Subcommand};
use custody::PublicKey;

use super::{Context, receipt_key};
use crate::output::tabular;

/// What can be done with receipts.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  callferry receipt verify stored.json --public-key receipt-keys.json
  callferry receipt verify stored.json --public-key receipt-keys.json --file rec-7f3a.wav
  callferry receipt keys --json")]
pub(crate) enum ReceiptCommand {
    /// Verify a receipt, or the event that carries it, with a public key and nothing else; with
    /// `--file` the recording's bytes too. Ends with 0 if it is valid, 1 if it is not, 2 if what
    /// was named cannot be read
    #[command(after_help = "\
Examples:
  callferry receipt verify stored.json --public-key receipt-keys.json
  callferry receipt verify receipt.txt --public-key key.pem --file rec-7f3a.wav --json
  callferry receipt verify - --public-key receipt-keys.json

The public keys are what GET /v1/receipt-keys answers, a single JSON Web Key, or PEM. Take them
from the operator once and keep them: keys that come along with a receipt prove nothing.")]
    Verify(verify::VerifyArgs),
    /// List the public keys that receipts are verified with; in JSON the set that is published
    #[command(after_help = "\
Examples:
  callferry receipt keys
  callferry receipt keys --json > receipt-keys.json")]
    Keys(KeysArgs),
}

/// `receipt keys`.
#[derive(Debug, Args)]
pub(crate) struct KeysArgs {}

pub(super) fn execute(command: &ReceiptCommand, context: &Context) -> Result<()> {
    match command {
        ReceiptCommand::Verify(args) => verify::execute(args, context),
        ReceiptCommand::Keys(KeysArgs {}) => keys(context),
    }
}

fn keys(context: &Context) -> Result<()> {
    let set = PublicKey::set(&receipt_key::keys(context)?.public());
    let columns = ["kid", "kty", "crv", "x"];
    let listed = |set: &serde_json::Value| {
        let keys = set.get("keys").cloned().unwrap_or_default();
        tabular(&keys, &columns, "No keys.")
    };
    context.output.answer(&set, listed)
}
