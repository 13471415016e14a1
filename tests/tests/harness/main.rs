//! Tests of the harness itself: a fault that the harness does not really cause would make every
//! test above it worthless.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's own helper functions fail by panicking, as the test does"
)]

mod children;
mod network;
mod servers;

use std::path::Path;
use std::time::Duration;

use callferry_tests::patience;

/// Long enough for anything that should happen.
const SOON: Duration = Duration::from_secs(30);
/// How long to watch for something that must not happen.
const A_WHILE: Duration = Duration::from_millis(300);

/// The ids of processes whose command line or working directory lies in `dir`, zombies aside.
fn processes_in(dir: &Path) -> Vec<i32> {
    let dir = dir.display().to_string();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let place = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        *pid != i32::try_from(std::process::id()).unwrap()
            && !command.is_empty()
            && (command.contains(&dir) || place.starts_with(&dir))
    })
    .collect()
}

async fn until_no_process_is_left_in(dir: &Path) {
    patience::until("every process of the directory ends", SOON, async || {
        Ok(processes_in(dir).is_empty().then_some(()))
    })
    .await
    .unwrap();
}
