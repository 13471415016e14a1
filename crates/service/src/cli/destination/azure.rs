//! The words of an Azure destination, checked before anything is asked of anybody. Secrets come
//! from files or standard input, never from arguments, which every process can read; and they are
//! read last, so that a misspelt word costs nobody a secret typed twice.

mod identity;
pub(super) mod sas;
pub(crate) mod secret_file;
#[cfg(test)]
mod tests;
pub(in crate::cli) mod words;

use anyhow::Result;
use chrono::{DateTime, Utc};
use clap::Args;
use recording::AzureContainer;
use serde::Deserialize;

use self::identity::Wish;
use self::secret_file::SecretSource;
use super::prefix;
use crate::config::Config;
use crate::endpoint;
use crate::failure::Failure;

/// `destination set ACCOUNT azure`, and the body that asks for the same. No field of a body may
/// name a file: it would be one of ours.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
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
    /// The customer's directory, its id or one of its domains
    #[arg(long, value_name = "TENANT", help_heading = "Identity (one of five)")]
    tenant_id: Option<String>,
    /// The application's (client) id, or that of one of several managed identities
    #[arg(long, value_name = "ID", help_heading = "Identity (one of five)")]
    client_id: Option<String>,
    /// Service principal: the file with its client secret; `-` reads standard input
    #[arg(long, value_name = "FILE", help_heading = "Identity (one of five)")]
    #[serde(rename = "client_secret")]
    client_secret_file: Option<SecretSource>,
    /// The application trusts our workload's own identity: its token is read from the file that
    /// `azure_federated_token_file` names, and there is no secret
    #[arg(long, help_heading = "Identity (one of five)")]
    federated: bool,
    /// The managed identity of the machines that callferry runs on; there is no secret
    #[arg(long, help_heading = "Identity (one of five)")]
    managed_identity: bool,
    /// The file with a SAS of the container; `-` reads standard input. It is never given out, so
    /// that recordings can be stored but not played
    #[arg(long, value_name = "FILE", help_heading = "Identity (one of five)")]
    #[serde(rename = "sas_token")]
    sas_token_file: Option<SecretSource>,
    /// The file with the storage account's key; `-` reads standard input
    #[arg(long, value_name = "FILE", help_heading = "Identity (one of five)")]
    #[serde(rename = "access_key")]
    access_key_file: Option<SecretSource>,
    /// From when on recordings go there, as in 2026-11-22T10:00:00Z; by default from now
    #[arg(long, value_name = "TIME")]
    pub(crate) in_force_from: Option<DateTime<Utc>>,
}

impl AzureArgs {
    /// The container, if every word of it is sound and its secret can be read.
    pub(crate) fn check(&self, config: &Config, now: DateTime<Utc>) -> Result<AzureContainer> {
        words::storage_account(&self.storage_account, self.endpoint.is_some())?;
        words::container(&self.container)?;
        let endpoint = self.blob_service(config)?;
        let leading = self.prefix.clone().unwrap_or_default();
        prefix::check(&leading)?;
        words::prefix(&leading)?;
        let wish = Wish::of(self)?;
        if !wish.has_secret()
            && !storage::may_see_our_identity(endpoint.as_deref(), config.allow_http)
        {
            return Err(
                Failure::usage("--endpoint is not one of Azure's own blob services")
                    .hint(
                        "an identity without a secret is ours: its token would be good at every \
                     container that trusts us, and is sent to Azure alone. Leave --endpoint out, \
                     or use a client secret, a SAS or an access key",
                    )
                    .into(),
            );
        }
        if wish.has_secret() && config.keyring_file.is_none() {
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
}
