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
use crate::failure::{Failure, corrupt};
use crate::rows::{get, optional_word, word};

const NOTE: &str = "-- name: note_access
    insert into accesses (request_id, subject, token_account, account_id, asked_account,
        recording_id, address, via, opened, refused, life_s, keep_until)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
        now() + make_interval(secs => $12::float8))";

const PAGE: &str = "-- name: page_accesses
    select id, request_id, at, subject, token_account, account_id, asked_account, recording_id,
           address, via, opened, refused, life_s
      from accesses
     where account_id = $1 and at < least($2, now() - make_interval(secs => $6::float8))
       and (at, id) > ($3, $4)
     order by at, id limit $5";

const SETTLED: &str = "-- name: settled_accesses
    select date_trunc('milliseconds', now() - make_interval(secs => $1::float8)) as until";

const PURGE: &str = "-- name: purge_accesses
    delete from accesses where id in (
        select id from accesses where keep_until <= now() order by keep_until limit $1)
    returning true";

/// After how long no row of a time can come to it any more. A row has the time at which its
/// statement began, by the database's clock; a statement ends within seconds, or is given up.
const SETTLING: Duration = Duration::from_secs(30);
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
    /// The token does not allow listening.
    Scope "scope",
    /// The subject, or its account, asks too often.
    Rate "rate",
}

/// How a request to listen was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessOutcome {
    /// With a URL, good for so long.
    Granted(Duration),
    /// The player page was told of it, without a URL.
    Opened,
    /// With nothing.
    Refused(AccessRefusal),
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
    /// How it is answered.
    pub outcome: AccessOutcome,
}

impl Access {
    /// In whose log it is written, and the other account that was asked for, if one was. A token
    /// that is bound to an account writes into that one's: another's log, which the other may
    /// export, says nothing of strangers who named it.
    fn owner(&self) -> (&AccountId, Option<&AccountId>) {
        match &self.token_account {
            Some(own) if *own != self.account => (own, Some(&self.account)),
            Some(_) | None => (&self.account, None),
        }
    }
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
    /// Whose log it is in: whose recording was asked for, unless another is named below.
    pub account_id: AccountId,
    /// The other account whose recording a token of this one asked for, and was refused.
    pub asked_account_id: Option<AccountId>,
    /// Which.
    pub recording_id: RecordingId,
    /// From where.
    pub address: IpAddr,
    /// The trusted proxy that said so.
    pub via: Option<IpAddr>,
    /// `granted`, `opened` (the player page was shown what it is, and given no URL) or `refused`.
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
    let opened: bool = get(row, "opened")?;
    Ok(AccessView {
        id: get(row, "id")?,
        request_id: get(row, "request_id")?,
        at: get(row, "at")?,
        subject: get(row, "subject")?,
        token_account_id: optional_word(row, "token_account")?,
        account_id: word(row, "account_id")?,
        asked_account_id: optional_word(row, "asked_account")?,
        recording_id: word(row, "recording_id")?,
        address: get(row, "address")?,
        via: get(row, "via")?,
        outcome: match (&reason, opened) {
            (Some(_), _) => "refused",
            (None, true) => "opened",
            (None, false) => "granted",
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
        let (mut opened, mut life, mut refused) = (false, None, None);
        match access.outcome {
            AccessOutcome::Granted(granted) => {
                life = Some(i32::try_from(granted.as_secs()).unwrap_or(i32::MAX));
            }
            AccessOutcome::Opened => opened = true,
            AccessOutcome::Refused(why) => refused = Some(why.as_str()),
        }
        let (owner, asked) = access.owner();
        self.pool
            .rows(
                NOTE,
                &[
                    &access.request_id,
                    &crate::catalog::plain(&access.subject),
                    &access.token_account.as_ref().map(AccountId::as_str),
                    &owner.as_str(),
                    &asked.map(AccountId::as_str),
                    &access.recording.as_str(),
                    &access.address,
                    &access.via,
                    &opened,
                    &refused,
                    &life,
                    &seconds(kept_for),
                ],
            )
            .await?;
        Ok(())
    }

    /// Up to when the log is whole: whatever has an earlier time is there. By the database's clock,
    /// as the rows' times are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settled_accesses(&self) -> Result<DateTime<Utc>, AdminFault> {
        let row = self.pool.row(SETTLED, &[&seconds(SETTLING)]).await?;
        let row = row.ok_or_else(|| corrupt("no row says the time".to_owned()))?;
        Ok(get(&row, "until")?)
    }

    /// A page of an account's accesses before `until`, in the order they happened in, from after
    /// `after` on; nothing of a time whose rows may still be on their way
    /// ([`Catalog::settled_accesses`]), so that windows that adjoin lose none.
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
            .rows(
                PAGE,
                &[
                    &account,
                    &until,
                    &after.at,
                    &after.id,
                    &limit,
                    &seconds(SETTLING),
                ],
            )
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
