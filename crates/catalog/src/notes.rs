//! Notes: what is written without anybody waiting for it, in batches. Losing one only repeats an
//! event, so a full backlog drops and counts instead of slowing anybody down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use recording::{LedgerFault, Note};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use crate::catalog::seconds;
use crate::pool::Pool;
use crate::settings::Settings;

/// How long [`Notes::close`] lets the last batches take.
const LAST_BATCHES: Duration = Duration::from_secs(10);
/// How long to wait before a batch that failed is tried again.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

const ACKNOWLEDGED: &str = "-- name: note_acknowledged
    update recordings r set
        acknowledged_at = now(),
        due_queue = case r.state when 'stored' then 'cleanup' when 'released' then null
                    else r.due_queue end,
        due_at = case
            when r.state = 'released' then null
            when r.state <> 'stored' or r.lease_until > now() then r.due_at
            when r.release_reason is not null then r.release_next_attempt_at
            else now() + make_interval(secs => $4::float8) end,
        driven_at = case when r.due_queue = 'cleanup' then r.driven_at end,
        drive_count = case when r.due_queue = 'cleanup' then r.drive_count else 0 end
      from unnest($1::text[], $2::text[], $3::uuid[]) as noted (account_id, recording_id, id)
     where r.account_id = noted.account_id and r.recording_id = noted.recording_id
       and r.acknowledgment_id = noted.id and r.acknowledged_at is null";

const ANNOUNCED: &str = "-- name: note_announced
    update recordings r set announced_at = now(), announce_after = null
      from unnest($1::text[], $2::text[], $3::uuid[]) as noted (account_id, recording_id, id)
     where r.account_id = noted.account_id and r.recording_id = noted.recording_id
       and r.announcement_id = noted.id and r.announced_at is null";

/// The way in, and the one task that writes.
pub(crate) struct Notes {
    inbox: mpsc::Sender<Note>,
    closing: watch::Sender<bool>,
    dropped: Arc<AtomicU64>,
    writer: Mutex<JoinSet<()>>,
}

impl Notes {
    /// Starts the task.
    pub(crate) fn start(runtime: &Handle, pool: Pool, settings: &Settings) -> Self {
        let (inbox, outbox) = mpsc::channel(settings.note_backlog.max(1));
        let (closing, closed) = watch::channel(false);
        let dropped = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            pool,
            outbox,
            closing: closed,
            dropped: Arc::clone(&dropped),
            every: settings.note_every,
            batch: settings.note_batch.max(1),
            unreleased_after: seconds(settings.unreleased_after),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn_on(writer.run(), runtime);
        Self {
            inbox,
            closing,
            dropped,
            writer: Mutex::new(tasks),
        }
    }

    /// Adds one, or drops and counts it.
    pub(crate) fn add(&self, note: Note) {
        if self.inbox.try_send(note).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes what waits, each batch once, and ends the task.
    pub(crate) async fn close(&self) {
        self.closing.send_replace(true);
        let mut writer = self.writer.lock().await;
        let ended = timeout(LAST_BATCHES, async {
            while let Some(end) = writer.join_next().await {
                if let Err(error) = end {
                    tracing::error!(%error, "the writer of notes ended badly");
                }
            }
        });
        if ended.await.is_err() {
            tracing::warn!("the last notes could not be written in time; their events repeat");
            writer.abort_all();
        }
    }
}

struct Writer {
    pool: Pool,
    outbox: mpsc::Receiver<Note>,
    closing: watch::Receiver<bool>,
    dropped: Arc<AtomicU64>,
    every: Duration,
    batch: usize,
    unreleased_after: f64,
}

impl Writer {
    async fn run(mut self) {
        let mut batch = Vec::new();
        while self.gather(&mut batch).await {
            if let Err(fault) = self.write(&batch).await {
                tracing::warn!(%fault, notes = batch.len(), "notes could not be written yet");
                if matches!(fault, LedgerFault::Corrupt(_)) {
                    self.count_dropped(batch.len());
                    batch.clear();
                }
                // Closing ends the wait; an error means that nobody can close any more.
                let closing = self.closing.wait_for(|closing| *closing);
                if matches!(timeout(AFTER_FAILURE, closing).await, Ok(Err(_))) {
                    return;
                }
                continue;
            }
            batch.clear();
        }
        self.outbox.close();
        // What is left is tried once.
        loop {
            while batch.len() < self.batch
                && let Ok(note) = self.outbox.try_recv()
            {
                batch.push(note);
            }
            if batch.is_empty() {
                return;
            }
            if let Err(fault) = self.write(&batch).await {
                tracing::warn!(%fault, notes = batch.len(), "notes lost; their events repeat");
                self.count_dropped(batch.len());
            }
            batch.clear();
        }
    }

    /// Gathers a batch on top of what is there; `false` when closing.
    async fn gather(&mut self, batch: &mut Vec<Note>) -> bool {
        if *self.closing.borrow() {
            return false;
        }
        let mut until = None;
        while batch.len() < self.batch {
            if !batch.is_empty() && until.is_none() {
                until = Some(Instant::now() + self.every);
            }
            let next = tokio::select! {
                note = receive(&mut self.outbox, until) => note,
                _ = self.closing.wait_for(|closing| *closing) => return false,
            };
            match next {
                Received::Note(note) => batch.push(note),
                Received::TimeUp => return true,
                Received::End => return false,
            }
        }
        true
    }

    fn count_dropped(&self, notes: usize) {
        let notes = u64::try_from(notes).unwrap_or(u64::MAX);
        self.dropped.fetch_add(notes, Ordering::Relaxed);
    }

    async fn write(&self, batch: &[Note]) -> Result<(), LedgerFault> {
        let mut acknowledged = Columns::default();
        let mut announced = Columns::default();
        for note in batch {
            let (columns, key, id) = match note {
                Note::Acknowledged(key, id) => (&mut acknowledged, key, id),
                Note::Announced(key, id) => (&mut announced, key, id),
            };
            columns.accounts.push(key.account_id.as_str());
            columns.recordings.push(key.recording_id.as_str());
            columns.ids.push(*id);
        }
        if !acknowledged.ids.is_empty() {
            let Columns {
                accounts,
                recordings,
                ids,
            } = &acknowledged;
            let after = &self.unreleased_after;
            self.pool
                .rows(ACKNOWLEDGED, &[accounts, recordings, ids, after])
                .await?;
        }
        if !announced.ids.is_empty() {
            let Columns {
                accounts,
                recordings,
                ids,
            } = &announced;
            self.pool
                .rows(ANNOUNCED, &[accounts, recordings, ids])
                .await?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Columns<'a> {
    accounts: Vec<&'a str>,
    recordings: Vec<&'a str>,
    ids: Vec<uuid::Uuid>,
}

enum Received {
    Note(Note),
    TimeUp,
    End,
}

async fn receive(outbox: &mut mpsc::Receiver<Note>, until: Option<Instant>) -> Received {
    let received = match until {
        None => outbox.recv().await,
        Some(until) => match timeout_at(until, outbox.recv()).await {
            Ok(received) => received,
            Err(_) => return Received::TimeUp,
        },
    };
    received.map_or(Received::End, Received::Note)
}
