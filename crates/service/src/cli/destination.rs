//! `callferry destination`.

pub(crate) mod azure;
mod prefix;
mod s3;
mod shown;

use std::str::FromStr;

use anyhow::Result;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use recording::{AccountId, DestinationOwner, MalformedId, Store};

use super::Context;
use crate::config::Config;
use crate::wiring::{self, admin_failure};

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
  callferry destination set beta azure --storage-account betacalls \\
      --container calls --sas-token-file /run/secrets/beta-sas
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
    /// A container on Azure Blob Storage
    #[command(after_help = "\
Examples:
  callferry destination set acme azure --storage-account acmecalls \\
      --container calls --prefix eu \\
      --tenant-id 72f988bf-86f1-41af-91ab-2d7cd011db47 \\
      --client-id 00001111-aaaa-2222-bbbb-3333cccc4444 \\
      --client-secret-file /run/secrets/acme-client-secret
  callferry destination set beta azure --storage-account betacalls \\
      --container calls --sas-token-file /run/secrets/beta-sas
  callferry destination set default azure --storage-account ourcalls \\
      --container calls --access-key-file -

Secrets are read from files, or from standard input where the file is `-`, and kept encrypted:
set CALLFERRY_KEYRING_FILE first (callferry keyring new FILE).")]
    Azure(azure::AzureArgs),
}

impl Kind {
    /// The store, if every word of it is sound.
    fn check(
        &self,
        owner: &DestinationOwner,
        config: &Config,
        now: DateTime<Utc>,
    ) -> Result<Store> {
        match self {
            Self::S3(s3) => Ok(Store::S3(s3.check(owner, config)?)),
            Self::Azure(azure) => Ok(Store::Azure(azure.check(config, now)?)),
        }
    }

    fn in_force_from(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::S3(s3) => s3.in_force_from,
            Self::Azure(azure) => azure.in_force_from,
        }
    }
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
            let view = ledger.show_destination(&args.owner.0).await;
            let view = view.map_err(admin_failure)?;
            context
                .output
                .one(&shown::shown(&view, wiring::clock().now())?)
        }
    }
}

async fn set(args: SetArgs, context: &Context) -> Result<()> {
    let (owner, now) = (args.owner.0, wiring::clock().now());
    // The words first: nothing is asked of anybody for a destination that cannot be.
    let store = args.kind.check(&owner, &context.config, now)?;
    let ledger = context.ledger().await?;
    let set = ledger.set_destination(&owner, &store, args.kind.in_force_from());
    let set = set.await.map_err(admin_failure)?;
    let answer = shown::shown(&set, now)?;
    context
        .output
        .answer(&answer, |_| shown::sentence(&set, now))
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
    let now = wiring::clock().now();
    let mut revisions = Vec::new();
    for owner in &owners {
        let of_owner = ledger.list_destinations(owner).await;
        for view in of_owner.map_err(admin_failure)? {
            revisions.push(shown::shown(&view, now)?);
        }
    }
    let columns = [
        "revision",
        "owner",
        "location",
        "prefix",
        "in_force_from",
        "sas_expires_at",
    ];
    context
        .output
        .list(&revisions, &columns, "No destinations.")
}
