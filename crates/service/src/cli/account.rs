//! `callferry account`.

use anyhow::Result;
use clap::{Args, Subcommand};
use recording::AccountId;

use super::Context;
use crate::administration::accounts;
use crate::wiring::admin_failure;

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  callferry account create acme --name 'Acme'
  callferry account show acme --json
  callferry account list")]
pub(crate) enum AccountCommand {
    /// Create an account; its external id is minted here and never changes
    #[command(after_help = "\
Examples:
  callferry account create acme
  callferry account create acme --name 'Acme' --json")]
    Create(CreateArgs),
    /// List every account
    #[command(after_help = "\
Examples:
  callferry account list
  callferry account list --json")]
    List,
    /// Show one account with its external id
    #[command(after_help = "\
Examples:
  callferry account show acme
  callferry account show acme --json")]
    Show(ShowArgs),
}

/// `account create`.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The account's id, as events name it
    account: AccountId,
    /// What people call it
    #[arg(long)]
    name: Option<String>,
}

/// `account show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The account's id
    account: AccountId,
}

pub(super) async fn execute(command: AccountCommand, context: &Context) -> Result<()> {
    match command {
        AccountCommand::Create(args) => create(args, context).await,
        AccountCommand::List => {
            let accounts = context.ledger().await?.list_accounts().await;
            let columns = ["account_id", "name", "external_id", "created_at"];
            context
                .output
                .list(&accounts.map_err(admin_failure)?, &columns, "No accounts.")
        }
        AccountCommand::Show(args) => {
            let shown = context.ledger().await?.show_account(&args.account).await;
            context.output.one(&shown.map_err(admin_failure)?)
        }
    }
}

async fn create(args: CreateArgs, context: &Context) -> Result<()> {
    accounts::check(&args.account, args.name.as_deref())?;
    let ledger = context.ledger().await?;
    let name = args.name.as_deref();
    let created = ledger.create_account(&args.account, name).await;
    let created = created.map_err(admin_failure)?;
    context.output.answer(&created, |created| {
        let waiting = match created.waiting_in_quarantine {
            0 => String::new(),
            some => format!("\n{some} messages that named it wait in quarantine and return now."),
        };
        format!(
            "Account {} is created. Its role must ask for the external id {}{waiting}",
            created.account_id, created.external_id
        )
    })
}
