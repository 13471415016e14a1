//! Erasure: the intent, which housekeeping carries out. A legal hold refuses it.

use catalog::AdminFault;
use serde::Deserialize;

use super::super::Api;
use super::super::call::{Answer, Call};
use super::super::input;
use super::super::problem::Problem;

/// Why a recording is erased.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with why")]
struct Wanted {
    why: String,
}

/// `POST /v1/accounts/{account_id}/recordings/{recording_id}/erase`: asks for it, once. Repeating
/// it shows how far it is: 202 until it is done, then 200.
pub(super) async fn ask(api: &Api, call: &Call) -> Result<Answer, Problem> {
    let asked: Wanted = input::json(&call.body)?;
    let (account, recording) = (call.account()?, call.recording()?);
    let why = input::said("why", &asked.why)?;
    let target = (Some(account), Some(recording.to_string()));
    call.audited(api, target, async {
        let said = (call.caller.subject.as_str(), why);
        let erasure = api.ledger.erase_recording(account, recording, said).await;
        let erasure = erasure.map_err(held)?;
        let answer = Answer::ok(&erasure)?;
        Ok(match erasure.erased_at {
            Some(_) => answer,
            None => answer.accepted(),
        })
    })
    .await
}

/// The same refusal, with what helps here.
fn held(fault: AdminFault) -> Problem {
    match fault {
        AdminFault::Refused { why, .. } => Problem::refused(why)
            .hint("the hold says why; release it first if it must no longer hold"),
        AdminFault::NotFound { .. }
        | AdminFault::Exists { .. }
        | AdminFault::Overlap { .. }
        | AdminFault::Misconfigured { .. }
        | AdminFault::Ledger(_) => fault.into(),
    }
}
