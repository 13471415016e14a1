//! Child processes that cannot outlive us.
//!
//! Three things end a child: dropping its handle, the end of this process in any way at all
//! (the kernel's parent-death signal, set by `setpriv`), and the child itself.
//!
//! SUBTLE: the kernel sends the parent-death signal when the *thread* that started the child ends,
//! not the process. Threads of an async runtime come and go, so every child is started by one
//! thread that is made for it and never ends before the process does.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::{environment, patience};

/// A command to start, and where its answer goes.
type Order = (Command, SyncSender<io::Result<Child>>);

/// Starts `command` on the thread that never ends.
fn spawn_for_good(command: Command) -> io::Result<Child> {
    static ORDERS: OnceLock<Sender<Order>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (sender, receiver) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in receiver {
                // Nobody waiting any more means that nobody would end the child either.
                if let Err(unheard) = answer.send(command.spawn())
                    && let Ok(mut orphan) = unheard.0
                    && orphan.kill().is_ok()
                {
                    drop(orphan.wait());
                }
            }
        });
        sender
    });
    let (answer, answered) = sync_channel(1);
    let gone = |_| io::Error::other("the thread that starts children is gone");
    orders.send((command, answer)).map_err(|_| gone(()))?;
    answered.recv().map_err(|_| gone(()))?
}

/// Who a child runs as, when not as ourselves.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// A command about to become a [`Supervised`] child.
///
/// Its environment is empty but for `PATH`: proxies, certificate settings and credentials of the
/// person who runs the tests are not part of the test.
#[derive(Debug)]
pub struct Launch {
    /// What to call it in messages.
    name: String,
    /// The command, already below `setpriv`.
    command: Command,
    /// What ends it when its handle is dropped or we die.
    ending: Signal,
    /// Where its output goes.
    log: PathBuf,
}

impl Launch {
    /// Prepares `program` to run with its output going to `log`, killed when we end.
    pub fn new(name: &str, program: impl AsRef<OsStr>, log: &Path) -> Self {
        Self::ending_with(name, program, log, (Signal::KILL, None))
    }

    /// The same with a choice of the signal that ends it (KILL or QUIT) and of whom it runs as.
    pub fn ending_with(
        name: &str,
        program: impl AsRef<OsStr>,
        log: &Path,
        (ending, identity): (Signal, Option<Identity>),
    ) -> Self {
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            if ending == Signal::QUIT {
                "QUIT"
            } else {
                "KILL"
            },
        ]);
        if let Some(Identity { uid, gid }) = identity {
            command
                .arg(format!("--reuid={uid}"))
                .arg(format!("--regid={gid}"));
            command.arg("--clear-groups");
        }
        command.arg("--").arg(program);
        command
            .env_clear()
            .env("PATH", environment::path())
            .env("LC_ALL", "C.UTF-8");
        // A group of its own: Ctrl-C reaches us first, and a whole group can be ended at once.
        command.process_group(0).stdin(Stdio::null());
        Self {
            name: name.to_owned(),
            command,
            ending,
            log: log.to_owned(),
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I, S>(mut self, args: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.command.args(args);
        self
    }

    /// Adds environment variables.
    #[must_use]
    pub fn envs<I, K, V>(mut self, vars: I) -> Self
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.command.envs(vars);
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn directory(mut self, path: &Path) -> Self {
        self.command.current_dir(path);
        self
    }

    /// Starts it; standard output and standard error are appended to the log.
    ///
    /// # Errors
    /// When the log cannot be opened or the program not started.
    pub fn start(self) -> Result<Supervised> {
        let log = append(&self.log)?;
        let errors = log.try_clone().context("sharing the log")?;
        self.start_into(log, errors)
    }

    /// Starts it with standard output in a file of its own and standard error in the log.
    ///
    /// # Errors
    /// When a file cannot be opened or the program not started.
    pub fn start_with_output(self, output: &Path) -> Result<Supervised> {
        let (output, log) = (append(output)?, append(&self.log)?);
        self.start_into(output, log)
    }

    fn start_into(mut self, output: File, errors: File) -> Result<Supervised> {
        self.command.stdout(output).stderr(errors);
        let child =
            spawn_for_good(self.command).with_context(|| format!("starting {}", self.name))?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.with_context(|| format!("{} has an impossible process id", self.name))?;
        let Self {
            name, ending, log, ..
        } = self;
        Ok(Supervised {
            name,
            child,
            pid,
            ending,
            log,
            ended: None,
        })
    }
}

/// For a signal to something that may have ended in the meantime, which is as well.
pub(crate) fn tolerate_absence(sent: rustix::io::Result<()>) {
    if let Err(error) = sent
        && error != rustix::io::Errno::SRCH
    {
        tracing::warn!(%error, "a signal could not be sent");
    }
}

fn append(path: &Path) -> Result<File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
    }
    let file = fs::OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| format!("opening {}", path.display()))
}

/// A running child. Dropping it ends the child and everything in its process group.
#[derive(Debug)]
pub struct Supervised {
    /// What to call it in messages.
    name: String,
    /// The child; we are its parent and reap it, so that no zombie keeps its id.
    child: Child,
    /// Its process id, which is also its group's.
    pid: Pid,
    /// What ends it when dropped.
    ending: Signal,
    /// Where its output goes.
    log: PathBuf,
    /// How it ended, once that is known: after this the id may belong to another process.
    ended: Option<ExitStatus>,
}

impl Supervised {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has written so far.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log_text(&self) -> Result<String> {
        let bytes = fs::read(&self.log).with_context(|| self.log.display().to_string())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// How it ended, or `None` while it runs.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            let status = self.child.try_wait();
            self.ended = status.with_context(|| format!("asking after {}", self.name))?;
        }
        Ok(self.ended)
    }

    /// Fails with the end of its log when it has ended, which a server should not have.
    ///
    /// # Errors
    /// When it no longer runs.
    pub fn must_run(&mut self) -> Result<()> {
        let Some(status) = self.ended()? else {
            return Ok(());
        };
        let log = self.log_text().unwrap_or_default();
        let tail = log.lines().rev().take(15).collect::<Vec<_>>();
        let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
        bail!(
            "{} ended by itself ({status}); {} ends with:\n{tail}",
            self.name,
            self.log.display()
        );
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!("{} has already ended ({status})", self.name);
        }
        kill_process(self.pid, signal).with_context(|| format!("signalling {}", self.name))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it still runs after `limit`.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("{} ends", self.name);
        patience::until(&what, limit, async || self.ended()).await
    }

    /// Ends it at once, with everything in its process group, and reaps it. This is the crash the
    /// tests are about: no handler of the child runs.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill9(&mut self) -> Result<ExitStatus> {
        self.end_with(Signal::KILL)
    }

    /// Signals the group and waits. Blocks, but only for as long as the kernel (KILL) or
    /// PostgreSQL's immediate shutdown (QUIT, which has a limit of its own) takes.
    fn end_with(&mut self, signal: Signal) -> Result<ExitStatus> {
        if let Some(status) = self.ended()? {
            return Ok(status);
        }
        if signal == Signal::KILL {
            tolerate_absence(kill_process_group(self.pid, signal));
        } else {
            tolerate_absence(kill_process(self.pid, signal));
            tolerate_absence(kill_process_group(self.pid, Signal::CONT));
        }
        let status = self
            .child
            .wait()
            .with_context(|| format!("reaping {}", self.name))?;
        self.ended = Some(status);
        Ok(status)
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if let Err(error) = self.end_with(self.ending) {
            tracing::warn!(name = self.name, %error, "a child may still run");
        }
    }
}
