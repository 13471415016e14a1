//! Accounts.

use recording::AccountId;
use serde::Deserialize;

use super::super::Api;
use super::super::call::{Answer, Call};
use super::super::input;
use super::super::page::Page;
use super::super::problem::Problem;
use crate::administration;

/// `GET /v1/accounts`: by id. A bound token sees its own.
pub(super) async fn list(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let (limit, after) = (call.query.limit()?, call.query.after::<AccountId>()?);
    let accounts = match &call.caller.account {
        Some(own) => vec![api.ledger.show_account(own).await?],
        None => {
            let more = limit.saturating_add(1);
            api.ledger.page_accounts(after.as_ref(), more).await?
        }
    };
    Answer::ok(&Page::cut(accounts, limit, |last| last.account_id.clone()))
}

/// `GET /v1/accounts/{account_id}`.
pub(super) async fn show(api: &Api, call: &Call) -> Result<Answer, Problem> {
    Answer::ok(&api.ledger.show_account(call.account()?).await?)
}

/// What an account is made of.
#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with account_id, and name if it has one"
)]
struct NewAccount {
    account_id: AccountId,
    #[serde(default)]
    name: Option<String>,
}

/// `POST /v1/accounts`.
pub(super) async fn create(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let asked: NewAccount = input::json(&call.body)?;
    let (account, name) = (&asked.account_id, asked.name.as_deref());
    administration::accounts::check(account, name)?;
    let target = (Some(account), Some(account.to_string()));
    call.audited(api, target, async {
        let created = api.ledger.create_account(account, name).await?;
        Ok(Answer::ok(&created)?.created(format!("/v1/accounts/{account}")))
    })
    .await
}
