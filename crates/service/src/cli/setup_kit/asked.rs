//! What the kit is to say: what was said on the command line, and what is in force for the owner
//! where nothing was. What is missing is asked for by name.

use anyhow::Result;
use catalog::{AdminFault, Catalog, DestinationView};
use recording::{AzureContainer, DestinationOwner, Need, S3Bucket, Store, When};

use super::super::Context;
use super::super::destination::{azure, prefix, s3};
use super::{Extra, Format, Made, SetupKitArgs, principal};
use crate::endpoint;
use crate::failure::Failure;
use crate::kit::{self, AwsKit, AzureKit, Partition, RoleName};
use crate::wiring::admin_failure;

/// The longest name of a role.
const ROLE_NAME_MAX: usize = 64;

fn missing(option: &str, example: &str) -> anyhow::Error {
    Failure::usage(format!("{option} is missing"))
        .hint(format!(
            "the owner has no such destination yet: as in {option} {example}"
        ))
        .into()
}

/// Refuses what belongs to the other cloud.
fn refuse(format: Format, options: &[(&str, bool)], instead: &str) -> Result<()> {
    let Some((option, _)) = options.iter().find(|(_, said)| *said) else {
        return Ok(());
    };
    let why = format!("{option} has no meaning with --format {}", format.as_str());
    Err(Failure::usage(why).hint(instead).into())
}

impl SetupKitArgs {
    fn wants(&self, extra: Extra) -> bool {
        self.with.contains(&extra)
    }

    /// What else than storing is wanted.
    fn needs(&self) -> Vec<Need> {
        let needs = [
            (Extra::Playback, Need::Playback),
            (Extra::Retention, Need::Retention),
        ];
        let wanted = needs.into_iter().filter(|(extra, _)| self.wants(*extra));
        wanted.map(|(_, need)| need).collect()
    }

    fn owner(&self) -> &DestinationOwner {
        &self.owner.0
    }
}

/// The owner's own destination in force, if it has one.
async fn in_force(ledger: &Catalog, owner: &DestinationOwner) -> Result<Option<DestinationView>> {
    match ledger.show_destination(owner).await {
        // What an account without one of its own uses is the platform's.
        Ok(view) => Ok((view.owner == *owner).then_some(view)),
        Err(AdminFault::NotFound { .. }) => Ok(None),
        Err(fault) => Err(admin_failure(fault)),
    }
}

/// A kit for AWS.
pub(super) async fn aws(args: &SetupKitArgs, context: &Context) -> Result<Made> {
    let azures = [
        ("--storage-account", args.storage_account.is_some()),
        ("--container", args.container.is_some()),
    ];
    refuse(
        args.format,
        &azures,
        "on AWS it is --bucket and --region; for Azure: --format azure-cli or bicep",
    )?;
    let words = Words::check(args, context)?;
    let ledger = context.ledger().await?;
    let external_id = ledger.external_id(args.owner()).await;
    let external_id = external_id.map_err(admin_failure)?;
    let view = in_force(&ledger, args.owner()).await?;
    let view = view.filter(|view| match &view.store {
        // Another bucket has nothing to do with what is in force.
        Store::S3(s3) => words.bucket.as_ref().is_none_or(|said| *said == s3.bucket),
        Store::Azure(_) => false,
    });
    let words = words.over(view.as_ref())?;
    let keys = words.keys(args.owner(), view.as_ref(), &ledger).await?;
    let partition = Partition::of(&words.region);
    let principals = principal::find(&args.principal, &words.region, context).await?;
    principals.expect(partition)?;
    let applies = |when: When| match when {
        When::Always => true,
        When::Tagged => args.wants(Extra::Tags) || words.tagged,
        When::OwnerControl => args.wants(Extra::OwnerControl) || words.owner_control,
        When::Encrypted => words.kms_key.is_some(),
    };
    let kit = AwsKit {
        owner: args.owner().to_string(),
        partition,
        keys,
        permissions: kit::permissions(&args.needs(), applies),
        region: words.region,
        endpoint: words.endpoint,
        bucket: words.bucket,
        prefix: words.prefix,
        kms_key: words.kms_key,
        aws_account: words.aws_account,
        role: words.role,
        principals: principals.arns.clone(),
        external_id: external_id.clone(),
        creates_bucket: args.create_bucket,
        in_force: words.in_force,
    };
    let role_arn = kit.role_arn();
    let mut kit = match args.format {
        Format::Cloudformation => kit.cloudformation(),
        Format::Terraform => kit.terraform(),
        Format::Iam | Format::AzureCli | Format::Bicep => kit.iam(),
    };
    kit.notes.extend(principals.notes.clone());
    Ok(Made {
        kit,
        principals: Some(principals),
        external_id: Some(external_id),
        role_arn,
    })
}

/// What was said of a bucket, each word sound.
struct Words {
    bucket: Option<String>,
    region: Option<String>,
    endpoint: Option<String>,
    prefix: Option<String>,
    kms_key: Option<String>,
    aws_account: Option<String>,
    role_name: Option<String>,
    owner: DestinationOwner,
}

/// What the kit will say of it.
struct Known {
    bucket: String,
    region: String,
    endpoint: Option<String>,
    prefix: String,
    kms_key: Option<String>,
    aws_account: Option<String>,
    role: RoleName,
    /// The role's ARN of the destination in force.
    in_force: Option<String>,
    /// Whether that one tags its objects, or gives them to the bucket's owner.
    tagged: bool,
    owner_control: bool,
}

impl Words {
    fn check(args: &SetupKitArgs, context: &Context) -> Result<Self> {
        args.bucket.as_deref().map_or(Ok(()), s3::words::bucket)?;
        args.region.as_deref().map_or(Ok(()), s3::words::region)?;
        args.prefix.as_deref().map_or(Ok(()), prefix::check)?;
        args.kms_key.as_deref().map_or(Ok(()), s3::words::kms_key)?;
        if let Some(account) = &args.aws_account
            && !s3::words::is_account(account)
        {
            return Err(Failure::usage("--aws-account must be 12 digits")
                .hint("the id of the customer's AWS account: --aws-account 123456789012")
                .into());
        }
        let config = &context.config;
        let origin =
            |text| endpoint::customers(text, config.allow_http, &config.allowed_private_ranges);
        Ok(Self {
            bucket: args.bucket.clone(),
            region: args.region.clone(),
            endpoint: args.endpoint.as_deref().map(origin).transpose()?,
            prefix: args.prefix.clone(),
            kms_key: args.kms_key.clone(),
            aws_account: args.aws_account.clone(),
            role_name: args.role_name.clone(),
            owner: args.owner().clone(),
        })
    }

    /// Puts what was said over what is in force.
    fn over(&self, view: Option<&DestinationView>) -> Result<Known> {
        let set = view.and_then(|view| match &view.store {
            Store::S3(s3) => Some(s3),
            Store::Azure(_) => None,
        });
        let of = |field: fn(&S3Bucket) -> Option<String>| set.and_then(field);
        let bucket = self.bucket.clone().or(of(|s3| Some(s3.bucket.clone())));
        let region = self.region.clone().or(of(|s3| Some(s3.region.clone())));
        let prefix = self.prefix.clone().or(of(|s3| Some(s3.prefix.clone())));
        let role_arn = of(|s3| s3.role_arn.clone());
        let of_role = role_arn.as_deref().map(s3::words::role).transpose()?;
        let aws_account = self.aws_account.clone().or(of_role);
        let kms_key = self.kms_key.clone().or(of(|s3| s3.kms_key.clone()));
        let kms_key = kms_key.map(key_arn).transpose()?;
        let aws_account = aws_account.or(of(|s3| s3.expected_owner.clone()));
        if kms_key.is_some() && aws_account.is_none() {
            return Err(missing("--aws-account", "123456789012"));
        }
        Ok(Known {
            bucket: bucket.ok_or_else(|| missing("--bucket", "acme-calls"))?,
            region: region.ok_or_else(|| missing("--region", "eu-central-1"))?,
            endpoint: self.endpoint.clone().or(of(|s3| s3.endpoint.clone())),
            prefix: prefix.unwrap_or_default(),
            kms_key,
            aws_account,
            role: self.role(role_arn.as_deref())?,
            in_force: role_arn,
            tagged: set.is_some_and(|s3| !s3.options.tags.is_empty()),
            owner_control: set.is_some_and(|s3| s3.options.bucket_owner_full_control),
        })
    }

    /// The role's name: as said, as in force, or after the account.
    fn role(&self, in_force: Option<&str>) -> Result<RoleName> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
        let top = |name: String| RoleName {
            path: "/".to_owned(),
            name,
        };
        if let Some(name) = &self.role_name {
            let is_name = (1..=ROLE_NAME_MAX).contains(&name.len()) && name.bytes().all(plain);
            if !is_name {
                return Err(Failure::usage("--role-name is not the name of a role")
                    .hint("up to 64 letters, digits and _+=,.@-, as in callferry; no path, no ARN")
                    .into());
            }
            return Ok(top(name.clone()));
        }
        let path = in_force.and_then(|arn| arn.split_once(":role"));
        if let Some((path, name)) = path.and_then(|(_, path)| path.rsplit_once('/')) {
            return Ok(RoleName {
                path: format!("{path}/"),
                name: name.to_owned(),
            });
        }
        let name = format!("callferry-{}", self.owner);
        if name.len() > ROLE_NAME_MAX {
            return Err(missing("--role-name", "callferry-recordings"));
        }
        Ok(top(name))
    }
}

/// A policy names keys by their ARN and nothing else.
fn key_arn(key: String) -> Result<String> {
    if key.starts_with("arn:") && key.contains(":kms:") && key.contains(":key/") {
        return Ok(key);
    }
    Err(Failure::usage("a policy names a key by its ARN only")
        .hint("no alias, no bare id: --kms-key arn:aws:kms:eu-central-1:123456789012:key/…")
        .into())
}

impl Known {
    /// What leads every key: the account where others write into the same bucket, then the prefix.
    async fn keys(
        &self,
        owner: &DestinationOwner,
        view: Option<&DestinationView>,
        ledger: &Catalog,
    ) -> Result<String> {
        let leads = match view {
            Some(view) => view.account_leads_key,
            None => {
                let place = (self.endpoint.as_deref(), self.region.as_str());
                let shared = ledger.shares_bucket(owner, place, &self.bucket);
                shared.await.map_err(admin_failure)?
            }
        };
        let folder = match owner {
            DestinationOwner::Account(account) if leads => format!("{account}/"),
            DestinationOwner::Account(_) => String::new(),
            // Of any account without a destination of its own.
            DestinationOwner::Default if self.prefix.is_empty() => String::new(),
            DestinationOwner::Default => "*/".to_owned(),
        };
        Ok(match self.prefix.as_str() {
            "" => folder,
            prefix => format!("{folder}{prefix}/"),
        })
    }
}

/// A kit for Azure.
pub(super) async fn azure(args: &SetupKitArgs, context: &Context) -> Result<Made> {
    let awses = [
        ("--bucket", args.bucket.is_some()),
        ("--region", args.region.is_some()),
        ("--kms-key", args.kms_key.is_some()),
        ("--aws-account", args.aws_account.is_some()),
        ("--role-name", args.role_name.is_some()),
        ("--principal", !args.principal.is_empty()),
        ("--with tags", args.wants(Extra::Tags)),
        ("--with owner-control", args.wants(Extra::OwnerControl)),
    ];
    refuse(
        args.format,
        &awses,
        "on Azure it is --storage-account and --container; for AWS: --format iam, cloudformation \
         or terraform",
    )?;
    let said = &args.container;
    said.as_deref().map_or(Ok(()), azure::words::container)?;
    args.prefix.as_deref().map_or(Ok(()), prefix::check)?;
    args.prefix
        .as_deref()
        .map_or(Ok(()), azure::words::prefix)?;
    let ledger = context.ledger().await?;
    // An account that is not there is refused here.
    let minted = ledger.external_id(args.owner()).await;
    minted.map_err(admin_failure)?;
    let view = in_force(&ledger, args.owner()).await?;
    let set = view.as_ref().and_then(|view| match &view.store {
        Store::Azure(azure) => Some(azure),
        Store::S3(_) => None,
    });
    let is_same = |set: &&AzureContainer| {
        let account = args.storage_account.as_ref();
        account.is_none_or(|said| *said == set.storage_account)
            && said.as_ref().is_none_or(|said| *said == set.container)
    };
    let kit = azure_kit(args, context, set.filter(is_same))?;
    let kit = match args.format {
        Format::Bicep => kit.bicep(),
        Format::Iam | Format::Cloudformation | Format::Terraform | Format::AzureCli => {
            kit.azure_cli()
        }
    };
    Ok(Made {
        kit,
        principals: None,
        external_id: None,
        role_arn: None,
    })
}

fn azure_kit(
    args: &SetupKitArgs,
    context: &Context,
    set: Option<&AzureContainer>,
) -> Result<AzureKit> {
    let of = |field: fn(&AzureContainer) -> Option<String>| set.and_then(field);
    let account = args.storage_account.clone();
    let account = account.or(of(|set| Some(set.storage_account.clone())));
    let account = account.ok_or_else(|| missing("--storage-account", "acmecalls"))?;
    let container = args.container.clone();
    let container = container.or(of(|set| Some(set.container.clone())));
    let endpoint = match &args.endpoint {
        Some(text) => {
            let config = &context.config;
            let allowed = (config.allow_http, &config.allowed_private_ranges);
            endpoint::customers_blob_service(text, &account, allowed)?
        }
        None => of(|set| set.endpoint.clone()),
    };
    azure::words::storage_account(&account, endpoint.is_some())?;
    let prefix = args.prefix.clone().or(of(|set| Some(set.prefix.clone())));
    Ok(AzureKit {
        owner: args.owner().to_string(),
        storage_account: account,
        container: container.ok_or_else(|| missing("--container", "calls"))?,
        endpoint,
        prefix: prefix.unwrap_or_default(),
        needs: args.needs(),
        creates_container: args.create_bucket,
    })
}
