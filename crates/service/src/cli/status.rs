//! `callferry status`: how much is where and since when, as an operator asks at three in the
//! morning. An answer is an answer, however bad: the exit code is 0.

mod shown;

use anyhow::Result;
use clap::Args;
use recording::Ledger;

use super::Context;
use crate::administration::status::{answer, receipts};
use crate::wiring::{admin_failure, ledger_failure};
use shown::Status;

/// Say how much is where and since when: recordings by state, what is parked or refused release by
/// reason, unhealthy destinations, what is due, suspected or waits for a person, quarantine by
/// reason, and the accounts with most open recordings
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callferry status
  callferry status --json

Ages are in seconds in the JSON (`oldest_s`); `callferry parked list` and
`callferry quarantine list` show what is behind the numbers.")]
pub(crate) struct StatusArgs {}

pub(super) async fn execute(StatusArgs {}: StatusArgs, context: &Context) -> Result<()> {
    let ledger = context.ledger().await?;
    let counts = ledger.status().await.map_err(admin_failure)?;
    let open = ledger.reading().await.map_err(ledger_failure)?;
    let receipts = receipts(&context.config);
    let answer = answer(&counts, &open, &receipts)?;
    let status = Status {
        counts,
        open,
        receipts,
    };
    context.output.answer(&answer, |_| status.text())
}
