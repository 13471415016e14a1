//! Which quarantined messages go back to their queue: those whose cause is gone, those whose
//! time has come, and those a person asks for.
//!
//! Each has a time at which it is judged next, so that a tick judges at most as many as it may
//! return, however many wait.

use recording::{LedgerFault, Queued, Requeue};

use crate::Catalog;
use crate::catalog::{jitter, seconds};
use crate::claim::ladder;
use crate::drive::queue_from;
use crate::rows::get;

const REQUEUES: &str = "-- name: requeues
with candidates as materialized (
    select id, reason, queue, body, content_type, account_id, path, asked_at, check_at
      from quarantined_messages
     where check_at <= now()
     order by check_at limit $1 for update skip locked
), judged as materialized (
    select c.*, c.asked_at is not null or case c.reason
            when 'account_unknown' then exists (
                select from accounts a where a.account_id = c.account_id)
            when 'path_in_use' then not exists (
                select from recordings r
                 where r.account_id = c.account_id and r.path = c.path
                   and r.state not in ('released', 'expired'))
            when 'delivery_limit' then true
            else false
        end as free
      from candidates c
), marked as (
    update quarantined_messages q
       set check_at = now() + make_interval(secs =>
            case when judged.free then $2::float8 else $3::float8 end)
      from judged where q.id = judged.id
)
select id, queue, body, content_type from judged where free order by check_at";

// SUBTLE: the message may have been refused again, and kept in this very row, before its return is
// noted here. The mark in `check_at` tells when it was handed out: what was last seen since then
// came again, so its row stays, to be judged anew.
const REQUEUED: &str = "-- name: requeued
with judged as materialized (
    select id, reason, coalesce(
            last_seen >= check_at - make_interval(secs => $2::float8), true) as again
      from quarantined_messages where id = $1 for update
), gone as (
    delete from quarantined_messages q using judged j
     where q.id = j.id and not j.again and j.reason <> 'delivery_limit'
), remembered as (
    -- Its rung is remembered: if it comes again, it waits longer.
    update quarantined_messages q
       set ended_at = now(), returned = returned + 1, body = '', asked_at = null, check_at = null
      from judged j where q.id = j.id and not j.again and j.reason = 'delivery_limit'
), kept as (
    update quarantined_messages q
       set returned = returned + 1, asked_at = null,
           check_at = case when j.reason in ('account_unknown', 'path_in_use', 'delivery_limit')
                then now() + make_interval(secs =>
                    ($3::float8[])[least(returned + 1, cardinality($3::float8[]))]) end
      from judged j where q.id = j.id and j.again
), forgotten as (
    delete from quarantined_messages where id in (
        select id from quarantined_messages
         where ended_at < now() - interval '168 hours' order by ended_at limit 100)
)
select";

impl Catalog {
    /// See [`recording::Ledger::requeues`].
    pub(crate) async fn returning_messages(&self, limit: u32) -> Result<Vec<Requeue>, LedgerFault> {
        let marked = seconds(self.settings.requeue_again_after);
        let judged = seconds(self.settings.judge_again_after) * jitter();
        let rows = self
            .pool
            .rows(REQUEUES, &[&i64::from(limit), &marked, &judged])
            .await?;
        let requeues = rows.iter().map(|row| {
            Ok(Requeue {
                id: get(row, "id")?,
                queue: queue_from(get(row, "queue")?)?,
                message: Queued {
                    body: get::<Vec<u8>>(row, "body")?.into(),
                    content_type: get(row, "content_type")?,
                },
            })
        });
        requeues
            .collect::<Result<_, crate::failure::Failure>>()
            .map_err(Into::into)
    }

    /// See [`recording::Ledger::requeued`].
    pub(crate) async fn end_quarantine(&self, id: i64) -> Result<(), LedgerFault> {
        let marked = seconds(self.settings.requeue_again_after);
        self.pool.rows(REQUEUED, &[&id, &marked, &ladder()]).await?;
        Ok(())
    }
}
