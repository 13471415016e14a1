//! The quarantine table: what is kept, and what goes back by itself.

use std::time::Duration;

use bytes::Bytes;
use recording::{QuarantineEntry, Queue, Queued, RefusalReason, Requeue, State, rung};

use super::Rows;

/// A requeue that is not confirmed is due again after this long.
const MARK: Duration = Duration::from_secs(60);

/// One quarantined message, counted.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// Why.
    pub(crate) reason: RefusalReason,
    /// Where it goes back to.
    pub(crate) queue: Queue,
    /// The message.
    pub(crate) body: Bytes,
    /// The account and path that it names.
    pub(crate) names: Option<(String, String)>,
    /// How often it was refused.
    pub(crate) count: u32,
    /// When it was refused last.
    pub(crate) last_seen: Duration,
    /// When it was handed out to go back.
    pub(crate) marked: Option<Duration>,
}

impl Rows {
    pub(crate) fn quarantine(&mut self, entry: &QuarantineEntry, now: Duration) {
        let mut rows = self.kept.values_mut();
        let known = rows.find(|kept| kept.reason == entry.reason && kept.body == entry.body);
        if let Some(kept) = known {
            kept.count = kept.count.saturating_add(1);
            kept.last_seen = now;
            return;
        }
        self.next_quarantine = self.next_quarantine.saturating_add(1);
        let kept = Kept {
            reason: entry.reason,
            queue: entry.queue,
            body: entry.body.clone(),
            names: entry.names.clone(),
            count: 1,
            last_seen: now,
            marked: None,
        };
        self.kept.insert(self.next_quarantine, kept);
    }

    /// Whether what it was refused for has passed.
    pub(crate) fn may_return(&self, kept: &Kept, now: Duration) -> bool {
        match kept.reason {
            RefusalReason::AccountUnknown => kept.names.as_ref().is_some_and(|(account, _)| {
                self.accounts.keys().any(|known| known.as_str() == account)
            }),
            RefusalReason::PathInUse => kept.names.as_ref().is_some_and(|(_, path)| {
                !self.rows.values().any(|row| {
                    row.announced.original.path.as_str() == path
                        && !matches!(row.state, State::Released | State::Expired)
                })
            }),
            RefusalReason::DeliveryLimit => kept.last_seen + rung(kept.count) <= now,
            RefusalReason::TooLarge
            | RefusalReason::ContentType
            | RefusalReason::NotJson
            | RefusalReason::DuplicateKey
            | RefusalReason::TooDeep
            | RefusalReason::MissingField
            | RefusalReason::WrongField
            | RefusalReason::UnknownType
            | RefusalReason::UnsafePath
            | RefusalReason::Conflict
            | RefusalReason::ReceiptUnknown => false,
        }
    }

    pub(crate) fn requeues(&mut self, limit: u32, now: Duration) -> Vec<Requeue> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let ready: Vec<i64> = self
            .kept
            .iter()
            .filter(|(_, kept)| kept.marked.is_none_or(|at| at + MARK <= now))
            .filter(|(_, kept)| self.may_return(kept, now))
            .map(|(id, _)| *id)
            .take(most)
            .collect();
        let mut requeues = Vec::new();
        for id in ready {
            if let Some(kept) = self.kept.get_mut(&id) {
                kept.marked = Some(now);
                requeues.push(Requeue {
                    id,
                    queue: kept.queue,
                    message: Queued {
                        body: kept.body.clone(),
                        content_type: None,
                    },
                });
            }
        }
        requeues
    }

    /// SUBTLE: between the mark and this, the message may have come back and been refused for
    /// the same reason: the same row, counted once more. Ending it then would lose the message,
    /// so a row that was seen again stays. (A mutant forgets that.)
    pub(crate) fn requeued(&mut self, id: i64) {
        let forgetful = self.forgetful;
        if let Some(kept) = self.kept.get_mut(&id) {
            let again = kept.marked.is_none_or(|at| kept.last_seen >= at);
            if again && !forgetful {
                kept.marked = None;
            } else {
                self.kept.remove(&id);
            }
        }
    }
}
