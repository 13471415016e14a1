//! One PostgreSQL cluster (its word for a data directory and the server on it) as our own child.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::child::{Identity, Launch, Supervised, tolerate_absence};
use crate::ports::free_port;

/// The superuser of the clusters we make.
pub(super) const USER: &str = "callferry";
/// `initdb` takes a second on a quiet machine.
const INITDB: Duration = Duration::from_secs(120);

/// How many refusals to start are patience, and not a fault.
const REFUSALS: u32 = 200;

/// A cluster: its place, port and, while it runs, its server.
#[derive(Debug)]
pub(super) struct Cluster {
    /// Logs and, when the server's user can reach it, the data directory.
    dir: PathBuf,
    /// The data directory.
    data: PathBuf,
    /// Where PostgreSQL's programs are.
    programs: PathBuf,
    /// Who the server runs as when we are root, as whom it refuses to run.
    identity: Option<Identity>,
    /// Where it listens.
    pub(super) port: u16,
    /// The superuser's password, of this cluster only.
    pub(super) password: String,
    /// The server.
    server: Option<Supervised>,
    /// How often it refused to start because of processes of a crashed server.
    refusals: u32,
    /// The data directory's parent when it had to be elsewhere; removed with us.
    elsewhere: Option<tempfile::TempDir>,
}

impl Cluster {
    /// Makes a new cluster beneath `dir`.
    pub(super) async fn prepare(dir: &Path) -> Result<Self> {
        let dir = std::path::absolute(dir)?;
        fs::create_dir_all(&dir)?;
        let identity = if geteuid().is_root() {
            Some(unprivileged()?)
        } else {
            None
        };
        let elsewhere = match identity {
            Some(identity) if !can_enter(identity, &dir)? => {
                let place = tempfile::Builder::new().prefix("callferry-pg-").tempdir()?;
                fs::set_permissions(place.path(), fs::Permissions::from_mode(0o711))?;
                Some(place)
            }
            Some(_) | None => None,
        };
        let data = elsewhere
            .as_ref()
            .map_or(dir.as_path(), tempfile::TempDir::path)
            .join("data");
        let cluster = Self {
            dir,
            data,
            programs: programs()?,
            identity,
            port: free_port()?,
            password: uuid::Uuid::new_v4().simple().to_string(),
            server: None,
            refusals: 0,
            elsewhere,
        };
        cluster.initialise().await?;
        Ok(cluster)
    }

    /// The path of one of PostgreSQL's programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    async fn initialise(&self) -> Result<()> {
        fs::create_dir_all(&self.data)?;
        fs::set_permissions(&self.data, fs::Permissions::from_mode(0o700))?;
        let secret = self.data.with_file_name("password");
        fs::write(&secret, &self.password)?;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
        if let Some(Identity { uid, gid }) = self.identity {
            chown(&self.data, Some(uid), Some(gid))?;
            chown(&secret, Some(uid), Some(gid))?;
        }
        let secret_argument = format!("--pwfile={}", secret.display());
        let log = self.dir.join("initdb.log");
        let end = (Signal::KILL, self.identity);
        let mut initdb = Launch::ending_with("initdb", self.program("initdb"), &log, end)
            .args([
                "-U",
                USER,
                "-A",
                "scram-sha-256",
                "-E",
                "UTF8",
                "--no-locale",
                "--no-sync",
            ])
            .args([secret_argument.as_str(), "-D"])
            .args([&self.data])
            .directory(Path::new("/"))
            .start()?;
        let status = initdb.wait(INITDB).await?;
        fs::remove_file(&secret)?;
        if !status.success() {
            bail!("initdb: {status}: {}", initdb.log_text()?);
        }
        Ok(())
    }

    /// Starts the server if it does not run. Readiness is for the caller to wait for.
    pub(super) fn start(&mut self) -> Result<()> {
        if let Some(server) = self.server.as_mut()
            && server.ended()?.is_none()
        {
            return Ok(());
        }
        let port = self.port.to_string();
        let log = self.dir.join("postgres.log");
        // QUIT is PostgreSQL's immediate shutdown: its children and shared memory go with it.
        let end = (Signal::QUIT, self.identity);
        let launch = Launch::ending_with("postgres", self.program("postgres"), &log, end)
            .args(["-p", &port, "-c", "listen_addresses=127.0.0.1"])
            // No Unix socket: its path would have to be short, and nobody uses it.
            .args([
                "-c",
                "unix_socket_directories=",
                "-c",
                "dynamic_shared_memory_type=mmap",
            ])
            .args(["-c", "max_connections=300", "-D"])
            .args([&self.data])
            .directory(Path::new("/"));
        self.server = Some(launch.start()?);
        Ok(())
    }

    /// Starts the server again when it gave up because processes of the one that crashed still
    /// hold its shared memory: they notice the crash soon, but not at once. Any other end, or too
    /// many of this one, is a failure.
    pub(super) fn insist(&mut self) -> Result<()> {
        let server = self
            .server
            .as_mut()
            .context("the database was never started")?;
        let Err(ended) = server.must_run() else {
            return Ok(());
        };
        let log = server.log_text()?;
        let leftovers = [
            "pre-existing shared memory block",
            "lock file \"postmaster.pid\"",
        ];
        // The children that are still ending write their farewells after the refusal.
        let last = log.lines().rev().take(60).collect::<String>();
        self.refusals += 1;
        if self.refusals > REFUSALS || !leftovers.iter().any(|sign| last.contains(sign)) {
            return Err(ended);
        }
        self.start()
    }

    /// Crashes the server.
    pub(super) fn kill9(&mut self) -> Result<()> {
        self.server
            .as_mut()
            .context("the database was never started")?
            .kill9()
            .map(drop)
    }

    /// Signals the server and its children, which put themselves into groups of their own.
    pub(super) fn signal_all(&mut self, signal: Signal) -> Result<()> {
        let server = self
            .server
            .as_mut()
            .context("the database was never started")?;
        let pid = server.pid();
        server.signal(signal)?;
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        for child in children
            .context("listing the database's processes")?
            .split_whitespace()
        {
            if let Some(child) = child.parse().ok().and_then(Pid::from_raw) {
                // One that has just ended needs no signal.
                tolerate_absence(kill_process(child, signal));
            }
        }
        Ok(())
    }

    /// Stops the server: no new connections, open ones are closed, everything written.
    pub(super) async fn stop(&mut self, limit: Duration) -> Result<()> {
        if let Some(mut server) = self.server.take()
            && server.ended()?.is_none()
        {
            server.signal(Signal::INT)?;
            server.wait(limit).await?;
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The server must be gone before its directory goes.
        self.server = None;
        self.elsewhere = None;
    }
}

/// Where PostgreSQL's programs are: `pg_config` knows, or else Debian's newest.
fn programs() -> Result<PathBuf> {
    let told = Command::new("pg_config").arg("--bindir").output().ok();
    let told = told.filter(|output| output.status.success());
    let told = told.map(|out| PathBuf::from(String::from_utf8_lossy(&out.stdout).trim()));
    if let Some(told) = told.filter(|path| path.join("initdb").exists()) {
        return Ok(told);
    }
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let versions = versions.filter(|entry| entry.path().join("bin/initdb").exists());
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions
        .map(|entry| entry.path())
        .max_by_key(|path| number(path));
    let newest = newest.context("PostgreSQL is not installed: run deploy/local/install.sh test")?;
    Ok(newest.join("bin"))
}

/// A user for the server when we are root: its own, or nobody.
fn unprivileged() -> Result<Identity> {
    let users = fs::read_to_string("/etc/passwd").context("reading the list of users")?;
    let find = |name: &str| {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        let uid = fields.next()?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Identity { uid, gid })
    };
    find("postgres")
        .or_else(|| find("nobody"))
        .context("no unprivileged user to run as")
}

/// Whether a user may enter a directory, for instance one beneath root's home.
fn can_enter(Identity { uid, gid }: Identity, dir: &Path) -> Result<bool> {
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--reuid={uid}"))
        .arg(format!("--regid={gid}"));
    command
        .args(["--clear-groups", "--", "test", "-x"])
        .arg(dir);
    let status = command.status().context("running setpriv")?;
    Ok(status.success())
}
