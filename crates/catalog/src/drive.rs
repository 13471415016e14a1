//! Driving on: what is due, handed out once at a time, and the announcements that are owed.
//!
//! `due_at` and `due_queue` are set by every statement that moves a row, so that finding what is
//! due looks at nothing else, however large the table is.

use recording::{Announcement, LedgerFault, Queue, RecordingKey};

use crate::Catalog;
use crate::catalog::seconds;
use crate::failure::Failure;
use crate::rows::{self, announcement_columns};

const DRIVE: &str = "-- name: drive
with due as materialized (
    select account_id, recording_id, due_at from recordings
     where due_queue = $1 and due_at <= now()
       -- An acknowledgment that is owed needs no destination.
       and (((state = 'parked' and due_queue = 'transfer')
             or (state = 'stored' and release_reason is not null and due_queue = 'cleanup'))
            and destination_revision in (
                select revision from destination_health
                 where state = 'unhealthy' and holds and coalesce(asked_until <= now(), true)
                   and ($1 = 'transfer' or source = 'cleanup'))) is not true
     order by due_at limit $2 for update skip locked
), driven as (
    update recordings r set
        driven_at = now(), drive_count = least(r.drive_count + 1, 30),
        due_at = now() + make_interval(secs =>
            least($3::float8 * 2 ^ r.drive_count, $4::float8))
      from due
     where r.account_id = due.account_id and r.recording_id = due.recording_id
    returning r.account_id, r.recording_id, due.due_at
)
select account_id, recording_id from driven order by due_at";

const UNDRIVE: &str = "-- name: undrive
    update recordings r set
        driven_at = null, drive_count = greatest(r.drive_count - 1, 0), due_at = now()
      from unnest($2::text[], $3::text[]) as named (account_id, recording_id)
     where r.account_id = named.account_id and r.recording_id = named.recording_id
       and r.driven_at is not null and r.due_queue = $1";

const ANNOUNCEMENTS: &str = concat!(
    "-- name: announcements
with owed as materialized (
    select account_id, recording_id, announce_after from recordings
     where announce_after <= now() and state in ('parked', 'released', 'expired')
     order by announce_after limit $1 for update skip locked
), r as (
    update recordings r set announce_after = now() + make_interval(secs => $2::float8)
      from owed
     where r.account_id = owed.account_id and r.recording_id = owed.recording_id
    returning r.*
)
select ",
    announcement_columns!(),
    "from r left join reached_destinations d on d.revision = r.destination_revision"
);

/// The queue's word in the ledger.
pub(crate) fn queue_word(queue: Queue) -> &'static str {
    match queue {
        Queue::Transfer => "transfer",
        Queue::Cleanup => "cleanup",
        Queue::Quarantine => "quarantine",
    }
}

/// The queue of a word.
pub(crate) fn queue_from(word: &str) -> Result<Queue, Failure> {
    Queue::ALL
        .into_iter()
        .find(|queue| queue_word(*queue) == word)
        .ok_or_else(|| crate::failure::corrupt(format!("`{word}` is not a queue")))
}

impl Catalog {
    /// See [`recording::Ledger::due`].
    pub(crate) async fn drive(
        &self,
        queue: Queue,
        limit: u32,
    ) -> Result<Vec<RecordingKey>, LedgerFault> {
        let again = seconds(self.settings.drive_again_after);
        let at_most = seconds(self.settings.drive_again_at_most);
        let rows = self
            .pool
            .rows(
                DRIVE,
                &[&queue_word(queue), &i64::from(limit), &again, &at_most],
            )
            .await?;
        Ok(rows.iter().map(rows::key).collect::<Result<_, _>>()?)
    }

    /// See [`recording::Ledger::undrive`].
    pub(crate) async fn clear_drive(
        &self,
        queue: Queue,
        keys: &[RecordingKey],
    ) -> Result<(), LedgerFault> {
        if keys.is_empty() {
            return Ok(());
        }
        let accounts: Vec<&str> = keys.iter().map(|key| key.account_id.as_str()).collect();
        let recordings: Vec<&str> = keys.iter().map(|key| key.recording_id.as_str()).collect();
        self.pool
            .rows(UNDRIVE, &[&queue_word(queue), &accounts, &recordings])
            .await?;
        Ok(())
    }

    /// See [`recording::Ledger::announcements`].
    pub(crate) async fn owed_announcements(
        &self,
        limit: u32,
    ) -> Result<Vec<Announcement>, LedgerFault> {
        let again = seconds(self.settings.announce_after);
        let rows = self
            .pool
            .rows(ANNOUNCEMENTS, &[&i64::from(limit), &again])
            .await?;
        Ok(rows
            .iter()
            .map(rows::announcement)
            .collect::<Result<_, _>>()?)
    }
}
