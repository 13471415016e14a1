//! Watching the parts that must be asked: ledger, staging, topology. Each has one task that asks
//! once at a time, so that a part that hangs costs one waiting call and not one per scrape.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::ops::{Readiness, Seen};

/// How often a part is asked.
pub(super) const EVERY: Duration = Duration::from_secs(2);
/// A part that has not answered by then is taken to be down; it is not asked again before it
/// answers.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks a part again and again until `stop` fires, and notes what it says.
pub(super) async fn watch<Fut>(
    part: &'static str,
    readiness: Arc<Readiness>,
    stop: CancellationToken,
    mut ask: impl FnMut() -> Fut,
) -> anyhow::Result<()>
where
    Fut: Future<Output = Result<String, String>>,
{
    let asking = async {
        loop {
            let mut answer = Box::pin(ask());
            let seen = match timeout(PATIENCE, &mut answer).await {
                Ok(answer) => answer,
                Err(_) => {
                    note(part, &readiness, Err("no answer in time".to_owned()));
                    answer.await
                }
            };
            note(part, &readiness, seen);
            sleep(EVERY).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        () = asking => Ok(()),
    }
}

/// Notes an answer, and logs it if it is another than before.
pub(super) fn note(part: &'static str, readiness: &Readiness, answer: Result<String, String>) {
    match answer {
        Ok(says) => {
            if readiness.note(part, Seen::fine(&says)) {
                tracing::info!(part, detail = says, "answers");
            }
        }
        Err(why) => {
            if readiness.note(part, Seen::down(&why)) {
                tracing::warn!(part, error = why, "does not answer");
            }
        }
    }
}
