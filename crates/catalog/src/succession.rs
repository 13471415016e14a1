//! A new role or secret for a place serves what lies or waits there already: earlier revisions of
//! the same owner for the same place and prefix are reached with it. `0012_succession.sql` says
//! which.

use recording::{Destination, Store};

use crate::Catalog;
use crate::admin::AdminFault;
use crate::failure::Failure;
use crate::health::secret_ends;
use crate::pool::Lent;
use crate::stores::{destination, reached_columns};

// Whatever held recordings of an earlier revision back may be repaired by this one, and when the
// earlier one's secret ends says nothing any more.
const SUCCEED: &str = "-- name: succeed_destinations
    update destination_health h set
        secret_expires_at = $3,
        next_check_at = case when h.state = 'unhealthy' then now() else h.next_check_at end,
        probes = case when h.holds then 0 else h.probes end,
        probe_at = case when h.holds then now() else h.probe_at end,
        drain_from = case when h.holds then h.drain_from else now() end,
        drain_until = case when h.holds then h.drain_until else now() end
      from destinations d
     where h.revision = d.revision and d.revision <> $1
       and d.account_id is not distinct from $2 and credential_of(d.revision) = $1";

const REACHED: &str = concat!(
    "-- name: reached_destination
    select ",
    reached_columns!(),
    "from reached_destinations d where d.revision = $1"
);

/// What waits under earlier revisions of the same place is tried with the new one's credential.
/// Within the transaction that set it, and after the rows of recordings: whoever parks one locks
/// in this order.
pub(crate) async fn succeed(
    lent: &mut Lent,
    revision: i64,
    account: Option<&str>,
    store: &Store,
) -> Result<(), Failure> {
    let ends = secret_ends(store);
    lent.rows(SUCCEED, &[&revision, &account, &ends]).await?;
    Ok(())
}

impl Catalog {
    /// A revision as the fleet reaches it.
    ///
    /// # Errors
    /// When there is no such revision, or the database fails.
    pub async fn reached(&self, revision: i64) -> Result<Destination, AdminFault> {
        let row = self.pool.row(REACHED, &[&revision]).await?;
        let row = row.ok_or_else(|| {
            AdminFault::not_found(
                format!("revision {revision}"),
                "`callferry destination list` shows an owner's",
            )
        })?;
        Ok(destination(&row, self.keyring())?)
    }
}
