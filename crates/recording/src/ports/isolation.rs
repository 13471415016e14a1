//! A process of its own for a recording that is suspected to take its process down.

use async_trait::async_trait;

use crate::RecordingKey;

/// How the process of its own ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChildEnd {
    /// It ended by itself: the recording has an outcome, or goes on elsewhere.
    Settled,
    /// It died while its parent lived. Says how.
    Died(String),
    /// It could not be started, which is nobody's fault but the machine's. Says why.
    NotStarted(String),
}

/// Starts `callferry transfer-one` for one recording and waits for its end.
#[async_trait]
pub trait Isolation: Send + Sync {
    /// Runs it. Dropping the future ends the child.
    async fn transfer_one(&self, key: &RecordingKey) -> ChildEnd;
}
