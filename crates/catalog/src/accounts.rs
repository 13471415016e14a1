//! Accounts: made once, never deleted, each with an external id of its own.

use chrono::{DateTime, Utc};
use recording::AccountId;
use serde::Serialize;
use tokio_postgres::Row;

use crate::Catalog;
use crate::admin::AdminFault;
use crate::failure::Failure;
use crate::rows::{get, unsigned, word};

const CREATE: &str = "-- name: create_account
with made as (
    insert into accounts (account_id, name) values ($1, $2)
    on conflict (account_id) do nothing
    returning account_id, name, external_id, created_at
), woken as (
    -- What came before its account is judged at the next look.
    update quarantined_messages q set check_at = '-infinity'
      from made
     where q.reason = 'account_unknown' and q.account_id = made.account_id
       and q.ended_at is null and q.requeuable
    returning true
)
select made.*, (select count(*) from woken) as waiting from made";

macro_rules! accounts {
    () => {
        "select a.account_id, a.name, a.external_id, a.created_at,
                (select count(*) from quarantined_messages q
                  where q.reason = 'account_unknown' and q.account_id = a.account_id
                    and q.ended_at is null) as waiting
           from accounts a "
    };
}

const SHOW: &str = concat!(
    "-- name: show_account\n",
    accounts!(),
    "where account_id = $1"
);
const LIST: &str = concat!(
    "-- name: list_accounts\n",
    accounts!(),
    "where account_id > coalesce($1, '') order by account_id limit $2"
);

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountView {
    /// Its id.
    pub account_id: AccountId,
    /// What people call it.
    pub name: Option<String>,
    /// The external id that we minted for it and that its role must ask for.
    pub external_id: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Messages in quarantine that named it before it was there; they return by themselves.
    pub waiting_in_quarantine: u64,
}

fn view(row: &Row) -> Result<AccountView, Failure> {
    Ok(AccountView {
        account_id: word(row, "account_id")?,
        name: get(row, "name")?,
        external_id: get(row, "external_id")?,
        created_at: get(row, "created_at")?,
        waiting_in_quarantine: unsigned(get(row, "waiting")?)?,
    })
}

impl Catalog {
    /// Makes an account and mints its external id.
    ///
    /// # Errors
    /// When it exists or is kept for checks, or the database fails.
    pub async fn create_account(
        &self,
        account: &AccountId,
        name: Option<&str>,
    ) -> Result<AccountView, AdminFault> {
        if *account == AccountId::of_checks() {
            let why = format!("{account} is kept for checks of the platform's own destination");
            return Err(AdminFault::refused(why, "choose another id"));
        }
        let name = name.map(crate::catalog::plain);
        let row = self.pool.row(CREATE, &[&account.as_str(), &name]).await?;
        let row = row.ok_or_else(|| AdminFault::Exists {
            what: format!("account {account}"),
            hint: format!("nothing was changed; `callferry account show {account}` shows it"),
        })?;
        Ok(view(&row)?)
    }

    /// Every account, by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_accounts(&self) -> Result<Vec<AccountView>, AdminFault> {
        self.page_accounts(None, u32::MAX).await
    }

    /// Accounts by id, from after `after` on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn page_accounts(
        &self,
        after: Option<&AccountId>,
        limit: u32,
    ) -> Result<Vec<AccountView>, AdminFault> {
        let after = after.map(AccountId::as_str);
        let rows = self.pool.rows(LIST, &[&after, &i64::from(limit)]).await?;
        Ok(rows.iter().map(view).collect::<Result<_, _>>()?)
    }

    /// One account.
    ///
    /// # Errors
    /// When there is none, or the database fails.
    pub async fn show_account(&self, account: &AccountId) -> Result<AccountView, AdminFault> {
        let row = self.pool.row(SHOW, &[&account.as_str()]).await?;
        let row = row.ok_or_else(|| AdminFault::no_account(account))?;
        Ok(view(&row)?)
    }
}
