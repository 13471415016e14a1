//! The real binary as a fleet of processes: started, signalled, crashed, frozen, measured.

mod member;
mod outcome;
mod readings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

pub use member::Member;
pub use outcome::Outcome;
pub use readings::Readings;

use crate::child::Launch;
use crate::ports::free_port;
use crate::{environment, patience};

/// The longest a one-shot command may take: `topology apply` on a busy machine is the slowest.
const COMMAND: Duration = Duration::from_secs(120);

/// What the members of a fleet have in common: the binary, the place for logs, the environment.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// The `callferry` executable.
    binary: PathBuf,
    /// Where logs go.
    dir: PathBuf,
    /// The environment of every member and command. Nothing is inherited but `PATH`.
    env: BTreeMap<String, String>,
    /// What members with a role have besides, by role.
    of_role: BTreeMap<String, BTreeMap<String, String>>,
}

impl Fleet {
    /// A fleet of the `callferry` beside this program (built by `cargo build --bin callferry`), or
    /// of the one `CALLFERRY_BINARY` names, with its logs in `dir`.
    ///
    /// # Errors
    /// When there is no such binary.
    pub fn new(dir: &Path) -> Result<Self> {
        Ok(Self::of(&find_binary()?, dir))
    }

    /// A fleet of another executable.
    #[must_use]
    pub fn of(binary: &Path, dir: &Path) -> Self {
        // Nobody's instance metadata is asked for credentials that the test did not give.
        let quiet = ("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned());
        Self {
            binary: binary.to_owned(),
            dir: dir.to_owned(),
            env: BTreeMap::from([quiet]),
            of_role: BTreeMap::new(),
        }
    }

    /// Sets a variable for all members and commands from now on.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// Sets a variable for all members and commands from now on.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.env.insert(name.to_owned(), value.into());
    }

    /// Sets a variable for all members that run `role` from now on: a broker or database user of
    /// that role's own, for instance. A member that runs several roles has the variables of all,
    /// the last one's where they differ.
    pub fn set_for(&mut self, role: &str, name: &str, value: impl Into<String>) {
        let own = self.of_role.entry(role.to_owned()).or_default();
        own.insert(name.to_owned(), value.into());
    }

    /// Unsets a variable for all members and commands from now on.
    pub fn unset(&mut self, name: &str) {
        self.env.remove(name);
    }

    /// The environment of a member that runs `roles`, besides what is its own alone.
    #[must_use]
    pub fn environment(&self, roles: &[&str]) -> BTreeMap<String, String> {
        let mut env = self.env.clone();
        for role in roles {
            env.extend(self.of_role.get(*role).cloned().unwrap_or_default());
        }
        env
    }

    /// The executable.
    #[must_use]
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Starts `callferry run <roles>` as a process called `name` (also its log's name) and does
    /// not wait until it is ready.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, name: &str, roles: &[&str]) -> Result<Member> {
        self.start_with(name, roles, &[])
    }

    /// The same with variables of this member's own.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_with(&self, name: &str, roles: &[&str], own: &[(&str, &str)]) -> Result<Member> {
        let mut args = vec!["run"];
        args.extend(roles);
        self.start_args(name, &args, own)
    }

    /// Starts the executable with any arguments, for members that are not roles.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_args(&self, name: &str, args: &[&str], own: &[(&str, &str)]) -> Result<Member> {
        let ops = format!("127.0.0.1:{}", free_port()?);
        // The words after `run` are roles; any other word is the name of none.
        let launch = Launch::new(name, &self.binary, &self.dir.join(format!("{name}.log")))
            .envs(self.environment(args))
            .envs([("CALLFERRY_OPS_ADDR", ops.as_str())])
            .envs(own.iter().copied())
            .args(args);
        let told = own.iter().find(|(key, _)| *key == "CALLFERRY_OPS_ADDR");
        let ops = told.map_or(ops, |(_, address)| (*address).to_owned());
        Ok(Member::new(name, launch.start()?, ops))
    }

    /// Starts a member and waits until `/readyz` says yes.
    ///
    /// # Errors
    /// When it cannot be started, ends, or is not ready in time. The error has the end of its log.
    pub async fn start_ready(&self, name: &str, roles: &[&str]) -> Result<Member> {
        let mut member = self.start(name, roles)?;
        member.ready(patience_of_a_start()).await?;
        Ok(member)
    }

    /// Runs a command of the command line to its end.
    ///
    /// # Errors
    /// When it cannot be started or does not end; a refusal is an [`Outcome`], not an error.
    pub async fn run(&self, args: &[&str]) -> Result<Outcome> {
        self.run_with(args, &[]).await
    }

    /// The same with variables of this command's own, which win over all others.
    ///
    /// # Errors
    /// As [`Fleet::run`].
    pub async fn run_with(&self, args: &[&str], own: &[(&str, &str)]) -> Result<Outcome> {
        let binary = self.binary.clone();
        self.launch(args, own, |errors| Launch::new("callferry", binary, errors))
            .await
    }

    /// Runs a command that reads standard input from `file`.
    ///
    /// # Errors
    /// As [`Fleet::run`].
    pub async fn run_reading(&self, args: &[&str], file: &Path) -> Result<Outcome> {
        let (binary, file) = (self.binary.clone(), file.to_owned());
        // Children have no standard input; a shell opens the file in its place.
        let redirected = |errors: &Path| {
            Launch::new("callferry", "sh", errors)
                .args(["-c", "exec \"$0\" \"$@\" < \"$CALLFERRY_TEST_INPUT\""])
                .args([binary.as_os_str()])
                .envs([("CALLFERRY_TEST_INPUT", file.as_os_str())])
        };
        self.launch(args, &[], redirected).await
    }

    async fn launch(
        &self,
        args: &[&str],
        own: &[(&str, &str)],
        launch: impl FnOnce(&Path) -> Launch,
    ) -> Result<Outcome> {
        let number = uuid::Uuid::new_v4().simple().to_string();
        let output = self.dir.join(format!("command-{number}.out"));
        let errors = self.dir.join(format!("command-{number}.err"));
        let launch = launch(&errors)
            .envs(&self.env)
            .envs(own.iter().copied())
            .args(args);
        let mut running = launch.start_with_output(&output)?;
        let status = running.wait(COMMAND).await?;
        let outcome = Outcome::gather(args, status, &output, &errors)?;
        std::fs::remove_file(&output).context("clearing away a command's output")?;
        std::fs::remove_file(&errors).context("clearing away a command's errors")?;
        Ok(outcome)
    }

    /// Runs a command that must succeed.
    ///
    /// # Errors
    /// As [`Fleet::run`], and when it exits with anything but 0.
    pub async fn must(&self, args: &[&str]) -> Result<Outcome> {
        self.run(args).await?.success()
    }

    /// Runs a command until it succeeds, for what becomes true after a while.
    ///
    /// # Errors
    /// When it has not by `limit`: with its last refusal.
    pub async fn eventually(&self, args: &[&str], limit: Duration) -> Result<Outcome> {
        let mut last = String::new();
        let what = format!("callferry {args:?}");
        let found = patience::until(&what, limit, async || {
            let outcome = self.run(args).await?;
            last = outcome.stderr.clone();
            Ok((outcome.code == Some(0)).then_some(outcome))
        });
        let found = found.await;
        found.with_context(|| format!("the last refusal was: {}", last.trim()))
    }
}

/// How long a member may take until it is ready, on a machine that also compiles.
fn patience_of_a_start() -> Duration {
    Duration::from_secs(60)
}

/// Looks beside this program, and one directory above it (tests live in `deps`).
fn find_binary() -> Result<PathBuf> {
    if let Some(told) = environment::binary() {
        return Ok(told);
    }
    let own = std::env::current_exe().context("asking for this program's path")?;
    let places = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|place| place.join("callferry"));
    let found = places.into_iter().find(|path| path.is_file());
    found.context("no callferry beside this program: run `cargo build --bin callferry`")
}
