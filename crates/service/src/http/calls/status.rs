//! How much is where and since when.

use recording::Ledger;

use super::super::Api;
use super::super::call::Answer;
use super::super::problem::Problem;
use crate::administration::status;

/// `GET /v1/status`. It reads the whole table, so one at a time does.
pub(super) async fn show(api: &Api) -> Result<Answer, Problem> {
    let Ok(_counting) = api.counting.try_acquire() else {
        return Err(Problem::unavailable("somebody is counting already").again_in(5));
    };
    let counts = api.ledger.status().await?;
    let open = api.ledger.reading().await;
    let open = open.map_err(catalog::AdminFault::from)?;
    let receipts = status::receipts(&api.config);
    Answer::ok(&status::answer(&counts, &open, &receipts)?)
}
