//! What can become of a credential, each with an account of its own.

use std::fs;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use callferry_tests::platform::{AzureAccess, MACHINE, Platform, REGION, TENANT, WORKLOAD};
use callferry_tests::s3::{Policy, Role};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    RoleDeleted,
    AnotherExternalId,
    PutDenied,
    SecretEnded,
    ApplicationGone,
    SecretWrong,
    WorkloadMistrusted,
    IdentityTaken,
    SasWrong,
    KeyWrong,
}

pub(crate) const TROUBLES: [Trouble; 10] = [
    Trouble::RoleDeleted,
    Trouble::AnotherExternalId,
    Trouble::PutDenied,
    Trouble::SecretEnded,
    Trouble::ApplicationGone,
    Trouble::SecretWrong,
    Trouble::WorkloadMistrusted,
    Trouble::IdentityTaken,
    Trouble::SasWrong,
    Trouble::KeyWrong,
];

/// What a role must allow for storing, and for a check to tidy up after itself.
const OBJECTS: [&str; 6] = [
    "s3:PutObject",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
    "s3:DeleteObject",
];

impl Trouble {
    /// Whose it is.
    pub(crate) fn account(self) -> &'static str {
        match self {
            Self::RoleDeleted => "role-deleted",
            Self::AnotherExternalId => "external-id",
            Self::PutDenied => "put-denied",
            Self::SecretEnded => "secret-ended",
            Self::ApplicationGone => "app-gone",
            Self::SecretWrong => "secret-wrong",
            Self::WorkloadMistrusted => "mistrusted",
            Self::IdentityTaken => "identity-taken",
            Self::SasWrong => "sas-wrong",
            Self::KeyWrong => "key-wrong",
        }
    }

    /// The credential, what became of it, and what repaired it.
    pub(crate) fn told(self) -> [&'static str; 3] {
        match self {
            Self::RoleDeleted => [
                "S3: role",
                "deleted",
                "another role, by `destination set` for the same bucket",
            ],
            Self::AnotherExternalId => [
                "S3: role",
                "its trust policy names another external id",
                "the trust policy",
            ],
            Self::PutDenied => ["S3: role", "may not put any more", "its policy"],
            Self::SecretEnded => [
                "Azure: application with a secret",
                "the secret has expired",
                "a new secret, by `destination set`",
            ],
            Self::ApplicationGone => [
                "Azure: application with a secret",
                "removed from the directory",
                "a new application, by `destination set`",
            ],
            Self::SecretWrong => [
                "Azure: application with a secret",
                "a wrong one was set with `--force`",
                "the right one, by `destination set`",
            ],
            Self::WorkloadMistrusted => [
                "Azure: federated application",
                "trusts another workload",
                "its federated credential",
            ],
            Self::IdentityTaken => [
                "Azure: managed identity",
                "taken from the machine",
                "given back",
            ],
            Self::SasWrong => [
                "Azure: SAS",
                "revoked: signed with a key that is not the account's any more",
                "a new SAS, by `destination set`",
            ],
            Self::KeyWrong => [
                "Azure: access key",
                "rotated away",
                "the new key, by `destination set`",
            ],
        }
    }

    fn access(self) -> Option<AzureAccess> {
        match self {
            Self::RoleDeleted | Self::AnotherExternalId | Self::PutDenied => None,
            Self::SecretEnded | Self::ApplicationGone | Self::SecretWrong => {
                Some(AzureAccess::ServicePrincipal)
            }
            Self::WorkloadMistrusted => Some(AzureAccess::Federated),
            Self::IdentityTaken => Some(AzureAccess::ManagedIdentity),
            Self::SasWrong => Some(AzureAccess::Sas),
            Self::KeyWrong => Some(AzureAccess::AccessKey),
        }
    }

    pub(crate) fn is_in_azure(self) -> bool {
        self.access().is_some()
    }

    /// Whether copies can be looked at all the same, so that originals go.
    pub(crate) fn may_still_look(self) -> bool {
        self == Self::PutDenied
    }

    pub(crate) async fn set_up(self, platform: &mut Platform) -> Result<()> {
        match self.access() {
            None => platform.account(self.account()).await.map(drop),
            Some(access) => platform.azure_account(self.account(), access).await,
        }
    }

    /// It happens.
    pub(crate) async fn strike(self, platform: &Platform) -> Result<()> {
        let account = self.account();
        let entra = &platform.azure()?.entra;
        match self {
            Self::RoleDeleted => {
                let arn = shown(platform, account, "role_arn").await?;
                anyhow::ensure!(platform.lab.remove_role(&arn), "no {arn}");
            }
            Self::AnotherExternalId => {
                trusting(platform, account, "callferry-of-somebody-else").await?;
            }
            Self::PutDenied => allow(platform, account, &OBJECTS[1..]).await?,
            Self::SecretEnded => {
                let secret = fs::read_to_string(platform.azure_secret(account))?;
                let client = shown(platform, account, "client_id").await?;
                entra.expire(TENANT, &client, secret.trim());
            }
            Self::ApplicationGone => {
                entra.forget(TENANT, &shown(platform, account, "client_id").await?);
            }
            Self::SecretWrong => {
                let client = shown(platform, account, "client_id").await?;
                let flags = ["--tenant-id", TENANT, "--client-id", &client];
                set_wrong(
                    platform,
                    account,
                    (&flags, "--client-secret-file"),
                    "laboratory-wrong",
                )
                .await?;
            }
            Self::WorkloadMistrusted => {
                let client = shown(platform, account, "client_id").await?;
                entra.trust(TENANT, &client, "laboratory-another.workload.token");
            }
            Self::IdentityTaken => entra.assign(&[]),
            Self::SasWrong => {
                let sas = fs::read_to_string(platform.azure_secret(account))?;
                let (signed, _) = sas.trim().split_once("sig=").context("no signature last")?;
                let wrong = format!("{signed}sig={}%3D", "A".repeat(43));
                set_wrong(platform, account, (&[], "--sas-token-file"), &wrong).await?;
            }
            Self::KeyWrong => {
                let wrong = BASE64_STANDARD.encode([7; 64]);
                set_wrong(platform, account, (&[], "--access-key-file"), &wrong).await?;
            }
        }
        Ok(())
    }

    /// Somebody does what the check says.
    pub(crate) async fn repair(self, platform: &Platform) -> Result<()> {
        let account = self.account();
        let entra = &platform.azure()?.entra;
        match self {
            Self::RoleDeleted => {
                // Of the same AWS account, which must own the bucket.
                let arn = format!("{}-renewed", shown(platform, account, "role_arn").await?);
                let external_id = shown(platform, account, "external_id").await?;
                let policy = Policy::bucket(&Platform::bucket(account), "", &OBJECTS);
                let role = Role::new(&arn, policy).external_id(&external_id);
                platform.lab.put_role(role.trusting("callferry"));
                let (bucket, endpoint) = (Platform::bucket(account), platform.lab.endpoint());
                let set = ["destination", "set", account, "s3", "--bucket", &bucket];
                let how = [
                    "--region",
                    REGION,
                    "--role-arn",
                    &arn,
                    "--endpoint",
                    &endpoint,
                ];
                platform.json(&[&set[..], &how].concat()).await?;
            }
            Self::AnotherExternalId => {
                let external_id = shown(platform, account, "external_id").await?;
                trusting(platform, account, &external_id).await?;
            }
            Self::PutDenied => allow(platform, account, &OBJECTS).await?,
            Self::WorkloadMistrusted => {
                let client = shown(platform, account, "client_id").await?;
                entra.trust(TENANT, &client, WORKLOAD);
            }
            Self::IdentityTaken => entra.assign(&[MACHINE]),
            Self::SecretEnded
            | Self::ApplicationGone
            | Self::SecretWrong
            | Self::SasWrong
            | Self::KeyWrong => {
                let access = self.access().context("not in Azure")?;
                platform.azure_credential(account, access).await?;
            }
        }
        Ok(())
    }
}

/// A field of the destination in force.
async fn shown(platform: &Platform, account: &str, field: &str) -> Result<String> {
    let shown = platform.json(&["destination", "show", account]).await?;
    let value = shown[field].as_str();
    Ok(value.with_context(|| format!("no {field}"))?.to_owned())
}

async fn trusting(platform: &Platform, account: &str, external_id: &str) -> Result<()> {
    let arn = shown(platform, account, "role_arn").await?;
    platform.lab.change_role(&arn, |role| {
        *role = Role::new(&arn, role.permissions.clone())
            .external_id(external_id)
            .trusting("callferry");
    });
    Ok(())
}

async fn allow(platform: &Platform, account: &str, actions: &[&str]) -> Result<()> {
    let arn = shown(platform, account, "role_arn").await?;
    let policy = Policy::bucket(&Platform::bucket(account), "", actions);
    platform
        .lab
        .change_role(&arn, |role| role.permissions = policy.clone());
    Ok(())
}

/// Somebody insists on a credential that does not work.
async fn set_wrong(
    platform: &Platform,
    account: &str,
    (flags, flag): (&[&str], &str),
    secret: &str,
) -> Result<()> {
    let path = platform.azure_secret(account);
    // Keeps the file's mode: nobody else may read it.
    fs::write(&path, secret)?;
    let file = path.display().to_string();
    let flags = [flags, &[flag, &file, "--force"]].concat();
    platform.set_azure(account, &flags).await.map(drop)
}
