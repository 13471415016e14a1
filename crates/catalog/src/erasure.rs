//! Erasure: the intent, which the roles that hold the power carry out. The row that is left answers
//! whoever announces the recording again, and holds no word of the event.

use chrono::{DateTime, Utc};
use recording::{AccountId, LedgerFault, RecordingId, State};
use serde::Serialize;
use tokio_postgres::Row;

use crate::Catalog;
use crate::admin::AdminFault;
use crate::failure::{Failure, corrupt};
use crate::holds::said;
use crate::rows::{self, get, unsigned, word};

/// Not under a hold: what an erasure would do then is known, and a person must decide. The database
/// itself makes the recording due and writes the history row.
const ERASE: &str = "-- name: erase_recording
    insert into erasures (account_id, recording_id, why, asked_by)
    select r.account_id, r.recording_id, $3::text, $4::text from recordings r
     where r.account_id = $1 and r.recording_id = $2
       and held_by(r.account_id, r.interaction_id, r.recording_id) is null
    on conflict (account_id, recording_id) do nothing
    returning true";

/// Of a recording that expired before: its words are all that is left of it.
const WORDS: &str = "-- name: erase_words
    select erase_words($1, $2)";

/// Words that are left of erasures, see 0019.
const WORDS_LEFT: &str = "-- name: erase_words_left
    select erase_words_left($1) as erased";

/// The next quarantined messages, for one recording whose words are gone.
const MESSAGES: &str = "-- name: forget_messages
    select forget_some_messages($1) as more";

/// How many rows one statement erases, and how many messages one looks at: of at most 256 KiB.
const WORDS_AT_ONCE: i32 = 100;
const MESSAGES_AT_ONCE: i32 = 200;
/// How many statements of messages one call makes, so that whoever calls also comes to the rest of
/// its work: the search goes on with the next call.
const MESSAGE_STATEMENTS: u32 = 100;

const SHOW: &str = "-- name: show_erasure
    select r.account_id, r.recording_id, r.state, e.asked_at, e.asked_by, e.why, r.erased_at,
           held_by(r.account_id, r.interaction_id, r.recording_id) as hold
      from recordings r left join erasures e
        on e.account_id = r.account_id and e.recording_id = r.recording_id
     where r.account_id = $1 and r.recording_id = $2";

/// An erasure and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErasureView {
    /// Whose.
    pub account_id: AccountId,
    /// Which recording.
    pub recording_id: RecordingId,
    /// Where it stands.
    pub state: State,
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
    /// Who asked.
    pub asked_by: String,
    /// Why.
    pub why: String,
    /// The hold that keeps it, if one was placed since.
    pub held_by: Option<i64>,
    /// When the copy and the personal words were gone.
    pub erased_at: Option<DateTime<Utc>>,
}

fn view(row: &Row) -> Result<Option<ErasureView>, Failure> {
    let asked_at: Option<DateTime<Utc>> = get(row, "asked_at")?;
    let Some(asked_at) = asked_at else {
        return Ok(None);
    };
    Ok(Some(ErasureView {
        account_id: word(row, "account_id")?,
        recording_id: word(row, "recording_id")?,
        state: rows::state(row)?,
        asked_at,
        asked_by: get(row, "asked_by")?,
        why: get(row, "why")?,
        held_by: get(row, "hold")?,
        erased_at: get(row, "erased_at")?,
    }))
}

impl Catalog {
    /// See [`recording::Ledger::finish_erasures`].
    pub(crate) async fn pay_erasures(&self) -> Result<u64, LedgerFault> {
        let row = self.pool.row(WORDS_LEFT, &[&WORDS_AT_ONCE]).await?;
        let row = row.ok_or_else(|| corrupt("no row counts words"))?;
        let erased: i64 = get(&row, "erased")?;
        for _ in 0..MESSAGE_STATEMENTS {
            let row = self.pool.row(MESSAGES, &[&MESSAGES_AT_ONCE]).await?;
            let more = row.map(|row| get::<bool>(&row, "more")).transpose()?;
            if more != Some(true) {
                break;
            }
        }
        Ok(unsigned(erased)?)
    }

    /// Asks for a recording's erasure, once: repeating it shows how far it is. Its copy goes as
    /// soon as its original is released.
    ///
    /// # Errors
    /// When there is no such recording, a legal hold is on it, author or reason are empty, or the
    /// database fails.
    pub async fn erase_recording(
        &self,
        account: &AccountId,
        recording: &RecordingId,
        (by, why): (&str, &str),
    ) -> Result<ErasureView, AdminFault> {
        let (by, why) = said(by, why)?;
        let (account_id, recording_id) = (account.as_str(), recording.as_str());
        self.pool
            .rows(ERASE, &[&account_id, &recording_id, &why, &by])
            .await?;
        self.pool.rows(WORDS, &[&account_id, &recording_id]).await?;
        let row = self.pool.row(SHOW, &[&account_id, &recording_id]).await?;
        let Some(row) = row else {
            self.show_account(account).await?;
            return Err(AdminFault::not_found(
                format!("recording {account}/{recording}"),
                "`callferry recording list` shows those there are",
            ));
        };
        if let Some(view) = view(&row)? {
            return Ok(view);
        }
        let hold: Option<i64> = get(&row, "hold")?;
        Err(AdminFault::refused(
            hold.map_or_else(
                || "the erasure was overtaken by a legal hold".to_owned(),
                |hold| format!("legal hold {hold} is on {account}/{recording}: nothing is erased"),
            ),
            "`callferry hold list` shows why; release it first if it must no longer hold",
        ))
    }
}
