//! What administrators did through the HTTP interface, written down before and after.

use chrono::{DateTime, Utc};
use recording::AccountId;
use serde::Serialize;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::Catalog;
use crate::admin::AdminFault;
use crate::failure::Failure;
use crate::rows::{get, optional_word};

const BEGIN: &str = "-- name: begin_action
    insert into admin_actions (request_id, subject, token_account, action, account_id, target,
        outcome)
    values ($1, $2, $3, $4, $5, $6, 'begun')";

const END: &str = "-- name: end_action
    insert into admin_actions (request_id, subject, token_account, action, account_id, target,
        outcome, status)
    values ($1, $2, $3, $4, $5, $6, $7, $8)";

/// The latest first. The row of the beginning stands for the action; how it ended is beside it.
const LIST: &str = "-- name: list_actions
    select b.id, b.request_id, b.at, b.subject, b.token_account, b.action, b.account_id,
           coalesce(e.target, b.target) as target, coalesce(e.outcome, 'unknown') as outcome,
           e.status
      from admin_actions b
      left join lateral (select target, outcome, status from admin_actions
            where request_id = b.request_id and outcome <> 'begun' order by id limit 1) e on true
     where b.outcome = 'begun' and ($1::text is null or b.account_id = $1)
       and b.id < coalesce($2, 9223372036854775807)
     order by b.id desc limit $3";

/// Something that an administrator does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// The request's id, the same in its answer.
    pub request_id: Uuid,
    /// Who, as the token says.
    pub subject: String,
    /// The account that the token is bound to; `None` is the platform's administrator.
    pub token_account: Option<AccountId>,
    /// What: the operation's id.
    pub action: &'static str,
    /// Whose; `None` is the platform's own.
    pub account: Option<AccountId>,
    /// Of what. Never a secret.
    pub target: Option<String>,
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionOutcome {
    /// As asked.
    Done,
    /// It must not be done, or was asked wrongly: nothing was changed.
    Refused,
    /// We could not, or do not know whether we did.
    Failed,
}

impl ActionOutcome {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// An action that was written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActionView {
    /// Its number.
    pub id: i64,
    /// The request's id, as in its answer's `x-request-id`.
    pub request_id: Uuid,
    /// When it began.
    pub at: DateTime<Utc>,
    /// Who, as the token says.
    pub subject: String,
    /// The account that the token is bound to; null is the platform's administrator.
    pub token_account_id: Option<AccountId>,
    /// What: the operation's id.
    pub action: String,
    /// Whose; null is the platform's own.
    pub account_id: Option<AccountId>,
    /// Of what.
    pub target: Option<String>,
    /// `done`, `refused`, `failed`, or `unknown`: nobody saw its end.
    pub outcome: String,
    /// The status of the answer.
    pub status: Option<u16>,
}

fn view(row: &Row) -> Result<ActionView, Failure> {
    let status: Option<i16> = get(row, "status")?;
    Ok(ActionView {
        id: get(row, "id")?,
        request_id: get(row, "request_id")?,
        at: get(row, "at")?,
        subject: get(row, "subject")?,
        token_account_id: optional_word(row, "token_account")?,
        action: get(row, "action")?,
        account_id: optional_word(row, "account_id")?,
        target: get(row, "target")?,
        outcome: get(row, "outcome")?,
        status: status.and_then(|status| u16::try_from(status).ok()),
    })
}

impl Catalog {
    /// Writes down that an action begins. Only what was written down may be done.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_action(&self, action: &Action) -> Result<(), AdminFault> {
        let (token_account, account) = accounts(action);
        let target = action.target.as_deref().map(crate::catalog::plain);
        self.pool
            .rows(
                BEGIN,
                &[
                    &action.request_id,
                    &action.subject,
                    &token_account,
                    &action.action,
                    &account,
                    &target,
                ],
            )
            .await?;
        Ok(())
    }

    /// Writes down how it ended, and with which status it was answered.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_action(
        &self,
        action: &Action,
        outcome: ActionOutcome,
        status: u16,
    ) -> Result<(), AdminFault> {
        let (token_account, account) = accounts(action);
        let target = action.target.as_deref().map(crate::catalog::plain);
        self.pool
            .rows(
                END,
                &[
                    &action.request_id,
                    &action.subject,
                    &token_account,
                    &action.action,
                    &account,
                    &target,
                    &outcome.as_str(),
                    &i16::try_from(status).unwrap_or(i16::MAX),
                ],
            )
            .await?;
        Ok(())
    }

    /// The actions, of one account or all, the latest first, from before `before` on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_actions(
        &self,
        account: Option<&AccountId>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<ActionView>, AdminFault> {
        let account = account.map(AccountId::as_str);
        let rows = self
            .pool
            .rows(LIST, &[&account, &before, &i64::from(limit)])
            .await?;
        Ok(rows.iter().map(view).collect::<Result<_, _>>()?)
    }
}

fn accounts(action: &Action) -> (Option<&str>, Option<&str>) {
    (
        action.token_account.as_ref().map(AccountId::as_str),
        action.account.as_ref().map(AccountId::as_str),
    )
}
