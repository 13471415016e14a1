//! Where leftovers of uploads in parts are looked for: once after uploads were begun, and not
//! for ever.

use recording::{AccountId, LedgerFault, Sweep};

use crate::Catalog;
use crate::catalog::seconds;
use crate::failure::Failure;
use crate::rows::word;
use crate::stores::{destination, reached_columns};

const SWEEPS: &str = concat!(
    "-- name: sweeps
with due as materialized (
    select revision, account_id, due_at as was_due from upload_sweeps
     where due_at <= now() order by due_at limit $1 for update skip locked
), marked as (
    update upload_sweeps s set
        due_at = now() + make_interval(secs => $2::float8), handed_at = now()
      from due where s.revision = due.revision and s.account_id = due.account_id
    returning s.revision, s.account_id, due.was_due
)
select m.account_id as swept_account, ",
    reached_columns!(),
    "from marked m join reached_destinations d on d.revision = m.revision order by m.was_due"
);

// SUBTLE: an upload that was begun after the sweep was handed out may not have been in its list:
// then it is due again, whatever the sweeper saw.
const SWEPT: &str = "-- name: swept
with held as materialized (
    select revision, account_id, coalesce(begun_at < handed_at, false) as all_seen
      from upload_sweeps where revision = $1 and account_id = $2 for update
), gone as (
    delete from upload_sweeps s using held h
     where s.revision = h.revision and s.account_id = h.account_id and h.all_seen and not $3
)
insert into upload_sweeps (revision, account_id, begun_at, due_at)
select $1, $2, now(), now() + make_interval(secs => $4::float8)
 where $3 or exists (select from held where not all_seen)
on conflict (revision, account_id) do update set due_at = excluded.due_at, handed_at = null";

impl Catalog {
    /// See [`recording::Ledger::sweeps`].
    pub(crate) async fn due_sweeps(&self, limit: u32) -> Result<Vec<Sweep>, LedgerFault> {
        let again = seconds(self.settings.sweep_after);
        let rows = self.pool.rows(SWEEPS, &[&i64::from(limit), &again]).await?;
        let sweeps = rows.iter().map(|row| {
            Ok(Sweep {
                account: word::<AccountId>(row, "swept_account")?,
                destination: destination(row, self.keyring())?,
            })
        });
        Ok(sweeps.collect::<Result<_, Failure>>()?)
    }

    /// See [`recording::Ledger::swept`].
    pub(crate) async fn end_sweep(&self, sweep: &Sweep, again: bool) -> Result<(), LedgerFault> {
        let after = seconds(self.settings.sweep_after);
        let (revision, account) = (sweep.destination.revision, sweep.account.as_str());
        self.pool
            .rows(SWEPT, &[&revision, &account, &again, &after])
            .await?;
        Ok(())
    }
}
