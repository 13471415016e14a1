//! The beginning and end that the measuring tools share: a runtime, a scratch directory that is
//! kept when the run failed, a platform whose store counts what it is sent, and a last line.
#![expect(
    clippy::print_stdout,
    reason = "tools that print to the person who ran them"
)]

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use crate::environment;
use crate::platform::Platform;
use crate::s3::LabOptions;
use crate::scratch::Scratch;

/// Runs `tool` in a scratch directory of this name, which stays when it fails.
pub fn run(name: &str, tool: impl AsyncFnOnce(&Path) -> Result<()>) -> ExitCode {
    let ended = tokio::runtime::Runtime::new()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(judged(name, tool)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn judged(name: &str, tool: impl AsyncFnOnce(&Path) -> Result<()>) -> Result<()> {
    let mut scratch = Scratch::beneath(&environment::local(), name)?;
    let judged = tool(scratch.path()).await;
    if judged.is_err() {
        scratch.keep();
    }
    judged
}

/// A platform in optimised processes. With `opaque_etags` its store makes entity tags that are no
/// MD5, so that it burns less of the processor that is measured.
///
/// # Errors
/// When a server does not start.
pub async fn platform(dir: &Path, opaque_etags: bool) -> Result<Platform> {
    let options = LabOptions {
        opaque_etags,
        ..LabOptions::default()
    };
    Platform::start_with(dir, options, true).await
}

/// Bytes that the store was sent, whatever became of them.
#[must_use]
pub fn sent(platform: &Platform) -> u64 {
    let seen = platform.lab.history();
    seen.iter().map(|one| one.bytes_in).sum()
}
