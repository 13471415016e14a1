//! Which destinations' daily check is due, and which of them anything depends on.

use recording::{DueCheck, LedgerFault};

use crate::Catalog;
use crate::catalog::seconds;
use crate::rows::get;
use crate::stores::{destination, reached_columns};

/// Whether anything depends on revision `d`: it is in force now or later, or recordings wait for
/// it. One that is on its way is stored or parked soon, and its bucket is then known anew.
macro_rules! depended_on {
    () => {
        "(d.in_force_from > now()
           or d.revision = case when d.account_id is not null
                then destination_in_force(d.account_id, now())
                else (select o.revision from destinations o
                       where o.account_id is null and o.in_force_from <= now()
                       order by o.in_force_from desc, o.revision desc limit 1) end
           or exists (select from recordings r
                where r.destination_revision = d.revision
                  and (r.state = 'parked'
                       or (r.state = 'stored' and r.release_reason is not null)))) "
    };
}
pub(crate) use depended_on;

/// How many revisions are judged at a time: nothing depends on most of them.
const JUDGED: i64 = 100;

// Those that nothing depends on are put off, and whatever they held back has gone elsewhere: their
// breaker is not tended any more. That one is unhealthy remains what was seen of it last.
const DUE: &str = concat!(
    "-- name: due_checks
with due as materialized (
    select revision, next_check_at from destination_health where next_check_at <= now()
     order by next_check_at limit $4 for update skip locked
), judged as materialized (
    select d.revision, due.next_check_at, ",
    depended_on!(),
    "      or exists (select from recordings r
                where r.account_id = d.account_id and r.destination_revision = d.revision
                  and r.state not in ('released', 'expired')) as used
      from due join destinations d on d.revision = due.revision
), chosen as materialized (
    select revision from judged where used order by next_check_at limit $1
), marked as (
    update destination_health h set next_check_at = now() + make_interval(secs => $2::float8)
      from chosen c where h.revision = c.revision
), put_off as (
    update destination_health h set
        next_check_at = now() + make_interval(secs => $3::float8), holds = false,
        failed = '{}', probe_account = null, probe_recording = null, probe_until = null
      from judged j where h.revision = j.revision and not j.used
)
select ",
    reached_columns!(),
    "from chosen c join reached_destinations d on d.revision = c.revision"
);

impl Catalog {
    /// See [`recording::Ledger::checks`].
    pub(crate) async fn due_checks(&self, limit: u32) -> Result<Vec<DueCheck>, LedgerFault> {
        let again = seconds(self.settings.check_again_after);
        let unused = seconds(self.settings.check_every);
        let rows = self
            .pool
            .rows(DUE, &[&i64::from(limit), &again, &unused, &JUDGED])
            .await?;
        let mut due = Vec::with_capacity(rows.len());
        for row in &rows {
            match destination(row, self.keyring()) {
                Ok(destination) => due.push(DueCheck {
                    account: destination.owner.checked_as(),
                    destination,
                }),
                // A newer release's, or damaged: all are marked, and the others are checked.
                Err(failure) => tracing::warn!(
                    destination.revision = get::<i64>(row, "revision")?,
                    error = %failure.fault,
                    "a destination cannot be read here and is not checked"
                ),
            }
        }
        Ok(due)
    }
}
