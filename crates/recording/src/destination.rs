//! A destination: one immutable revision of "which bucket, how to reach it, how to write there".

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::s3_options::{Encryption, S3Options};
use crate::{AccountId, Secret};

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
    /// What else new objects are given.
    #[serde(flatten)]
    pub options: S3Options,
}

impl S3Bucket {
    /// How new objects are encrypted; `None` leaves it to the bucket. A key means KMS, whatever
    /// else is said.
    #[must_use]
    pub fn encryption(&self) -> Option<Encryption> {
        match self.kms_key {
            Some(_) => Some(Encryption::Kms),
            None => self.options.sse,
        }
    }
}

/// How to reach and write to an Azure Blob container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct AzureContainer {
    /// The storage account.
    pub storage_account: String,
    /// The container's name.
    pub container: String,
    /// The blob service's URL where it is not Azure's own for the storage account, without the
    /// container and without a slash at its end: a sovereign cloud's, or an emulator's, which
    /// names the storage account in its path.
    pub endpoint: Option<String>,
    /// What leads every key, without slashes at its ends; empty for none.
    pub prefix: String,
    /// Who we are there.
    pub identity: AzureIdentity,
}

/// Who we are to a storage account. Shown without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "identity", rename_all = "snake_case")]
pub enum AzureIdentity {
    /// The storage account's key. It never signs a request itself: each purpose has a short
    /// service SAS of its own, made from it.
    AccessKey {
        /// The key, in base64.
        #[serde(skip)]
        access_key: Secret,
    },
    /// A shared access signature that the customer made. Never given out.
    Sas {
        /// The query string, without a question mark.
        #[serde(skip)]
        sas_token: Secret,
    },
    /// An application in the customer's directory, which gets Entra tokens by its secret.
    ServicePrincipal {
        /// The directory.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// Its secret.
        #[serde(skip)]
        client_secret: Secret,
    },
    /// An application in the customer's directory that trusts the platform's own workload identity:
    /// it gets Entra tokens by a token of that identity, and there is no secret.
    Federated {
        /// The directory.
        tenant_id: String,
        /// The application.
        client_id: String,
    },
    /// The managed identity of the machine that we run on. There is no secret.
    ManagedIdentity {
        /// Which one, where the machine has several.
        client_id: Option<String>,
    },
}

impl AzureIdentity {
    /// The word in the ledger and on the command line.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::AccessKey { .. } => "access_key",
            Self::Sas { .. } => "sas",
            Self::ServicePrincipal { .. } => "service_principal",
            Self::Federated { .. } => "federated",
            Self::ManagedIdentity { .. } => "managed_identity",
        }
    }

    /// Its secret, if it has one.
    #[must_use]
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::AccessKey { access_key } => Some(access_key),
            Self::Sas { sas_token } => Some(sas_token),
            Self::ServicePrincipal { client_secret, .. } => Some(client_secret),
            Self::Federated { .. } | Self::ManagedIdentity { .. } => None,
        }
    }
}

/// Which cloud, and what there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "cloud", rename_all = "snake_case")]
pub enum Store {
    /// An S3 bucket.
    S3(S3Bucket),
    /// An Azure Blob container.
    Azure(AzureContainer),
}

impl Store {
    /// What leads every key besides the account, without slashes at its ends.
    #[must_use]
    pub fn prefix(&self) -> &str {
        match self {
            Self::S3(s3) => &s3.prefix,
            Self::Azure(azure) => &azure.prefix,
        }
    }

    /// The bucket, or the storage account and container, for people.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::S3(s3) => s3.bucket.clone(),
            Self::Azure(azure) => format!("{}/{}", azure.storage_account, azure.container),
        }
    }

    /// Where it is, as the beginning of a URL that carries no credential.
    #[must_use]
    pub fn location(&self) -> String {
        match self {
            Self::S3(_) => format!("s3://{}", self.name()),
            Self::Azure(_) => format!("az://{}", self.name()),
        }
    }
}

/// One revision, as a recording is pinned to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Whose it is.
    pub owner: DestinationOwner,
    /// Identifies the revision; unique over all owners and never reused.
    pub revision: i64,
    /// The revision whose role or secret `store` carries: the one in force of the same owner for
    /// the same place and prefix, so that a new credential also serves what is there already.
    pub credential_revision: i64,
    /// How to reach it, and how to write there.
    pub store: Store,
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
        if !self.store.prefix().is_empty() {
            prefix.push_str(self.store.prefix());
            prefix.push('/');
        }
        prefix
    }
}
