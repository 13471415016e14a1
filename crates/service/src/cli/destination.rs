//! `callferry destination`.

mod s3;

use std::str::FromStr;

use anyhow::Result;
use clap::{Args, Subcommand};
use recording::{AccountId, DestinationOwner, MalformedId};

use super::Context;
use crate::wiring::admin_failure;

/// What can be done with destinations.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  callferry destination set acme s3 --bucket acme-calls \\
      --region eu-central-1 \\
      --role-arn arn:aws:iam::123456789012:role/callferry
  callferry destination show acme
  callferry destination list --json")]
pub(crate) enum DestinationCommand {
    /// Set the destination of an account, or the platform's own for accounts without one
    #[command(after_help = "\
Examples:
  callferry destination set acme s3 --bucket acme-calls \\
      --region eu-central-1 \\
      --role-arn arn:aws:iam::123456789012:role/callferry
  callferry destination set default s3 --bucket our-calls \\
      --region eu-central-1 --expected-owner 123456789012")]
    Set(Box<SetArgs>),
    /// List every revision, oldest first
    #[command(after_help = "\
Examples:
  callferry destination list
  callferry destination list acme --json")]
    List(ListArgs),
    /// Show the destination in force
    #[command(after_help = "\
Examples:
  callferry destination show acme
  callferry destination show default --json")]
    Show(ShowArgs),
}

/// Whose destination: an account's id, or `default`.
#[derive(Debug, Clone)]
pub(crate) struct Owner(DestinationOwner);

impl FromStr for Owner {
    type Err = MalformedId;
    fn from_str(text: &str) -> Result<Self, MalformedId> {
        if text == "default" {
            return Ok(Self(DestinationOwner::Default));
        }
        text.parse::<AccountId>()
            .map(|account| Self(DestinationOwner::Account(account)))
    }
}

/// `destination set`.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The account's id, or `default` for the platform's own
    #[arg(value_name = "ACCOUNT|default")]
    owner: Owner,
    #[command(subcommand)]
    kind: Kind,
}

/// The kinds of destination.
#[derive(Debug, Subcommand)]
pub(crate) enum Kind {
    /// A bucket on S3, or on a server that is compatible with it
    #[command(after_help = "\
Examples:
  callferry destination set acme s3 --bucket acme-calls \\
      --region eu-central-1 \\
      --role-arn arn:aws:iam::123456789012:role/callferry --prefix calls \\
      --kms-key alias/recordings
  callferry destination set beta s3 --bucket beta --region us-east-1 \\
      --role-arn arn:aws:iam::210987654321:role/x \\
      --endpoint https://s3.beta.example:9000")]
    S3(s3::S3Args),
}

/// `destination list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only this owner's: an account's id, or `default`
    #[arg(value_name = "ACCOUNT|default")]
    owner: Option<Owner>,
}

/// `destination show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The account's id, or `default`
    #[arg(value_name = "ACCOUNT|default")]
    owner: Owner,
}

pub(super) async fn execute(command: DestinationCommand, context: &Context) -> Result<()> {
    match command {
        DestinationCommand::Set(args) => set(*args, context).await,
        DestinationCommand::List(args) => list(args, context).await,
        DestinationCommand::Show(args) => {
            let ledger = context.ledger().await?;
            let shown = ledger.show_destination(&args.owner.0).await;
            context.output.one(&shown.map_err(admin_failure)?)
        }
    }
}

async fn set(args: SetArgs, context: &Context) -> Result<()> {
    let owner = args.owner.0;
    let Kind::S3(s3) = args.kind;
    // The words first: nothing is asked of anybody for a destination that cannot be.
    let bucket = s3.check(&owner, &context.config)?;
    let ledger = context.ledger().await?;
    let set = ledger.set_destination(&owner, &bucket, s3.in_force_from);
    let set = set.await.map_err(admin_failure)?;
    context.output.answer(&set, |set| {
        let since = set
            .in_force_from
            .map_or_else(|| "the beginning".to_owned(), |from| from.to_rfc3339());
        let pinned = match set.recordings_pinned {
            None | Some(0) => String::new(),
            Some(some) => format!(" {some} recordings that waited for it go on."),
        };
        format!(
            "Revision {} of {}: s3://{}/{}, in force from {since}.{pinned}",
            set.revision, set.owner, set.s3.bucket, set.s3.prefix
        )
    })
}

async fn list(args: ListArgs, context: &Context) -> Result<()> {
    let ledger = context.ledger().await?;
    let owners = match args.owner {
        Some(Owner(owner)) => vec![owner],
        None => {
            let accounts = ledger.list_accounts().await.map_err(admin_failure)?;
            let accounts = accounts.into_iter().map(|view| view.account_id);
            let mut owners = vec![DestinationOwner::Default];
            owners.extend(accounts.map(DestinationOwner::Account));
            owners
        }
    };
    let mut revisions = Vec::new();
    for owner in &owners {
        let of_owner = ledger.list_destinations(owner).await;
        revisions.extend(of_owner.map_err(admin_failure)?);
    }
    let columns = [
        "revision",
        "owner",
        "bucket",
        "prefix",
        "region",
        "role_arn",
        "in_force_from",
    ];
    context
        .output
        .list(&revisions, &columns, "No destinations.")
}
