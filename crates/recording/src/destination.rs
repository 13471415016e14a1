//! A destination: one immutable revision of "which bucket, how to reach it, how to write there".

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::AccountId;

/// Whose destination it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DestinationOwner {
    /// The account's own.
    Account(AccountId),
    /// The platform's, for accounts without one.
    Default,
}

impl fmt::Display for DestinationOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(account) => account.fmt(f),
            Self::Default => f.write_str("default"),
        }
    }
}

/// How to reach and write to an S3 bucket. None of it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct S3Bucket {
    /// The bucket's name.
    pub bucket: String,
    /// Its region, for the signature and the endpoint.
    pub region: String,
    /// The customer's role that we assume; `None` only for the platform default, which may be
    /// written with our own identity.
    pub role_arn: Option<String>,
    /// An S3-compatible endpoint's origin; `None` means AWS's own for the region.
    pub endpoint: Option<String>,
    /// What leads every key, without slashes at its ends; empty for none.
    pub prefix: String,
    /// The KMS key that objects are encrypted under; `None` leaves it to the bucket.
    pub kms_key: Option<String>,
    /// The storage class of new objects; `None` leaves it to the bucket.
    pub storage_class: Option<String>,
    /// The 12-digit AWS account that must own the bucket, so that a bucket which somebody else
    /// re-created gets nothing; `None` where the endpoint knows no owners.
    pub expected_owner: Option<String>,
}

/// One revision, as a recording is pinned to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Destination {
    /// Whose it is.
    pub owner: DestinationOwner,
    /// Identifies the revision; unique over all owners and never reused.
    pub revision: i64,
    /// How to reach it.
    pub s3: S3Bucket,
    /// The external id that we minted for the owner and that every AssumeRole carries.
    pub external_id: Option<String>,
    /// Whether `{account_id}/` leads the key: always in the platform default, and wherever two
    /// accounts share a bucket.
    pub account_leads_key: bool,
}

impl Destination {
    /// What leads every key that this revision writes for `account`, with a slash at its end, or
    /// nothing. Sessions are narrowed to exactly this.
    #[must_use]
    pub fn key_prefix(&self, account: &AccountId) -> String {
        let mut prefix = String::new();
        if self.account_leads_key {
            prefix.push_str(account.as_str());
            prefix.push('/');
        }
        if !self.s3.prefix.is_empty() {
            prefix.push_str(&self.s3.prefix);
            prefix.push('/');
        }
        prefix
    }
}
