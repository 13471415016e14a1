//! What a one-shot command did.

use std::fs;
use std::path::Path;
use std::process::ExitStatus;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A command's exit code and what it wrote.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The arguments, for messages.
    pub args: String,
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    pub(super) fn gather(
        args: &[&str],
        status: ExitStatus,
        output: &Path,
        errors: &Path,
    ) -> Result<Self> {
        Ok(Self {
            args: args.join(" "),
            code: status.code(),
            stdout: fs::read_to_string(output).context("reading a command's output")?,
            stderr: fs::read_to_string(errors).context("reading a command's errors")?,
        })
    }

    /// This outcome, if the command says that it did what it was asked.
    ///
    /// # Errors
    /// When the exit code is not 0.
    pub fn success(self) -> Result<Self> {
        let Self {
            args,
            code,
            stdout,
            stderr,
        } = &self;
        if *code != Some(0) {
            bail!(
                "callferry {args} exited with {code:?}\n{}\n{}",
                stdout.trim(),
                stderr.trim()
            );
        }
        Ok(self)
    }

    /// Standard output as one JSON value.
    ///
    /// # Errors
    /// When it is not.
    pub fn json(&self) -> Result<Value> {
        let Self { args, stdout, .. } = self;
        serde_json::from_str(stdout)
            .with_context(|| format!("callferry {args} printed no JSON but: {}", stdout.trim()))
    }
}
