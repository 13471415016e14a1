//! `callferry setup-kit`: what a customer's administrator applies, so that we may use a bucket or
//! container. It says exactly what the fleet uses, and why.

mod asked;
mod principal;
mod written;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::Context;
use super::destination::Owner;
use crate::kit::Kit;

/// `setup-kit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callferry setup-kit acme --format iam --bucket acme-calls \\
      --region eu-central-1 --out acme-kit
  callferry setup-kit acme --format cloudformation --bucket acme-calls \\
      --region eu-central-1 --create-bucket --with playback,retention \\
      --out acme-kit
  callferry setup-kit beta --format azure-cli \\
      --storage-account betacalls --container calls --out beta-kit
  callferry setup-kit gamma --format azure-cli \\
      --storage-account gammacalls --container calls --federated \\
      --issuer https://oidc.example.com/cluster \\
      --subject system:serviceaccount:callferry:callferry-transfer \\
      --out gamma-kit
  callferry setup-kit acme --format terraform --json

For an account that has a destination, what is not said is what is in force there, so that the kit
can be made again. Next: the customer's administrator applies it, then callferry destination set,
then callferry destination check.")]
pub(crate) struct SetupKitArgs {
    /// The account's id, or `default` for the platform's own
    #[arg(value_name = "ACCOUNT|default")]
    owner: Owner,
    /// What the administrator works with: the first three are for AWS, the others for Azure
    #[arg(long, value_enum)]
    format: Format,
    /// What else than storing is wanted
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    with: Vec<Extra>,
    /// The folder to write the files to, which is made; without it all of it is shown
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Overwrite files that are there
    #[arg(long, requires = "out")]
    force: bool,
    /// What leads every key
    #[arg(long)]
    prefix: Option<String>,
    /// Where the store is not AWS's or Azure's own: its URL, as for `destination set`
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Make the bucket or container too: private, encrypted, without leftovers of uploads
    #[arg(long, alias = "create-container")]
    create_bucket: bool,
    /// The bucket's name
    #[arg(long, help_heading = "AWS")]
    bucket: Option<String>,
    /// The bucket's region
    #[arg(long, help_heading = "AWS")]
    region: Option<String>,
    /// The KMS key that objects are encrypted under: its ARN
    #[arg(long, value_name = "ARN", help_heading = "AWS")]
    kms_key: Option<String>,
    /// The customer's AWS account, 12 digits, for the role's ARN in what is run next
    #[arg(long, value_name = "ACCOUNT", help_heading = "AWS")]
    aws_account: Option<String>,
    /// What the role is to be called; by default `callferry-ACCOUNT`
    #[arg(long, value_name = "NAME", help_heading = "AWS")]
    role_name: Option<String>,
    /// Our identity, which the role will trust, repeated where transfer, cleanup, housekeeping,
    /// playback and the operator have identities of their own; by default
    /// `CALLFERRY_AWS_PRINCIPAL`, or else what STS says of us
    #[arg(long, value_name = "ARN", value_delimiter = ',', help_heading = "AWS")]
    principal: Vec<String>,
    /// The storage account's name
    #[arg(long, value_name = "NAME", help_heading = "Azure")]
    storage_account: Option<String>,
    /// The container's name
    #[arg(long, value_name = "NAME", help_heading = "Azure")]
    container: Option<String>,
    /// Make an application without a secret, which trusts our workload's own token
    #[arg(long, requires_all = ["issuer", "subject"], help_heading = "Azure")]
    federated: bool,
    /// Who issues that token: its `iss`, an https address
    #[arg(
        long,
        value_name = "URL",
        requires = "federated",
        help_heading = "Azure"
    )]
    issuer: Option<String>,
    /// Whose token it is: its `sub`, repeated where transfer, cleanup, housekeeping, playback and
    /// the operator are somebody each
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        requires = "federated",
        help_heading = "Azure"
    )]
    subject: Vec<String>,
}

/// What the administrator works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// JSON documents and a script for the AWS command line
    Iam,
    /// A `CloudFormation` template
    Cloudformation,
    /// A Terraform module
    Terraform,
    /// A script for the Azure command line
    AzureCli,
    /// A Bicep file
    Bicep,
}

impl Format {
    fn as_str(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::Cloudformation => "cloudformation",
            Self::Terraform => "terraform",
            Self::AzureCli => "azure-cli",
            Self::Bicep => "bicep",
        }
    }
}

/// What else than storing is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Extra {
    /// Signing URLs that play recordings
    Playback,
    /// Deleting recordings when their retention has ended
    Retention,
    /// Tagging recordings (AWS)
    Tags,
    /// Giving recordings to the owner of a bucket that has access lists (AWS)
    OwnerControl,
}

/// A kit, and who it is for and by.
struct Made {
    kit: Kit,
    /// Whom the role trusts, on AWS.
    principals: Option<principal::Principals>,
    /// What the role must be asked with, on AWS.
    external_id: Option<String>,
    /// The role's ARN, where the customer's AWS account is known.
    role_arn: Option<String>,
}

pub(super) async fn execute(args: &SetupKitArgs, context: &Context) -> Result<()> {
    let made = match args.format {
        Format::Iam | Format::Cloudformation | Format::Terraform => {
            asked::aws(args, context).await?
        }
        Format::AzureCli | Format::Bicep => asked::azure(args, context).await?,
    };
    if let Some(folder) = &args.out {
        written::files(&made.kit, folder, args.force)?;
    }
    written::answer(args, &made, context)
}
