//! Programs that judge what `deploy/` holds, and the skip where a machine has none of them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::{environment, scratch};
use serde_json::Value;
use tokio::process::Command;

/// Nothing here computes for long; a program that hangs is a failure.
const LIMIT: Duration = Duration::from_secs(120);

/// What a program said.
pub(crate) struct Said {
    /// Whether it ended with 0.
    pub(crate) fine: bool,
    /// Standard output.
    pub(crate) out: String,
    /// Both outputs, for messages.
    pub(crate) all: String,
}

/// A path beneath `deploy/`.
pub(crate) fn deploy(path: &str) -> PathBuf {
    environment::repository().join("deploy").join(path)
}

/// A file beneath `deploy/`.
pub(crate) fn text(path: &str) -> Result<String> {
    let path = deploy(path);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// Runs a prepared command to its end.
pub(crate) async fn run(command: &mut Command) -> Result<Said> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let shown = format!("{:?}", command.as_std());
    let output = tokio::time::timeout(LIMIT, command.output()).await;
    let output = output
        .with_context(|| format!("did not end: {shown}"))?
        .with_context(|| format!("running {shown}"))?;
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    Ok(Said {
        fine: output.status.success(),
        all: format!("{out}{errors}"),
        out,
    })
}

/// The same, where anything but success is a failure of the test.
pub(crate) async fn must(command: &mut Command) -> Result<String> {
    let shown = format!("{:?}", command.as_std());
    let said = run(command).await?;
    anyhow::ensure!(said.fine, "{shown}\n{}", said.all);
    Ok(said.out)
}

/// A program of this name on `PATH`; skips `what` loudly where there is none.
pub(crate) fn find(program: &str, what: &str) -> Result<Option<PathBuf>> {
    let path = environment::path();
    let found = std::env::split_paths(&path)
        .map(|place| place.join(program))
        .find(|path| path.is_file());
    if found.is_none() {
        scratch::skip(what, &format!("no {program} here"))?;
    }
    Ok(found)
}

/// A program that `deploy/local/install.sh manifests` has installed; skips `what` loudly where it
/// could not be.
pub(crate) fn installed(path: &str, what: &str) -> Result<Option<PathBuf>> {
    let program = environment::local().join("tools").join(path);
    if program.exists() {
        return Ok(Some(program));
    }
    let why = "deploy/local/install.sh manifests has not run or could not install it";
    scratch::skip(what, why)?;
    Ok(None)
}

/// The documents of a YAML file as JSON; `None` where nothing here can read YAML (said loudly).
pub(crate) async fn documents(file: &Path, what: &str) -> Result<Option<Vec<Value>>> {
    let Some(python) = installed("manifests/bin/python", what)? else {
        return Ok(None);
    };
    let script = environment::repository().join("tests/tools/deployment/documents.py");
    let json = must(Command::new(python).arg(script).arg(file)).await?;
    Ok(Some(serde_json::from_str(&json)?))
}
