//! Waiting for something, always with a bound: a server that never answers must become a failure
//! that names what was waited for, not a run that hangs.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// How long to pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks `probe` again and again until it has something, and gives up after `limit`.
///
/// # Errors
/// The probe's own error, at once; or, after `limit`, one that names `what`.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = probe().await? {
            return Ok(found);
        }
        if started.elapsed() > limit {
            bail!("waited {} s in vain: {what}", limit.as_secs_f32());
        }
        sleep(PAUSE).await;
    }
}
