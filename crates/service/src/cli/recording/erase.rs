//! `callferry recording erase`: the intent, which cleanup and housekeeping carry out.

use anyhow::Result;
use catalog::ErasureView;
use clap::Args;
use recording::{AccountId, RecordingId, State};

use super::super::Context;
use crate::wiring::admin_failure;

/// `recording erase`.
#[derive(Debug, Args)]
pub(crate) struct EraseArgs {
    /// The account
    #[arg(long)]
    account: AccountId,
    /// The recording's id
    id: RecordingId,
    /// Why: kept for ever, so without the personal words that are to go
    #[arg(long)]
    why: String,
    /// Who asks: kept for ever
    #[arg(long, value_name = "NAME")]
    by: String,
}

pub(super) async fn execute(args: EraseArgs, context: &Context) -> Result<()> {
    let ledger = context.ledger().await?;
    let said = (args.by.as_str(), args.why.as_str());
    let asked = ledger.erase_recording(&args.account, &args.id, said).await;
    context.output.answer(&asked.map_err(admin_failure)?, told)
}

fn told(erasure: &ErasureView) -> String {
    let (account, id) = (&erasure.account_id, &erasure.recording_id);
    if let Some(at) = erasure.erased_at {
        return format!("{account}/{id} was erased at {}.", at.to_rfc3339());
    }
    if let Some(hold) = erasure.held_by {
        return format!(
            "The erasure of {account}/{id} is asked for, and waits: legal hold {hold} is on it."
        );
    }
    let next = match erasure.state {
        State::Staged | State::Parked => {
            "Cleanup deletes its original from staging as soon as nobody works on it, and \
             housekeeping whatever of it may lie in the bucket"
        }
        State::Stored => {
            "Its original is about to be released; where that is refused, cleanup deletes it. \
             Housekeeping deletes the copy right after"
        }
        State::Released | State::Expired => "Housekeeping deletes its copy now",
    };
    format!(
        "The erasure of {account}/{id} is asked for. {next}; `callferry recording show` says when \
         it is done."
    )
}
