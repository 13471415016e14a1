//! Processes of their own, for recordings that are suspected to take their process down.
//!
//! **What it does.** Starts this very executable with the same environment and configuration as
//! `callferry transfer-one`, and says how it ended. A child that panicked or was killed has died;
//! one that ended by itself with a failure met a ledger, broker or machine that is not well, which
//! says nothing against its recording.
//!
//! **Shutdown.** Whoever no longer waits (a drain that hurries) closes the child's standard input;
//! the child gives its lease back and ends. The process waits for that a little, then kills.
//! **Crashes.** The kernel closes that standard input.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use recording::{ChildEnd, Isolation, RecordingKey};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::cli::Global;

/// This very executable, also after another one was installed in its place.
const OURSELVES: &str = "/proc/self/exe";
/// How long a child that was told to end may take to give its lease back.
const PATIENCE: Duration = Duration::from_secs(10);
/// The signals by which somebody ends a process in order.
const ORDERLY: [i32; 3] = [1, 2, 15];

/// A child and what it takes the end of for its parent's.
#[derive(Debug)]
struct Held {
    child: Child,
    /// Held open for as long as the child shall work.
    life_line: Option<ChildStdin>,
}

/// Starts processes of their own.
#[derive(Debug)]
pub(super) struct OwnProcess {
    /// The executable.
    program: OsString,
    /// What leads its arguments: the configuration.
    leading: Vec<OsString>,
    /// Where a child goes that nobody waits for any more.
    abandoned: mpsc::UnboundedSender<Held>,
}

/// Children that nobody waits for any more.
#[derive(Debug)]
pub(super) struct Abandoned(mpsc::UnboundedReceiver<Held>);

/// What starts processes of their own as this one was started, and what ends those that nobody
/// waits for any more.
pub(super) fn isolation(global: &Global) -> (OwnProcess, Abandoned) {
    let mut leading = Vec::new();
    if let Some(file) = &global.config {
        leading.extend(["--config".into(), file.clone().into_os_string()]);
    }
    if global.json {
        leading.push("--json".into());
    }
    let (abandoned, receiver) = mpsc::unbounded_channel();
    let own_process = OwnProcess {
        program: OURSELVES.into(),
        leading,
        abandoned,
    };
    (own_process, Abandoned(receiver))
}

#[async_trait]
impl Isolation for OwnProcess {
    async fn transfer_one(&self, key: &RecordingKey) -> ChildEnd {
        let mut command = Command::new(&self.program);
        command
            .arg0("callferry")
            .args(&self.leading)
            .args(["transfer-one", "--account", key.account_id.as_str()])
            .arg(key.recording_id.as_str())
            .stdin(Stdio::piped())
            // Its answer is its exit code; its log is ours.
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            // A Ctrl-C at our terminal is for us; the child hears of it from us.
            .process_group(0);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return ChildEnd::NotStarted(error.to_string()),
        };
        tracing::info!(recording.key = %key, child.pid = child.id(), "a process of its own began");
        let life_line = child.stdin.take();
        let mut waiting = Waiting {
            held: Some(Held { child, life_line }),
            abandoned: &self.abandoned,
        };
        waiting.end().await
    }
}

/// Somebody waits for a child. Dropping it abandons the child.
struct Waiting<'a> {
    held: Option<Held>,
    abandoned: &'a mpsc::UnboundedSender<Held>,
}

impl Waiting<'_> {
    async fn end(&mut self) -> ChildEnd {
        let Some(held) = &mut self.held else {
            return ChildEnd::NotStarted("nobody was started".to_owned());
        };
        let ended = held.child.wait().await;
        self.held = None;
        match ended {
            Ok(status) => judge(status),
            Err(error) => ChildEnd::NotStarted(format!("it cannot be waited for: {error}")),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            // With nobody there to take it, dropping it kills it.
            drop(self.abandoned.send(held));
        }
    }
}

/// What the end of a child says about its recording.
fn judge(status: ExitStatus) -> ChildEnd {
    match (status.code(), status.signal()) {
        (Some(0), _) => ChildEnd::Settled,
        (Some(code @ 1..=2), _) => {
            ChildEnd::NotStarted(format!("it ended with exit code {code}; its log says why"))
        }
        (_, Some(signal)) if ORDERLY.contains(&signal) => {
            ChildEnd::NotStarted(format!("somebody ended it with signal {signal}"))
        }
        (Some(code), _) => ChildEnd::Died(format!("exit code {code}")),
        (None, Some(signal)) => ChildEnd::Died(format!("killed by signal {signal}")),
        (None, None) => ChildEnd::Died("in an unknown way".to_owned()),
    }
}

impl Abandoned {
    /// Ends each in order, until `stop` fires and all have ended.
    pub(super) async fn end_in_order(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut ending = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                Some(held) = self.0.recv() => { ending.spawn(end(held)); }
                Some(ended) = ending.join_next() => drop(ended),
                () = stop.cancelled() => break,
            }
        }
        while ending.join_next().await.is_some() {}
        Ok(())
    }
}

/// Lets one child end in order, or not.
async fn end(mut held: Held) {
    drop(held.life_line.take());
    let pid = held.child.id();
    if timeout(PATIENCE, held.child.wait()).await.is_err() {
        tracing::warn!(child.pid = pid, "a process of its own does not end: killed");
        if let Err(error) = held.child.kill().await {
            tracing::warn!(child.pid = pid, %error, "it cannot be killed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> RecordingKey {
        RecordingKey {
            account_id: "acme".parse().unwrap(),
            recording_id: "rec-1".parse().unwrap(),
        }
    }

    /// A shell in the place of the executable: what follows `-c SCRIPT` are its own arguments.
    fn shell(script: &str) -> (OwnProcess, Abandoned) {
        let global = Global {
            config: None,
            json: false,
        };
        let (mut own, abandoned) = isolation(&global);
        own.program = "sh".into();
        own.leading = ["-c", script, "sh"].map(OsString::from).to_vec();
        (own, abandoned)
    }

    #[tokio::test]
    async fn how_a_child_ended_says_whether_it_counts_against_its_recording() {
        for (script, counts) in [
            ("exit 0", None),
            ("test \"$*\" = 'transfer-one --account acme rec-1'", None),
            ("exit 1", Some(false)),
            ("exit 2", Some(false)),
            ("kill -TERM $$", Some(false)),
            ("exit 101", Some(true)),
            ("kill -KILL $$", Some(true)),
            ("kill -SEGV $$", Some(true)),
        ] {
            let (own, _abandoned) = shell(script);
            let counted = match own.transfer_one(&key()).await {
                ChildEnd::Settled => None,
                ChildEnd::NotStarted(_) => Some(false),
                ChildEnd::Died(_) => Some(true),
            };
            assert_eq!(counted, counts, "{script}");
        }
        let (mut own, _abandoned) = shell("");
        own.program = "/does/not/exist".into();
        let end = own.transfer_one(&key()).await;
        assert!(matches!(end, ChildEnd::NotStarted(_)), "{end:?}");
    }

    #[tokio::test]
    async fn a_child_that_nobody_waits_for_is_told_by_the_end_of_its_standard_input() {
        let folder = tempfile::tempdir().unwrap();
        let said = folder.path().join("said");
        let script = format!("cat; echo in order > {}", said.display());
        let (own, abandoned) = shell(&script);
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(abandoned.end_in_order(stop.clone()));
        let key = key();
        let waited = timeout(Duration::from_millis(50), own.transfer_one(&key));
        assert!(
            waited.await.is_err(),
            "it works for as long as somebody waits"
        );
        stop.cancel();
        assert!(tasks.join_next().await.unwrap().unwrap().is_ok());
        assert_eq!(std::fs::read_to_string(said).unwrap(), "in order\n");
    }

    #[test]
    fn a_child_is_configured_as_its_parent() {
        let global = Global {
            config: Some("/etc/callferry.toml".into()),
            json: true,
        };
        let (own, _abandoned) = isolation(&global);
        assert_eq!(own.leading, ["--config", "/etc/callferry.toml", "--json"]);
    }
}
