//! Scratch directories under `.local`, gone after success and kept after failure, and the list of
//! what a run had to skip.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use crate::environment;

/// A directory of one test's own.
///
/// Dropping it removes it, unless the test is failing or [`Scratch::keep`] was called: what the
/// servers wrote is then the evidence. Keep it alive for longer than the servers that live in it,
/// which is to say: make it first.
#[derive(Debug)]
pub struct Scratch {
    /// Where it is.
    path: PathBuf,
    /// Whether to leave it behind.
    keep: bool,
}

impl Scratch {
    /// Makes `.local/<name>-<process id>-<number>`.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn new(name: &str) -> Result<Self> {
        Self::beneath(&environment::local(), name)
    }

    /// The same beneath another directory.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn beneath(parent: &Path, name: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let pid = std::process::id();
        fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("{name}-{pid}-{number}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path, keep: false }),
                // Left over from an earlier process with our number.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).context(format!("making {}", path.display())),
            }
        }
    }

    /// Removes what earlier runs of the same name left beneath `parent`, unless they still run.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn sweep(parent: &Path, name: &str) -> Result<()> {
        let Ok(entries) = fs::read_dir(parent) else {
            return Ok(());
        };
        for entry in entries {
            let path = entry?.path();
            let file = path.file_name().and_then(|file| file.to_str());
            let rest = file.and_then(|file| file.strip_prefix(name)?.strip_prefix('-'));
            let pid = rest.and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
            if let Some(pid) = pid
                && !Path::new(&format!("/proc/{pid}")).exists()
            {
                fs::remove_dir_all(&path)
                    .with_context(|| format!("removing {}", path.display()))?;
            }
        }
        Ok(())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a directory in it and returns its path.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(path)
    }

    /// Leaves the directory behind whatever happens.
    pub fn keep(&mut self) {
        self.keep = true;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.keep || std::thread::panicking() {
            tracing::info!(path = %self.path.display(), "scratch directory kept");
        } else if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "scratch directory stays behind");
        }
    }
}

/// Says loudly that something could not be tested here. `deploy/local/test.sh` counts and repeats
/// what was said, so that a skip never looks like a pass.
///
/// # Errors
/// When it cannot be written down: then it must not be skipped either.
pub fn skip(what: &str, why: &str) -> Result<()> {
    let line = format!("SKIPPED {what}: {why}\n");
    std::io::stderr().write_all(line.as_bytes())?;
    let file = environment::local().join("skips.log");
    fs::create_dir_all(environment::local())?;
    let mut log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&file)?;
    log.write_all(line.as_bytes())
        .with_context(|| format!("writing {}", file.display()))
}
