//! Quarantined messages: kept once for each reason and body, and what people do with them.

use chrono::{DateTime, Utc};
use recording::{LedgerFault, MAX_EVENT_BYTES, QuarantineEntry, RUNGS};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio_postgres::Row;

use crate::Catalog;
use crate::admin::AdminFault;
use crate::catalog::{jitter, plain, seconds};
use crate::drive::queue_word;
use crate::failure::Failure;
use crate::rows::{get, unsigned};

const KEEP: &str = "-- name: quarantine
    insert into quarantined_messages as old (
        reason, body_sha256, detail, queue, body, body_bytes, requeuable, content_type,
        account_id, path, check_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
        case when not $7 then null
             when $1 in ('account_unknown', 'path_in_use') then now()
             when $1 = 'delivery_limit' then now() + make_interval(secs => ($11::float8[])[1])
        end)
    on conflict (reason, body_sha256) do update set
        seen = old.seen + 1, last_seen = now(), detail = excluded.detail,
        queue = excluded.queue,
        -- One that went back and comes again is alive again, one rung higher.
        body = case when old.ended_at is null then old.body else excluded.body end,
        check_at = case
            when old.ended_at is null then old.check_at
            when not old.requeuable then null
            else now() + make_interval(secs =>
                ($11::float8[])[least(old.returned + 1, cardinality($11::float8[]))]) end,
        ended_at = null
    returning true";

macro_rules! columns {
    () => {
        "id, reason, detail, queue, account_id, path, content_type, body_bytes, requeuable, seen,
         first_seen, last_seen, returned, asked_at "
    };
}

const LIST: &str = concat!(
    "-- name: list_quarantine
    select ",
    columns!(),
    "from quarantined_messages where ended_at is null and id > $2 order by id limit $1"
);

const SHOW: &str = concat!(
    "-- name: show_quarantine
    select body, ",
    columns!(),
    "from quarantined_messages where id = $1 and ended_at is null"
);

const ASK: &str = "-- name: requeue_quarantine
    update quarantined_messages set
        asked_at = case when requeuable then now() else asked_at end,
        check_at = case when requeuable then '-infinity' else check_at end
     where id = $1 and ended_at is null
    returning requeuable, reason";

const DROP: &str = "-- name: drop_quarantine
    delete from quarantined_messages where id = $1 and ended_at is null returning true";

const PURGE: &str = "-- name: purge_quarantine
    delete from quarantined_messages where id in (
        select id from quarantined_messages
         where not requeuable and last_seen < now() - make_interval(secs => $1::float8)
         order by last_seen limit $2 for update skip locked)
    returning true";

/// How many messages one statement forgets.
const BATCH: i64 = 500;

/// One quarantined message, without its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuarantineView {
    /// What the command line calls it by.
    pub id: i64,
    /// Why.
    pub reason: String,
    /// Names the field and the fix.
    pub detail: String,
    /// The queue it would return to: `transfer`, `cleanup` or `quarantine`.
    pub queue: String,
    /// The account it names, if it could be understood that far.
    pub account_id: Option<String>,
    /// The path it names.
    pub path: Option<String>,
    /// The content type it came with.
    pub content_type: Option<String>,
    /// Size of the whole body; up to 256 KiB of it are kept.
    pub body_bytes: u64,
    /// Whether it is kept whole and may return.
    pub requeuable: bool,
    /// How often it came.
    pub count: u64,
    /// When it came first.
    pub first_seen: DateTime<Utc>,
    /// When it came last.
    pub last_seen: DateTime<Utc>,
    /// How often it went back by itself.
    pub returned: u64,
    /// When a person asked for its return, while housekeeping has not done it yet.
    pub requeue_asked_at: Option<DateTime<Utc>>,
}

/// One quarantined message with its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuarantineMessageView {
    /// What is known of it.
    #[serde(flatten)]
    pub message: QuarantineView,
    /// The body as text, if it is text.
    pub body: Option<String>,
    /// The body in hexadecimal digits, if it is not.
    pub body_hex: Option<String>,
}

fn view(row: &Row) -> Result<QuarantineView, Failure> {
    Ok(QuarantineView {
        id: get(row, "id")?,
        reason: get(row, "reason")?,
        detail: get(row, "detail")?,
        queue: get(row, "queue")?,
        account_id: get(row, "account_id")?,
        path: get(row, "path")?,
        content_type: get(row, "content_type")?,
        body_bytes: unsigned(get(row, "body_bytes")?)?,
        requeuable: get(row, "requeuable")?,
        count: unsigned(get(row, "seen")?)?,
        first_seen: get(row, "first_seen")?,
        last_seen: get(row, "last_seen")?,
        returned: unsigned(i64::from(get::<i32>(row, "returned")?))?,
        requeue_asked_at: get(row, "asked_at")?,
    })
}

fn no_message(id: i64) -> AdminFault {
    let hint = "`callferry quarantine list` shows those there are";
    AdminFault::not_found(format!("quarantined message {id}"), hint)
}

impl Catalog {
    /// See [`recording::Ledger::quarantine`].
    pub(crate) async fn keep_quarantined(
        &self,
        entry: &QuarantineEntry,
    ) -> Result<(), LedgerFault> {
        let digest = Sha256::digest(&entry.body);
        let kept = entry.body.get(..MAX_EVENT_BYTES).unwrap_or(&entry.body);
        let requeuable = kept.len() == entry.body.len();
        let (account, path) = match &entry.names {
            Some((account, path)) => (Some(plain(account)), Some(plain(path))),
            None => (None, None),
        };
        let factor = jitter();
        let ladder: Vec<f64> = RUNGS.iter().map(|rung| seconds(*rung) * factor).collect();
        self.pool
            .rows(
                KEEP,
                &[
                    &entry.reason.as_str(),
                    &&digest[..],
                    &plain(&entry.detail),
                    &queue_word(entry.queue),
                    &kept,
                    &i64::try_from(entry.body.len()).unwrap_or(i64::MAX),
                    &requeuable,
                    &entry.content_type.as_deref().map(plain),
                    &account,
                    &path,
                    &ladder,
                ],
            )
            .await?;
        Ok(())
    }

    /// See [`recording::Ledger::purge_quarantine`]. By when it was seen last: what still comes
    /// is still somebody's mistake to see.
    pub(crate) async fn forget_quarantined(&self) -> Result<u64, LedgerFault> {
        let kept_for = seconds(self.settings.quarantine_kept_for);
        let mut forgotten: u64 = 0;
        loop {
            let batch = self.pool.rows(PURGE, &[&kept_for, &BATCH]).await?.len();
            forgotten = forgotten.saturating_add(u64::try_from(batch).unwrap_or(u64::MAX));
            if i64::try_from(batch).is_ok_and(|batch| batch < BATCH) {
                return Ok(forgotten);
            }
        }
    }

    /// The oldest quarantined messages.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_quarantine(&self, limit: u32) -> Result<Vec<QuarantineView>, AdminFault> {
        self.page_quarantine(0, limit).await
    }

    /// Quarantined messages, oldest first, from after the one with the number `after` on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn page_quarantine(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<QuarantineView>, AdminFault> {
        let rows = self.pool.rows(LIST, &[&i64::from(limit), &after]).await?;
        Ok(rows.iter().map(view).collect::<Result<_, _>>()?)
    }

    /// One quarantined message with its body.
    ///
    /// # Errors
    /// When there is none, or the database fails.
    pub async fn show_quarantine(&self, id: i64) -> Result<QuarantineMessageView, AdminFault> {
        let row = self.pool.row(SHOW, &[&id]).await?;
        let row = row.ok_or_else(|| no_message(id))?;
        let body: Vec<u8> = get(&row, "body")?;
        let (body, body_hex) = match String::from_utf8(body) {
            Ok(text) => (Some(text), None),
            Err(error) => (None, Some(hex::encode(error.as_bytes()))),
        };
        Ok(QuarantineMessageView {
            message: view(&row)?,
            body,
            body_hex,
        })
    }

    /// Has a message returned to its queue by housekeeping, whatever the reason it is here for.
    ///
    /// # Errors
    /// When there is none, when it was too large to be kept whole, or when the database fails.
    pub async fn requeue_quarantine(&self, id: i64) -> Result<(), AdminFault> {
        let row = self.pool.row(ASK, &[&id]).await?;
        let row = row.ok_or_else(|| no_message(id))?;
        if get(&row, "requeuable")? {
            return Ok(());
        }
        Err(AdminFault::refused(
            format!("message {id} was larger than 256 KiB and is kept only in part"),
            "have its producer send it again, smaller; then `callferry quarantine drop` it here",
        ))
    }

    /// Forgets a message.
    ///
    /// # Errors
    /// When there is none, or the database fails.
    pub async fn drop_quarantine(&self, id: i64) -> Result<(), AdminFault> {
        let row = self.pool.row(DROP, &[&id]).await?;
        row.map(drop).ok_or_else(|| no_message(id))
    }
}
