//! A private PostgreSQL server that can be crashed and restarted; or databases of our own on a
//! server that already runs.
//!
//! The server is our own child, so that we reap it: after a crash no zombie keeps the process id
//! alive that `postmaster.pid` names, which the next start would take for a running server.
//! `fsync` stays on, since what a crash leaves behind is what the tests are about.

mod cluster;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use url::Url;

use crate::{environment, patience};
use cluster::Cluster;

/// Recovery after a crash takes seconds while a compiler keeps the disk busy.
const READY: Duration = Duration::from_secs(60);
/// One statement of a test's own.
const STATEMENT: Duration = Duration::from_secs(60);

/// A server, and the databases we made on it.
#[derive(Debug)]
pub struct Postgres {
    /// The server, when it is ours. `None`: somebody else's.
    cluster: Option<Cluster>,
    /// The server's URL with user and password; its path is the database to connect to first.
    server: Url,
    /// Put before the name of every database, so that runs do not meet on a shared server.
    prefix: String,
    /// `psql`.
    psql: PathBuf,
    /// The databases made, dropped by [`Postgres::stop`] on a server that is not ours.
    databases: Vec<String>,
}

impl Postgres {
    /// Starts a private server with its state in `dir` and waits until it answers.
    ///
    /// # Errors
    /// When PostgreSQL is not installed, or does not come up in time.
    pub async fn start(dir: &Path) -> Result<Self> {
        let cluster = Cluster::prepare(dir).await?;
        let address = format!("127.0.0.1:{}", cluster.port);
        let url = format!(
            "postgres://{}:{}@{address}/postgres",
            cluster::USER,
            cluster.password
        );
        let mut postgres = Self {
            psql: cluster.program("psql"),
            cluster: Some(cluster),
            server: Url::parse(&url)?,
            prefix: String::new(),
            databases: Vec::new(),
        };
        postgres.restart().await?;
        Ok(postgres)
    }

    /// The server at `CALLFERRY_DATABASE_URL`, or else a private one. For tests that need a
    /// database; those that break the server need [`Postgres::start`].
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn obtain(dir: &Path) -> Result<Self> {
        let Some(existing) = environment::database_url() else {
            return Self::start(dir).await;
        };
        let server = Url::parse(&existing).context("CALLFERRY_DATABASE_URL")?;
        let prefix = format!("t{}_", uuid::Uuid::new_v4().simple());
        let psql = PathBuf::from("psql");
        Ok(Self {
            cluster: None,
            server,
            prefix,
            psql,
            databases: Vec::new(),
        })
    }

    /// The URL of a database made by [`Postgres::create_database`].
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let mut url = self.server.clone();
        url.set_path(&format!("{}{database}", self.prefix));
        url.into()
    }

    /// The same by way of a proxy at `address`.
    ///
    /// # Errors
    /// When the address cannot stand in a URL.
    pub fn url_through(&self, address: std::net::SocketAddr, database: &str) -> Result<String> {
        let mut url = Url::parse(&self.url(database))?;
        if url.set_ip_host(address.ip()).is_err() || url.set_port(Some(address.port())).is_err() {
            bail!("{address} does not fit into the database's URL");
        }
        Ok(url.into())
    }

    /// Host and port, for a proxy in front of it.
    ///
    /// # Errors
    /// When the URL names none.
    pub fn address(&self) -> Result<String> {
        let host = self
            .server
            .host_str()
            .context("the database's URL has no host")?;
        Ok(format!("{host}:{}", self.server.port().unwrap_or(5432)))
    }

    /// Makes a database and returns its URL. The name is made of lower-case letters, digits and
    /// underscores.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn create_database(&mut self, name: &str) -> Result<String> {
        let full = format!("{}{name}", self.prefix);
        psql(
            &self.psql,
            self.server.as_str(),
            &format!("CREATE DATABASE {full}"),
        )
        .await?;
        self.databases.push(full);
        Ok(self.url(name))
    }

    /// Runs SQL by `psql` in a database of ours and returns rows as lines, columns by `|`.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn sql(&self, database: &str, statements: &str) -> Result<String> {
        psql(&self.psql, &self.url(database), statements).await
    }

    /// Everything in a database of ours, as a backup holds it: `pg_dump` in plain SQL.
    ///
    /// # Errors
    /// When it does not end well.
    pub async fn dump(&self, database: &str) -> Result<Vec<u8>> {
        let mut command = tokio::process::Command::new(self.psql.with_file_name("pg_dump"));
        command
            .arg(self.url(database))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let finished = tokio::time::timeout(STATEMENT, command.output()).await;
        let output = finished
            .context("pg_dump did not finish")?
            .context("running pg_dump")?;
        if !output.status.success() {
            bail!(
                "pg_dump: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(output.stdout)
    }

    fn cluster(&mut self) -> Result<&mut Cluster> {
        let refusal = "CALLFERRY_DATABASE_URL names a server that is not ours to break";
        self.cluster.as_mut().context(refusal)
    }

    /// Crashes the server: its process is killed, its children notice and follow.
    ///
    /// # Errors
    /// When it is not ours.
    pub fn kill9(&mut self) -> Result<()> {
        self.cluster()?.kill9()
    }

    /// Freezes every process of the server: connections stay open, nothing answers.
    ///
    /// # Errors
    /// When it is not ours or does not run.
    pub fn freeze(&mut self) -> Result<()> {
        self.cluster()?.signal_all(Signal::STOP)
    }

    /// Ends [`Postgres::freeze`].
    ///
    /// # Errors
    /// When it is not ours or does not run.
    pub fn thaw(&mut self) -> Result<()> {
        self.cluster()?.signal_all(Signal::CONT)
    }

    /// Starts the server if it does not run, on the same port and data, and waits for it.
    ///
    /// # Errors
    /// When it is not ours or does not come up in time.
    pub async fn restart(&mut self) -> Result<()> {
        self.cluster()?.start()?;
        let Self {
            cluster,
            psql: program,
            server,
            ..
        } = self;
        patience::until("the database answers", READY, async || {
            if let Some(cluster) = cluster.as_mut() {
                cluster.insist()?;
            }
            Ok(psql(program, server.as_str(), "SELECT 1").await.ok())
        })
        .await
        .map(drop)
    }

    /// Stops the server (fast shutdown); of an existing one only our databases go.
    ///
    /// # Errors
    /// When it does not stop in time.
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(cluster) = self.cluster.as_mut() {
            return cluster.stop(READY).await;
        }
        for database in std::mem::take(&mut self.databases) {
            let drop = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
            psql(&self.psql, self.server.as_str(), &drop).await?;
        }
        Ok(())
    }
}

/// Runs `psql` once. A client of its own rather than a driver: only `catalog` knows the driver.
async fn psql(program: &Path, url: &str, statements: &str) -> Result<String> {
    let mut command = tokio::process::Command::new(program);
    command.args([
        "-X",
        "-q",
        "-A",
        "-t",
        "-v",
        "ON_ERROR_STOP=1",
        "-c",
        statements,
        url,
    ]);
    command
        .env("PGCONNECT_TIMEOUT", "5")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let finished = tokio::time::timeout(STATEMENT, command.output()).await;
    let output = finished
        .context("psql did not finish")?
        .context("running psql")?;
    if !output.status.success() {
        bail!("psql: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned())
}
