//! Azure for a platform: Azurite over https, Entra's laboratory, and accounts that are reached by
//! any of its identities, set up by callferry's own command line.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Platform;
use crate::auditor::Found;
use crate::entra::Entra;
use crate::servers::Azurite;
use crate::servers::azurite::Wire;

/// The storage account that every container is in.
pub const STORAGE_ACCOUNT: &str = "callferrylab";
/// The directory that every service principal is of.
pub const TENANT: &str = "0f2b6d3c-5a1e-4c3f-9d43-6f8a2a1b7c55";
/// What the platform's workload shows to applications that trust it.
pub const WORKLOAD: &str = "laboratory-only.workload.token";
/// The managed identity of the machine.
pub const MACHINE: &str = "5b0f4e1d-52a0-4d63-8f8e-2f6f1f1d9a10";

/// The servers.
#[derive(Debug)]
pub struct AzureLab {
    /// The blob service, over https with tokens.
    pub azurite: Azurite,
    /// The token service, over http.
    pub entra: Entra,
}

/// Who callferry is to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AzureAccess {
    /// An application with tokens.
    ServicePrincipal,
    /// A signature that the customer made, for a day.
    Sas,
    /// The storage account's key.
    AccessKey,
    /// An application that trusts our workload.
    Federated,
    /// The machine's managed identity.
    ManagedIdentity,
}

impl AzureAccess {
    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::ServicePrincipal,
        Self::Sas,
        Self::AccessKey,
        Self::Federated,
        Self::ManagedIdentity,
    ];
}

impl Platform {
    /// Starts Azurite and Entra's laboratory and has members and commands trust both. Members that
    /// run already do not know of them. `false`: Azurite cannot be had here, which is said loudly;
    /// the caller then skips.
    ///
    /// # Errors
    /// When one that can be had does not start.
    pub async fn start_azure(&mut self) -> Result<bool> {
        let dir = self.dir.join("azure");
        fs::create_dir_all(&dir)?;
        let started = Azurite::start(&dir, Wire::Https, &[STORAGE_ACCOUNT]).await?;
        let Some(azurite) = started else {
            return Ok(false);
        };
        let entra = Entra::start().await.context("starting the token service")?;
        let ca = azurite.ca_file().context("Azurite speaks no TLS")?;
        self.fleet
            .set("CALLFERRY_EXTRA_CA_FILE", ca.display().to_string());
        self.fleet
            .set("CALLFERRY_ENTRA_AUTHORITY", entra.authority());
        let workload_token = dir.join("workload-token");
        keep(&workload_token, WORKLOAD)?;
        let file = workload_token.display().to_string();
        self.fleet.set("CALLFERRY_AZURE_FEDERATED_TOKEN_FILE", file);
        let endpoint = entra.identity_endpoint();
        self.fleet
            .set("CALLFERRY_AZURE_IDENTITY_ENDPOINT", endpoint);
        entra.assign(&[MACHINE]);
        self.azure = Some(AzureLab { azurite, entra });
        Ok(true)
    }

    /// The servers, once they were started.
    ///
    /// # Errors
    /// Before [`Platform::start_azure`].
    pub fn azure(&self) -> Result<&AzureLab> {
        self.azure.as_ref().context("start_azure comes first")
    }

    /// Creates an account with a container of its own, called [`Platform::bucket`], as its
    /// destination.
    ///
    /// # Errors
    /// When a server or the command line refuses.
    pub async fn azure_account(&mut self, name: &str, access: AzureAccess) -> Result<()> {
        self.plain_account(name).await?;
        self.azure_destination(name, access).await
    }

    /// Makes the container of an account, or of `default`, and sets its destination.
    ///
    /// # Errors
    /// When a server or the command line refuses.
    pub async fn azure_destination(&mut self, owner: &str, access: AzureAccess) -> Result<()> {
        let container = Self::bucket(owner);
        let azurite = &self.azure()?.azurite;
        azurite
            .create_container(STORAGE_ACCOUNT, &container)
            .await?;
        self.azure_credential(owner, access).await
    }

    /// Sets the destination again, in the container that is there, with a new credential of this
    /// kind.
    ///
    /// # Errors
    /// When a server or the command line refuses.
    pub async fn azure_credential(&self, owner: &str, access: AzureAccess) -> Result<()> {
        let container = Self::bucket(owner);
        let AzureLab { azurite, entra } = self.azure()?;
        let secret = self.azure_secret(owner);
        let file = secret.display().to_string();
        let mut flags = Vec::new();
        match access {
            AzureAccess::AccessKey => {
                keep(&secret, azurite.key(STORAGE_ACCOUNT))?;
                flags.extend(["--access-key-file".to_owned(), file]);
            }
            AzureAccess::Sas => {
                let sas = azurite.sas(STORAGE_ACCOUNT, &container, "rcwdxl", tomorrow());
                keep(&secret, &sas)?;
                flags.extend(["--sas-token-file".to_owned(), file]);
            }
            AzureAccess::ServicePrincipal => {
                let (client, word) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
                let (client, word) = (client.to_string(), word.simple().to_string());
                entra.register(TENANT, &client, &word);
                keep(&secret, &word)?;
                flags.extend(["--tenant-id", TENANT, "--client-id"].map(str::to_owned));
                flags.extend([client, "--client-secret-file".to_owned(), file]);
            }
            AzureAccess::Federated => {
                let client = uuid::Uuid::new_v4().to_string();
                entra.trust(TENANT, &client, WORKLOAD);
                flags.extend(["--federated", "--tenant-id", TENANT].map(str::to_owned));
                flags.extend(["--client-id".to_owned(), client]);
            }
            AzureAccess::ManagedIdentity => flags.push("--managed-identity".to_owned()),
        }
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        self.set_azure(owner, &flags).await.map(drop)
    }

    /// Sets the destination in the container that is there, with flags of the caller's own.
    ///
    /// # Errors
    /// When the command line refuses.
    pub async fn set_azure(&self, owner: &str, flags: &[&str]) -> Result<Value> {
        let (container, endpoint) = (
            Self::bucket(owner),
            self.azure()?.azurite.endpoint(STORAGE_ACCOUNT),
        );
        let store = ["destination", "set", owner, "azure"];
        let account = ["--storage-account", STORAGE_ACCOUNT];
        let place = ["--container", &container, "--endpoint", &endpoint];
        let args = [&store[..], &account, &place, flags].concat();
        self.json(&args).await
    }

    /// The file with the secret of an account's destination, for whoever changes it.
    #[must_use]
    pub fn azure_secret(&self, owner: &str) -> PathBuf {
        self.dir.join("azure").join(format!("{owner}-secret"))
    }

    /// What is stored at a location such as `az://storage-account/container/key`, read with the
    /// storage account's key and none of callferry's code; `None` if nothing is.
    ///
    /// # Errors
    /// When it is no such location, or Azurite does not say.
    pub async fn azure_bytes(&self, location: &str) -> Result<Option<Vec<u8>>> {
        let rest = location.strip_prefix("az://").context("not in Azure")?;
        let mut parts = rest.splitn(3, '/');
        let account = parts.next().unwrap_or_default();
        let container = parts.next().context("no container")?;
        let key = parts.next().context("no key")?;
        self.azure()?.azurite.read(account, container, key).await
    }

    /// Every object of a container, by key, read in the same way.
    ///
    /// # Errors
    /// When Azurite does not say.
    pub async fn azure_objects(&self, container: &str) -> Result<BTreeMap<String, Found>> {
        let azurite = &self.azure()?.azurite;
        let mut found = BTreeMap::new();
        for key in azurite.list(STORAGE_ACCOUNT, container).await? {
            let read = azurite.read(STORAGE_ACCOUNT, container, &key).await?;
            let bytes = read.with_context(|| format!("{key} is listed and cannot be read"))?;
            let object = Found {
                size_bytes: u64::try_from(bytes.len())?,
                sha256: hex::encode(Sha256::digest(&bytes)),
            };
            found.insert(key, object);
        }
        Ok(found)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "Azurite judges a signature by the machine's own clock"
)]
fn tomorrow() -> DateTime<Utc> {
    Utc::now() + TimeDelta::days(1)
}

/// Keeps a secret where an operator does: in a file of its owner's.
fn keep(file: &Path, secret: &str) -> Result<()> {
    fs::write(file, secret)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600))?;
    Ok(())
}
