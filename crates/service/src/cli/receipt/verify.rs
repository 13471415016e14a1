//! `callferry receipt verify`: who states what of which copy, and whether it is true that they do.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use custody::{Receipt, TrustedKeys, found_in};
use recording::{Sha256, Statement};
use serde_json::{Value, json};

use super::file::{digest, document};
use crate::cli::Context;
use crate::failure::Failure;
use crate::output::listed;

/// `receipt verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The receipt, or the event that carries it; - is standard input
    receipt: PathBuf,
    /// The public keys: a JSON Web Key Set, a JSON Web Key, or PEM
    #[arg(long, value_name = "FILE")]
    public_key: PathBuf,
    /// The recording, whose size and SHA-256 must be those that are stated
    #[arg(long, value_name = "RECORDING")]
    file: Option<PathBuf>,
}

pub(super) fn execute(args: &VerifyArgs, context: &Context) -> Result<()> {
    let keys = trusted(args)?;
    let bytes = document("the receipt", &args.receipt)?;
    // Everything that was named is read before anything is answered.
    let found = args.file.as_deref().map(digest).transpose()?;
    let judged = found_in(&bytes, &keys).map_err(|invalid| invalid.to_string());
    let judged = judged.and_then(|receipt| match found {
        Some(found) => same_bytes(&receipt, found).map(|()| receipt),
        None => Ok(receipt),
    });
    match judged {
        Ok(receipt) => context
            .output
            .answer(&answer(&receipt, found.is_some())?, told),
        Err(why) => {
            if context.output.json {
                let answer = json!({ "valid": false, "why": why });
                context.output.answer(&answer, |_| String::new())?;
            }
            Err(Failure::failed(format!("not valid: {why}"))
                .hint(
                    "the key must be the operator's own, as GET /v1/receipt-keys answers; a \
                     receipt that was changed on its way can be had again from the queue's other \
                     readers",
                )
                .into())
        }
    }
}

fn trusted(args: &VerifyArgs) -> Result<TrustedKeys> {
    let hint = "take the public keys from GET /v1/receipt-keys or `callferry receipt keys --json`";
    let refuse = |why: &str| {
        Failure::usage(format!(
            "`--public-key` {} {why}",
            args.public_key.display()
        ))
        .hint(hint)
    };
    if args.public_key.as_os_str() == "-" {
        return Err(refuse("must be a file: standard input may be the receipt").into());
    }
    let bytes = document("`--public-key`", &args.public_key)?;
    let text = String::from_utf8(bytes).map_err(|_| refuse("is not UTF-8"))?;
    Ok(TrustedKeys::read(&text).map_err(|why| refuse(&why))?)
}

/// Whether the recording is the one that is stated.
fn same_bytes(receipt: &Receipt, (size, sha256): (u64, Sha256)) -> Result<(), String> {
    let (stated_size, stated_sha256) = match &receipt.statement {
        Statement::Stored(it) => (it.size_bytes, it.sha256),
        Statement::Expired(it) => (it.size_bytes, it.sha256),
    };
    if size != stated_size {
        return Err(format!(
            "the recording has {size} bytes, the receipt states {stated_size}"
        ));
    }
    if sha256 != stated_sha256 {
        return Err(format!(
            "the recording's SHA-256 is {sha256}, the receipt states {stated_sha256}"
        ));
    }
    Ok(())
}

fn answer(receipt: &Receipt, compared: bool) -> Result<Value> {
    let statement = serde_json::to_value(&receipt.statement)?;
    Ok(json!({
        "valid": true,
        "key_id": receipt.key_id,
        "recording_compared": compared,
        "statement": statement,
    }))
}

fn told(answer: &Value) -> String {
    let statement = answer.get("statement").cloned().unwrap_or_default();
    let word = |name: &str| statement.get(name).and_then(Value::as_str).unwrap_or("-");
    let what = if word("statement") == "recording.expired.v1" {
        format!("was deleted and found gone at {}", word("expired_at"))
    } else {
        format!("was there and proven at {}", word("stored_at"))
    };
    let compared = if answer.get("recording_compared") == Some(&Value::Bool(true)) {
        " The recording has the size and the SHA-256 that are stated."
    } else {
        ""
    };
    let text = format!(
        "Valid: the copy of {}/{} {what}.{compared}\n\n",
        word("account_id"),
        word("recording_id"),
    );
    let key_id = answer.get("key_id").cloned().unwrap_or_default();
    crate::output::harmless(&text) + &listed(&json!({ "signed by": key_id })) + &listed(&statement)
}
