//! Every task of the process, by name: nothing runs outside of these two sets, and shutdown waits
//! for both. What still runs at its deadline is listed by name.

use std::collections::BTreeMap;
use std::future::Future;

use anyhow::anyhow;
use tokio::task::{Id, JoinError, JoinSet};

/// A set of tasks with names.
#[derive(Debug, Default)]
struct Named {
    tasks: JoinSet<anyhow::Result<()>>,
    names: BTreeMap<Id, String>,
}

/// How a task ended.
type Ended = Result<(Id, anyhow::Result<()>), JoinError>;

impl Named {
    fn spawn(
        &mut self,
        name: &str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let handle = self.tasks.spawn(task);
        self.names.insert(handle.id(), name.to_owned());
    }

    /// The name of a task that ended, and why if it failed.
    fn ended(&mut self, ended: Ended) -> (String, Option<String>) {
        let (id, why) = match ended {
            Ok((id, Ok(()))) => (id, None),
            Ok((id, Err(error))) => (id, Some(format!("{error:#}"))),
            Err(error) => (error.id(), Some(error.to_string())),
        };
        let name = self.names.remove(&id).unwrap_or_default();
        (name, why)
    }

    async fn all_end(&mut self) {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            if let (name, Some(error)) = self.ended(ended) {
                tracing::error!(task = name, error, "a task failed while stopping");
            }
        }
    }
}

/// The tasks of one process.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    /// What takes on work: consumers, timers, ticks.
    intake: Named,
    /// What the others need until they have ended: publisher, probes, operations port.
    rest: Named,
}

impl Tasks {
    /// Starts something that takes on work.
    pub(super) fn intake(
        &mut self,
        name: &str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.intake.spawn(name, task);
    }

    /// Starts something that the others need until they have ended.
    pub(super) fn rest(
        &mut self,
        name: &str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.rest.spawn(name, task);
    }

    /// Waits for a task that ends although nobody asked it to; there is no such thing in order.
    pub(super) async fn ended_early(&mut self) -> anyhow::Error {
        let (name, why) = tokio::select! {
            Some(ended) = self.intake.tasks.join_next_with_id() => self.intake.ended(ended),
            Some(ended) = self.rest.tasks.join_next_with_id() => self.rest.ended(ended),
            else => std::future::pending().await,
        };
        let why = why.unwrap_or_else(|| "it ended by itself".to_owned());
        anyhow!("{name}: {why}")
    }

    /// Waits until everything that takes on work has ended.
    pub(super) async fn intake_ends(&mut self) {
        self.intake.all_end().await;
    }

    /// Waits until everything else has ended.
    pub(super) async fn rest_ends(&mut self) {
        self.rest.all_end().await;
    }

    /// Drops what has not ended.
    pub(super) async fn drop_all(&mut self) {
        self.intake.tasks.shutdown().await;
        self.rest.tasks.shutdown().await;
    }

    /// The names of what still runs.
    pub(super) fn names(&self) -> Vec<&str> {
        let names = self.intake.names.values().chain(self.rest.names.values());
        names.map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test]
    async fn a_task_that_ends_or_panics_by_itself_is_named() {
        let mut tasks = Tasks::default();
        tasks.rest("waits", pending());
        tasks.intake("fails", async { Err(anyhow!("the reason")) });
        let error = tasks.ended_early().await.to_string();
        assert_eq!(error, "fails: the reason");
        tasks.intake("panics", async { panic!("at the disco") });
        let error = tasks.ended_early().await.to_string();
        assert!(error.starts_with("panics: "), "{error}");
        assert_eq!(tasks.names(), ["waits"]);
        tasks.drop_all().await;
    }

    #[tokio::test]
    async fn waiting_for_work_to_end_does_not_wait_for_the_rest() {
        let mut tasks = Tasks::default();
        tasks.rest("waits", pending());
        tasks.intake("ends", async { Ok(()) });
        tasks.intake_ends().await;
        assert_eq!(tasks.names(), ["waits"]);
        tasks.drop_all().await;
    }
}
