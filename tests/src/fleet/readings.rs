//! What the kernel says a process has used.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// One reading of a process.
#[derive(Clone, Copy, Debug)]
pub struct Readings {
    /// Processor time since its start, in user and kernel mode together.
    pub cpu: Duration,
    /// Anonymous resident memory now, bytes: what it allocated, without files and libraries.
    pub anonymous_bytes: u64,
    /// The most resident memory it ever had, files included, bytes.
    pub peak_bytes: u64,
}

impl Readings {
    /// Reads a running process.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn of(pid: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("reading its times")?;
        // The command's name, in parentheses, may itself hold spaces: count from its end. User
        // and system time are the 14th and 15th field of the line, the 12th and 13th from there.
        let (_, fields) = stat
            .rsplit_once(')')
            .context("a stat line without a name")?;
        let ticks = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(str::parse::<u64>);
        let ticks = ticks.sum::<Result<u64, _>>().context("reading its times")?;
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            number.with_context(|| format!("no {name} of process {pid}: it has ended"))
        };
        Ok(Self {
            cpu: Duration::from_millis(ticks.saturating_mul(1000) / per_second),
            anonymous_bytes: kilobytes("RssAnon:")? * 1024,
            peak_bytes: kilobytes("VmHWM:")? * 1024,
        })
    }
}
