//! Azurite, Microsoft's own emulator of Azure Blob storage, private to one test: over plain http
//! with account keys and signatures, or over https with Entra's tokens too.
//!
//! It writes its metadata every few seconds. Killed, it forgets the blobs and even the containers
//! it acknowledged last, which Azure does not: stop it by [`Azurite::stop`] where it is to come up
//! again with what it had. Dropped it is killed, for nobody asks it anything afterwards.
//!
//! Other differences seen: a wrong signature is an `AuthorizationFailure`; Put Blob answers without
//! the checksum that it verified; and Put Blob keeps others' uncommitted blocks.

mod certificate;
mod requests;
mod shared_key;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use rustix::process::Signal;

use crate::child::{Launch, Supervised};
use crate::ports::free_port;
use crate::{environment, patience, scratch};

/// Node takes a second to read it, many times that on a busy machine.
const READY: Duration = Duration::from_secs(60);
/// It writes its metadata and ends.
const STOPS: Duration = Duration::from_secs(30);
/// Installing it by `npm`.
const INSTALL: Duration = Duration::from_secs(600);
/// Where its program is, below `.local`.
const PROGRAM: &str = "tools/azurite/node_modules/azurite/dist/src/blob/main.js";

/// What it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Plain http: account keys and shared access signatures.
    Http,
    /// TLS with a certificate of its own CA ([`Azurite::ca_file`]); takes Entra's tokens too.
    Https,
}

/// A running Azurite.
#[derive(Debug)]
pub struct Azurite {
    server: Supervised,
    wire: Wire,
    port: u16,
    dir: PathBuf,
    /// Storage accounts and their keys.
    accounts: BTreeMap<String, String>,
    client: reqwest::Client,
}

impl Azurite {
    /// Starts it with its state in `dir` and these storage accounts, installing it first if need
    /// be. When it cannot be installed that is said loudly and `None` returned: the test is then
    /// skipped, not passed.
    ///
    /// # Errors
    /// When it is installed and does not come up.
    pub async fn start(dir: &Path, wire: Wire, accounts: &[&str]) -> Result<Option<Self>> {
        if !environment::local().join(PROGRAM).exists()
            && let Err(error) = install().await
        {
            scratch::skip("azurite", &format!("{error:#}"))?;
            return Ok(None);
        }
        let key = || BASE64_STANDARD.encode(rand::random::<[u8; 32]>());
        let accounts = accounts.iter().map(|name| ((*name).to_owned(), key()));
        let accounts = accounts.collect();
        if wire == Wire::Https {
            certificate::write(dir)?;
        }
        let port = free_port()?;
        let server = launch(dir, wire, port, &accounts)?;
        let mut azurite = Self {
            server,
            wire,
            port,
            dir: dir.to_owned(),
            accounts,
            client: client(dir, wire)?,
        };
        azurite.ready().await?;
        Ok(Some(azurite))
    }

    /// Where a storage account's blob service is: in the path, as emulators have it.
    #[must_use]
    pub fn endpoint(&self, account: &str) -> String {
        let scheme = match self.wire {
            Wire::Http => "http",
            Wire::Https => "https",
        };
        format!("{scheme}://127.0.0.1:{}/{account}", self.port)
    }

    /// Where it listens, `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A storage account's key, in base64; empty if it has no such account.
    #[must_use]
    pub fn key(&self, account: &str) -> &str {
        self.accounts.get(account).map_or("", String::as_str)
    }

    /// The CA that its certificate is of, if it speaks TLS.
    #[must_use]
    pub fn ca_file(&self) -> Option<PathBuf> {
        (self.wire == Wire::Https).then(|| self.dir.join(certificate::CA))
    }

    /// Ends it in order (SIGTERM): it keeps what it has.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> Result<()> {
        self.server.signal(Signal::TERM)?;
        self.server.wait(STOPS).await?;
        Ok(())
    }

    /// Starts it again, on the same port, with what it had.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restart(&mut self) -> Result<()> {
        self.server = launch(&self.dir, self.wire, self.port, &self.accounts)?;
        self.ready().await
    }

    /// A signature over a whole container, as a customer makes one: `permissions` in Azure's
    /// order, such as `rcw`.
    #[must_use]
    pub fn sas(
        &self,
        account: &str,
        container: &str,
        permissions: &str,
        expiry: DateTime<Utc>,
    ) -> String {
        shared_key::container_sas(account, self.key(account), container, (permissions, expiry))
    }

    async fn ready(&mut self) -> Result<()> {
        let Self { server, client, .. } = self;
        let scheme = match self.wire {
            Wire::Http => "http",
            Wire::Https => "https",
        };
        let url = format!("{scheme}://127.0.0.1:{}/", self.port);
        patience::until("azurite answers", READY, async || {
            server.must_run()?;
            Ok(client.get(&url).send().await.ok())
        })
        .await?;
        Ok(())
    }
}

fn launch(
    dir: &Path,
    wire: Wire,
    port: u16,
    accounts: &BTreeMap<String, String>,
) -> Result<Supervised> {
    let accounts: Vec<String> = accounts
        .iter()
        .map(|(name, key)| format!("{name}:{key}"))
        .collect();
    let data = dir.join("azurite");
    std::fs::create_dir_all(&data).context("making Azurite's folder")?;
    let launch = Launch::new("azurite", "node", &dir.join("azurite.log"))
        .args([environment::local().join(PROGRAM)])
        .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()])
        .args(["--location", &data.to_string_lossy()])
        .args(["--silent", "--disableTelemetry"])
        .envs([("AZURITE_ACCOUNTS", accounts.join(";"))]);
    let launch = match wire {
        Wire::Http => launch,
        Wire::Https => launch.args(["--oauth", "basic"]).args([
            "--cert".into(),
            dir.join(certificate::CERTIFICATE),
            "--key".into(),
            dir.join(certificate::KEY),
        ]),
    };
    launch.start()
}

fn client(dir: &Path, wire: Wire) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(60));
    if wire == Wire::Https {
        let pem = std::fs::read(dir.join(certificate::CA)).context("reading the CA")?;
        let ca = reqwest::Certificate::from_pem(&pem)?;
        builder = builder.tls_certs_only([ca]);
    }
    builder.build().context("building an HTTP client")
}

async fn install() -> Result<()> {
    let script = environment::repository().join("deploy/local/install.sh");
    let mut command = tokio::process::Command::new(script);
    command
        .arg("azurite")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(INSTALL, command.output()).await;
    let output = output.context("installing azurite did not finish")??;
    if !output.status.success() {
        bail!(
            "azurite cannot be installed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
