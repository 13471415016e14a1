//! `callferry destination`.

pub(crate) mod azure;
mod check;
pub(crate) mod prefix;
pub(crate) mod s3;
pub(crate) mod shown;

use std::str::FromStr;

use anyhow::Result;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use recording::{AccountId, DestinationOwner, MalformedId, Store};

use super::Context;
use crate::administration::destinations::{self, Held};
use crate::config::Config;
use crate::endpoint;
use crate::output::listed;
use crate::wiring::{self, admin_failure};

/// What can be done with destinations.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  callferry destination set acme s3 --bucket acme-calls \\
      --region eu-central-1 \\
      --role-arn arn:aws:iam::123456789012:role/callferry
  callferry destination check acme
  callferry destination show acme
  callferry destination list --json")]
pub(crate) enum DestinationCommand {
    /// Set the destination of an account, or the platform's own for accounts without one: checked
    /// first, as `destination check` does, and refused where nothing could be stored
    #[command(after_help = "\
Examples:
  callferry destination set acme s3 --bucket acme-calls \\
      --region eu-central-1 \\
      --role-arn arn:aws:iam::123456789012:role/callferry
  callferry destination set beta azure --storage-account betacalls \\
      --container calls --sas-token-file /run/secrets/beta-sas
  callferry destination set default s3 --bucket our-calls \\
      --region eu-central-1 --expected-owner 123456789012

The check runs as this machine's own AWS identity: run it where the fleet runs, or as the fleet.")]
    Set(Box<SetArgs>),
    /// List every revision, oldest first, with how many recordings it holds
    #[command(after_help = "\
Examples:
  callferry destination list
  callferry destination list acme --json

Staged, parked and stored are exact. Released ones are counted for a single account, up to 100000;
a + says that there are more. A revision with none at all is needed no more.")]
    List(ListArgs),
    /// Show the destination in force
    #[command(after_help = "\
Examples:
  callferry destination show acme
  callferry destination show default --json")]
    Show(ShowArgs),
    /// Try out all that the fleet does at a destination, and say what is missing and what to do
    #[command(after_help = "\
Examples:
  callferry destination check acme
  callferry destination check default --json
  callferry destination check acme --revision 7

Puts, reads and deletes small objects below callferry-check/ in the destination's own prefix, with
the very sessions that the fleet uses: as this machine's own AWS identity, so run it where the
fleet runs. What was found is kept in the ledger and shown by `destination show`.

Exit code 0 only if recordings can be stored there; what else somebody should look at is said.")]
    Check(check::CheckArgs),
}

/// Whose destination: an account's id, or `default`.
#[derive(Debug, Clone)]
pub(crate) struct Owner(pub(in crate::cli) DestinationOwner);

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
    /// Set it whatever the check finds. That is kept in the ledger with what was found
    #[arg(long, global = true)]
    force: bool,
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
      --kms-key alias/recordings --bucket-key --tag team=sales --tag kind=calls
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
  callferry destination set gamma azure --storage-account gammacalls \\
      --container calls --federated --tenant-id gamma.example \\
      --client-id 00001111-aaaa-2222-bbbb-3333cccc4444
  callferry destination set default azure --storage-account ourcalls \\
      --container calls --managed-identity

Secrets are read from files, or from standard input where the file is `-`, and kept encrypted:
set CALLFERRY_KEYRING_FILE first (callferry keyring new FILE). With --federated and with
--managed-identity there is no secret.")]
    Azure(azure::AzureArgs),
}

impl Kind {
    /// The store, if every word of it is sound.
    pub(crate) fn check(
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

    /// From when on, where that is said.
    pub(crate) fn in_force_from(&self) -> Option<DateTime<Utc>> {
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
        DestinationCommand::Show(args) => show(args, context).await,
        DestinationCommand::Check(args) => check::execute(args, context).await,
    }
}

async fn show(args: ShowArgs, context: &Context) -> Result<()> {
    let ledger = context.ledger().await?;
    let view = ledger.show_destination(&args.owner.0).await;
    let view = view.map_err(admin_failure)?;
    let shown = destinations::seen(&ledger, &view, wiring::clock().now()).await;
    let shown = shown.map_err(admin_failure)??;
    context.output.answer(&shown, |shown| {
        let mut fields = shown.clone();
        if let Some(fields) = fields.as_object_mut() {
            // Told below, all of it.
            fields.remove("last_check");
            fields.remove("findings");
        }
        let mut text = listed(&fields);
        text.push_str(&check::remembered(view.last_check.as_ref()));
        text
    })
}

async fn set(args: SetArgs, context: &Context) -> Result<()> {
    let (owner, now) = (args.owner.0, wiring::clock().now());
    // The words first: nothing is asked of anybody for a destination that cannot be.
    let store = args.kind.check(&owner, &context.config, now)?;
    endpoint::resolves_well(&store, &context.config).await?;
    let ledger = context.ledger().await?;
    let planned = ledger.plan_destination(&owner, &store).await;
    let planned = planned.map_err(admin_failure)?;
    let approval = check::approval(&planned, args.force, &ledger, context).await?;
    let set = ledger.set_destination(&owner, &store, args.kind.in_force_from(), &approval);
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
    let only = match owners.as_slice() {
        [only] => Some(only),
        _ => None,
    };
    let held = Held::count(&ledger, only).await.map_err(admin_failure)?;
    let mut revisions = Vec::new();
    for owner in &owners {
        let listed = destinations::listed(&ledger, owner, &held, now).await;
        revisions.extend(listed.map_err(admin_failure)??);
    }
    let columns = [
        "revision",
        "owner",
        "location",
        "prefix",
        "in_force_from",
        "health",
        "since",
        "reason",
        "secret_expires_at",
        "holds",
    ];
    context
        .output
        .list(&revisions, &columns, "No destinations.")
}
