//! The access log: who was given what to listen to, or was refused and why. Written, read and,
//! when its own time is over, forgotten; never changed.

use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use recording::{AccountId, LedgerFault, RecordingId};
use serde::Serialize;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::Catalog;
use crate::admin::AdminFault;
use crate::catalog::seconds;
use crate::failure::Failure;
use crate::rows::{get, optional_word, word};

const NOTE: &str = "-- name: note_access
    insert into accesses (request_id, subject, token_account, account_id, recording_id, address,
        via, refused, life_s, keep_until)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + make_interval(secs => $10::float8))";

const PAGE: &str = "-- name: page_accesses
    select id, request_id, at, subject, token_account, account_id, recording_id, address, via,
           refused, life_s
      from accesses
     where account_id = $1 and at < $2 and (at, id) > ($3, $4)
     order by at, id limit $5";

const PURGE: &str = "-- name: purge_accesses
    delete from accesses where id in (
        select id from accesses where keep_until <= now() order by keep_until limit $1)
    returning true";

/// How many rows one statement forgets.
const BATCH: i64 = 1000;

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident $word:literal,)+) => {
        /// Why nothing was given out: a closed set, the same words as in the database.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum AccessRefusal {
            $($(#[$doc])* $name,)+
        }

        impl AccessRefusal {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

refusals! {
    /// The account has no recording of this id.
    NotFound "not_found",
    /// The token is bound to another account.
    Foreign "foreign",
    /// Its retention is over.
    Expired "expired",
    /// There is no proven copy yet.
    NotStored "not_stored",
    /// The destination has only a SAS, which cannot sign.
    NeedsSigningCredential "needs_signing_credential",
    /// What signs cannot be had now.
    CannotSign "cannot_sign",
}

/// One answer of playback, before it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The request's id, the same in its answer.
    pub request_id: Uuid,
    /// Who, as the token says.
    pub subject: String,
    /// The account that the token is bound to; `None` is the platform's administrator.
    pub token_account: Option<AccountId>,
    /// Whose recording was asked for.
    pub account: AccountId,
    /// Which.
    pub recording: RecordingId,
    /// From where.
    pub address: IpAddr,
    /// The trusted proxy that said so; `None`: the address is the peer's own.
    pub via: Option<IpAddr>,
    /// How long the URL is good that is given out, or why none is.
    pub outcome: Result<Duration, AccessRefusal>,
}

/// A row of the log, as it is exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccessView {
    /// When.
    pub at: DateTime<Utc>,
    /// The request's id, as in its answer's `x-request-id`.
    pub request_id: Uuid,
    /// Who, as the token says.
    pub subject: String,
    /// The account that the token is bound to; null is the platform's administrator.
    pub token_account_id: Option<AccountId>,
    /// Whose recording was asked for.
    pub account_id: AccountId,
    /// Which.
    pub recording_id: RecordingId,
    /// From where.
    pub address: IpAddr,
    /// The trusted proxy that said so.
    pub via: Option<IpAddr>,
    /// `granted` or `refused`.
    pub outcome: &'static str,
    /// Why it was refused.
    pub reason: Option<String>,
    /// How long the URL was good, in seconds.
    pub life_s: Option<i32>,
    #[serde(skip)]
    id: i64,
}

/// A place in the log: what comes after it is read next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessPlace {
    at: DateTime<Utc>,
    id: i64,
}

impl AccessPlace {
    /// The place before everything that happened at `at` or later.
    #[must_use]
    pub fn from(at: DateTime<Utc>) -> Self {
        Self { at, id: 0 }
    }

    /// The place right after a row.
    #[must_use]
    pub fn after(view: &AccessView) -> Self {
        Self {
            at: view.at,
            id: view.id,
        }
    }
}

fn view(row: &Row) -> Result<AccessView, Failure> {
    let reason: Option<String> = get(row, "refused")?;
    Ok(AccessView {
        id: get(row, "id")?,
        request_id: get(row, "request_id")?,
        at: get(row, "at")?,
        subject: get(row, "subject")?,
        token_account_id: optional_word(row, "token_account")?,
        account_id: word(row, "account_id")?,
        recording_id: word(row, "recording_id")?,
        address: get(row, "address")?,
        via: get(row, "via")?,
        outcome: if reason.is_some() {
            "refused"
        } else {
            "granted"
        },
        reason,
        life_s: get(row, "life_s")?,
    })
}

impl Catalog {
    /// Writes down what is about to be answered, to be kept for `kept_for`. Only what was written
    /// down may be given out.
    ///
    /// # Errors
    /// When the database fails: then it may be written down or not.
    pub async fn note_access(&self, access: &Access, kept_for: Duration) -> Result<(), AdminFault> {
        let (life, refused) = match access.outcome {
            Ok(life) => (
                Some(i32::try_from(life.as_secs()).unwrap_or(i32::MAX)),
                None,
            ),
            Err(why) => (None, Some(why.as_str())),
        };
        self.pool
            .rows(
                NOTE,
                &[
                    &access.request_id,
                    &crate::catalog::plain(&access.subject),
                    &access.token_account.as_ref().map(AccountId::as_str),
                    &access.account.as_str(),
                    &access.recording.as_str(),
                    &access.address,
                    &access.via,
                    &refused,
                    &life,
                    &seconds(kept_for),
                ],
            )
            .await?;
        Ok(())
    }

    /// A page of an account's accesses before `until`, in the order they happened in, from after
    /// `after` on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn page_accesses(
        &self,
        account: &AccountId,
        (after, until): (AccessPlace, DateTime<Utc>),
        limit: u32,
    ) -> Result<Vec<AccessView>, AdminFault> {
        let (account, limit) = (account.as_str(), i64::from(limit));
        let rows = self
            .pool
            .rows(PAGE, &[&account, &until, &after.at, &after.id, &limit])
            .await?;
        Ok(rows.iter().map(view).collect::<Result<_, _>>()?)
    }

    /// See [`recording::Ledger::purge_accesses`].
    pub(crate) async fn forget_accesses(&self) -> Result<u64, LedgerFault> {
        let mut forgotten: u64 = 0;
        loop {
            let batch = self.pool.rows(PURGE, &[&BATCH]).await?.len();
            forgotten = forgotten.saturating_add(u64::try_from(batch).unwrap_or(u64::MAX));
            if i64::try_from(batch).is_ok_and(|batch| batch < BATCH) {
                return Ok(forgotten);
            }
        }
    }
}
