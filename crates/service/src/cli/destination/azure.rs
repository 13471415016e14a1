//! The words of an Azure destination, checked before anything is asked of anybody. Secrets come
//! from files or standard input, never from arguments, which every process can read; and they are
//! read last, so that a misspelt word costs nobody a secret typed twice.

pub(super) mod sas;
pub(crate) mod secret_file;
#[cfg(test)]
mod tests;
mod words;

use std::path::PathBuf;

use anyhow::Result;
use chrono::{DateTime, Utc};
use clap::Args;
use recording::{AzureContainer, AzureIdentity};

use super::prefix;
use crate::config::Config;
use crate::endpoint;
use crate::failure::Failure;

/// The ways to say who we are to a storage account, for people.
const IDENTITIES: &str = "one of: --tenant-id with --client-id and --client-secret-file (a service \
                          principal, preferred); --sas-token-file; --access-key-file";

/// `destination set ACCOUNT azure`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct AzureArgs {
    /// The storage account's name
    #[arg(long, value_name = "NAME")]
    storage_account: String,
    /// The container's name
    #[arg(long, value_name = "NAME")]
    container: String,
    /// The blob service's URL where it is not Azure's own: a sovereign cloud's or an emulator's
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// What leads every key
    #[arg(long)]
    prefix: Option<String>,
    /// Service principal: the customer's directory, its id or one of its domains
    #[arg(long, value_name = "TENANT", help_heading = "Identity (one of three)")]
    tenant_id: Option<String>,
    /// Service principal: the application's (client) id
    #[arg(long, value_name = "ID", help_heading = "Identity (one of three)")]
    client_id: Option<String>,
    /// Service principal: the file with its client secret; `-` reads standard input
    #[arg(long, value_name = "FILE", help_heading = "Identity (one of three)")]
    client_secret_file: Option<PathBuf>,
    /// The file with a SAS of the container; `-` reads standard input. It is never given out, so
    /// that recordings can be stored but not played
    #[arg(long, value_name = "FILE", help_heading = "Identity (one of three)")]
    sas_token_file: Option<PathBuf>,
    /// The file with the storage account's key; `-` reads standard input
    #[arg(long, value_name = "FILE", help_heading = "Identity (one of three)")]
    access_key_file: Option<PathBuf>,
    /// From when on recordings go there, as in 2026-11-22T10:00:00Z; by default from now
    #[arg(long, value_name = "TIME")]
    pub(super) in_force_from: Option<DateTime<Utc>>,
}

/// What was said about who we are, before any secret is read.
enum Wish<'a> {
    Principal {
        tenant_id: &'a str,
        client_id: &'a str,
        secret: &'a PathBuf,
    },
    Sas(&'a PathBuf),
    AccessKey(&'a PathBuf),
}

impl AzureArgs {
    /// The container, if every word of it is sound and its secret can be read.
    pub(super) fn check(&self, config: &Config, now: DateTime<Utc>) -> Result<AzureContainer> {
        words::storage_account(&self.storage_account, self.endpoint.is_some())?;
        words::container(&self.container)?;
        let endpoint = self.blob_service(config)?;
        let leading = self.prefix.clone().unwrap_or_default();
        prefix::check(&leading)?;
        words::prefix(&leading)?;
        let wish = self.wish()?;
        if config.keyring_file.is_none() {
            return Err(Failure::usage("`keyring_file` is not configured")
                .hint(
                    "the secret of an Azure destination is kept encrypted: make a key ring with \
                     `callferry keyring new FILE` and set CALLFERRY_KEYRING_FILE for every process",
                )
                .into());
        }
        Ok(AzureContainer {
            storage_account: self.storage_account.clone(),
            container: self.container.clone(),
            endpoint,
            prefix: leading,
            identity: wish.read(now)?,
        })
    }

    fn blob_service(&self, config: &Config) -> Result<Option<String>> {
        let Some(text) = &self.endpoint else {
            return Ok(None);
        };
        let allowed = (config.allow_http, &config.allowed_private_ranges);
        endpoint::customers_blob_service(text, &self.storage_account, allowed)
    }

    /// Which of the three identities is meant; each flag belongs to one.
    fn wish(&self) -> Result<Wish<'_>> {
        let principal = [
            ("--tenant-id", self.tenant_id.is_some()),
            ("--client-id", self.client_id.is_some()),
            ("--client-secret-file", self.client_secret_file.is_some()),
        ];
        let flags = principal.into_iter().chain([
            ("--sas-token-file", self.sas_token_file.is_some()),
            ("--access-key-file", self.access_key_file.is_some()),
        ]);
        let said: Vec<_> = flags.filter(|(_, said)| *said).map(|(f, _)| f).collect();
        let is_principals = |flag: &&str| principal.iter().any(|(name, _)| name == flag);
        let alone = said.len() == 1 || said.iter().all(is_principals);
        if said.is_empty() || !alone {
            let why = if said.is_empty() {
                "who we are to the storage account is not said".to_owned()
            } else {
                format!("{} belong to different identities", said.join(" and "))
            };
            return Err(Failure::usage(why).hint(IDENTITIES).into());
        }
        match (
            &self.sas_token_file,
            &self.access_key_file,
            &self.tenant_id,
            &self.client_id,
            &self.client_secret_file,
        ) {
            (Some(file), ..) => Ok(Wish::Sas(file)),
            (None, Some(file), ..) => Ok(Wish::AccessKey(file)),
            (None, None, Some(tenant), Some(client), Some(secret)) => {
                words::tenant(tenant)?;
                words::client(client)?;
                Ok(Wish::Principal {
                    tenant_id: tenant,
                    client_id: client,
                    secret,
                })
            }
            (None, None, ..) => {
                let missing = principal.iter().filter(|(_, said)| !said);
                let missing: Vec<_> = missing.map(|(flag, _)| *flag).collect();
                let why = format!("{} missing", missing.join(" and "));
                Err(Failure::usage(why).hint(IDENTITIES).into())
            }
        }
    }
}

impl Wish<'_> {
    fn read(&self, now: DateTime<Utc>) -> Result<AzureIdentity> {
        match self {
            Self::Principal {
                tenant_id,
                client_id,
                secret,
            } => Ok(AzureIdentity::ServicePrincipal {
                tenant_id: (*tenant_id).to_owned(),
                client_id: (*client_id).to_owned(),
                client_secret: secret_file::read("--client-secret-file", secret)?.into(),
            }),
            Self::Sas(file) => {
                let text = secret_file::read("--sas-token-file", file)?;
                let token = sas::check(text.as_str(), now)?;
                Ok(AzureIdentity::Sas {
                    sas_token: recording::Secret::new(token.to_owned()),
                })
            }
            Self::AccessKey(file) => {
                let text = secret_file::read("--access-key-file", file)?;
                words::access_key(text.as_str())?;
                Ok(AzureIdentity::AccessKey {
                    access_key: text.into(),
                })
            }
        }
    }
}
