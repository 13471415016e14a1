//! `callferry status`.

use anyhow::Result;
use clap::Args;

use super::Context;
use crate::wiring::admin_failure;

/// Say how much is where: recordings by state, what is parked or refused release by reason, what is
/// due or waits for a person, the oldest that is not through, and quarantine by reason
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callferry status
  callferry status --json")]
pub(crate) struct StatusArgs {}

pub(super) async fn execute(StatusArgs {}: StatusArgs, context: &Context) -> Result<()> {
    let status = context.ledger().await?.status().await;
    context.output.one(&status.map_err(admin_failure)?)
}
