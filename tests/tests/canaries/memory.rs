//! What is in memory stays there: no core file, and nobody of the same user reads it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::fleet::Fleet;
use callferry_tests::scratch::{self, Scratch};
use callferry_tests::{patience, ports};

/// Whom nobody is.
const NOBODY: u32 = 65_532;

#[tokio::test]
async fn a_process_leaves_no_core_file_and_is_closed_to_its_own_user() -> Result<()> {
    let scratch = Scratch::new("canary-memory")?;
    let fleet = Fleet::new(scratch.path())?;
    if !rustix::process::geteuid().is_root() {
        scratch::skip(
            "a closed process",
            "only root can start one of another user",
        )?;
        return Ok(());
    }
    // Waits for servers that are not there; its folder is its own.
    let port = ports::free_port()?;
    let mut child = Command::new("setpriv")
        .args([
            "--reuid",
            &NOBODY.to_string(),
            "--regid",
            &NOBODY.to_string(),
        ])
        .args(["--clear-groups", "--pdeathsig", "KILL", "--"])
        .arg(fleet.binary())
        .args(["run", "housekeeping"])
        .env_clear()
        .env("CALLFERRY_DATABASE_URL", "postgres://u:p@127.0.0.1:1/d")
        .env("CALLFERRY_AMQP_URL", "amqp://u:p@127.0.0.1:1")
        .env("CALLFERRY_OPS_ADDR", format!("127.0.0.1:{port}"))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let pid = child.id();
    let limits = patience::until("its limits are set", Duration::from_secs(60), async || {
        anyhow::ensure!(child.try_wait()?.is_none(), "it ended");
        let limits = fs::read_to_string(format!("/proc/{pid}/limits"))?;
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"));
        let core = core.context("no limit of core files")?.to_owned();
        let owner = fs::metadata(format!("/proc/{pid}/environ"))?.uid();
        // A process that is not dumpable belongs to root as far as `/proc` is concerned.
        let closed = core.split_whitespace().filter(|word| *word == "0").count() == 2;
        Ok((closed && owner == 0).then_some(core))
    })
    .await;
    let status = Command::new("kill")
        .args(["-ABRT", &pid.to_string()])
        .status()?;
    assert!(status.success());
    let ended = child.wait()?;
    assert!(limits.is_ok(), "{limits:?}");
    assert!(!format!("{ended:?}").contains("core dumped"), "{ended:?}");
    Ok(())
}
