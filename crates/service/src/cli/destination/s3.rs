//! The words of an S3 destination, checked before anything is asked of anybody. What is refused
//! here would otherwise end up in a key, a session policy or a request.

#[cfg(test)]
mod tests;
pub(in crate::cli) mod words;

use anyhow::Result;
use chrono::{DateTime, Utc};
use clap::Args;
use recording::{DestinationOwner, Encryption, S3Bucket, S3Options};
use serde::Deserialize;

use super::prefix;
use crate::config::Config;
use crate::endpoint;
use crate::failure::Failure;

/// `destination set ACCOUNT s3`, and the body that asks for the same.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct S3Args {
    /// The bucket's name
    #[arg(long)]
    bucket: String,
    /// The bucket's region
    #[arg(long)]
    region: String,
    /// The customer's role that we assume; only the platform's own destination can do without
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
    /// An S3-compatible server's origin, `https://host[:port]`
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// What leads every key
    #[arg(long)]
    prefix: Option<String>,
    /// The KMS key that objects are encrypted under: id, alias or ARN; means --sse kms
    #[arg(long, value_name = "KEY")]
    kms_key: Option<String>,
    /// How new objects are encrypted: `s3` (SSE-S3) or `kms` (SSE-KMS, under AWS's own key for S3
    /// unless --kms-key names one); by default as the bucket says
    #[arg(long, value_name = "s3|kms")]
    sse: Option<Encryption>,
    /// Have one key of the bucket's serve many objects under KMS, which saves calls of KMS
    #[arg(long)]
    bucket_key: bool,
    /// A tag of every new object, at most ten; the role must allow s3:PutObjectTagging
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    tags: Vec<String>,
    /// Give every new object to the bucket's owner, where the bucket leaves objects to whoever
    /// writes them; the role must allow s3:PutObjectAcl
    #[arg(long)]
    bucket_owner_full_control: bool,
    /// The storage class of new objects
    #[arg(long, value_name = "CLASS")]
    storage_class: Option<String>,
    /// The AWS account that must own the bucket, 12 digits; by default the role's
    #[arg(long, value_name = "ACCOUNT", conflicts_with = "no_owner_check")]
    expected_owner: Option<String>,
    /// Do not send an expected owner: for a server that knows none
    #[arg(long, requires = "endpoint")]
    no_owner_check: bool,
    /// From when on recordings go there, as in 2026-11-22T10:00:00Z; by default from now
    #[arg(long, value_name = "TIME")]
    pub(super) in_force_from: Option<DateTime<Utc>>,
}

impl S3Args {
    /// The bucket, if every word of it is sound.
    pub(super) fn check(&self, owner: &DestinationOwner, config: &Config) -> Result<S3Bucket> {
        words::bucket(&self.bucket)?;
        words::region(&self.region)?;
        let role_owner = self.role_arn.as_deref().map(words::role).transpose()?;
        if role_owner.is_none() && !matches!(owner, DestinationOwner::Default) {
            return Err(Failure::usage("--role-arn is missing")
                .hint("an account's bucket is written with the customer's role, never with ours")
                .into());
        }
        let origin =
            |text| endpoint::customers(text, config.allow_http, &config.allowed_private_ranges);
        let endpoint = self.endpoint.as_deref().map(origin).transpose()?;
        let leading = self.prefix.clone().unwrap_or_default();
        prefix::check(&leading)?;
        self.kms_key.as_deref().map_or(Ok(()), words::kms_key)?;
        let class = self.storage_class.as_deref();
        class.map_or(Ok(()), words::storage_class)?;
        Ok(S3Bucket {
            bucket: self.bucket.clone(),
            region: self.region.clone(),
            role_arn: self.role_arn.clone(),
            expected_owner: self.bucket_owner(role_owner, endpoint.is_some())?,
            endpoint,
            prefix: leading,
            kms_key: self.kms_key.clone(),
            storage_class: self.storage_class.clone(),
            options: self.options()?,
        })
    }

    /// What else new objects are given.
    fn options(&self) -> Result<S3Options> {
        if self.kms_key.is_some() && self.sse == Some(Encryption::S3) {
            return Err(
                Failure::usage("--sse s3 and --kms-key contradict each other")
                    .hint("a key means KMS: leave out --sse, or leave out --kms-key")
                    .into(),
            );
        }
        let by_kms = self.kms_key.is_some() || self.sse == Some(Encryption::Kms);
        if self.bucket_key && !by_kms {
            return Err(Failure::usage("--bucket-key is of KMS")
                .hint("add --sse kms or --kms-key KEY, or leave out --bucket-key")
                .into());
        }
        Ok(S3Options {
            // A key says it already.
            sse: self.sse.filter(|_| self.kms_key.is_none()),
            bucket_key: self.bucket_key,
            tags: words::tags(&self.tags)?,
            bucket_owner_full_control: self.bucket_owner_full_control,
        })
    }

    /// Who must own the bucket: so that one which somebody else re-created gets nothing.
    fn bucket_owner(&self, role_owner: Option<String>, compatible: bool) -> Result<Option<String>> {
        // The command line's parser says so, too; a body has no such parser.
        if self.no_owner_check && (!compatible || self.expected_owner.is_some()) {
            return Err(Failure::usage(
                "--no-owner-check needs --endpoint and no --expected-owner",
            )
            .hint("AWS knows who owns a bucket: leave --no-owner-check out there")
            .into());
        }
        if self.no_owner_check {
            return Ok(None);
        }
        if let Some(owner) = &self.expected_owner {
            if words::is_account(owner) {
                return Ok(Some(owner.clone()));
            }
            return Err(Failure::usage("--expected-owner must be 12 digits")
                .hint("the id of an AWS account, without hyphens: --expected-owner 123456789012")
                .into());
        }
        if role_owner.is_none() && !compatible {
            return Err(Failure::usage("who must own the bucket is not known")
                .hint("without a role, name the AWS account: --expected-owner 123456789012")
                .into());
        }
        Ok(role_owner)
    }
}
