-- name: reading
-- The condition is word for word that of the index of open recordings.
with open as materialized (
    select account_id, state,
           case state when 'parked' then reason when 'stored' then release_reason end as reason,
           count(*) as n,
           min(created_at) as known_since,
           min(stored_at) as stored_since,
           min(stored_at) filter (where acknowledged_at is null) as unacknowledged_since,
           count(*) filter (where unclean_claims >= 3) as suspected
      from recordings
     where state not in ('released', 'expired')
     group by 1, 2, 3
), numbers (what, word, n, since) as (
    select 'state', state, sum(n)::bigint, min(known_since) from open group by state
    union all
    select 'parked', reason, sum(n)::bigint, min(known_since)
      from open where state = 'parked' group by reason
    union all
    select 'release_refused', reason, sum(n)::bigint, min(stored_since)
      from open where state = 'stored' and reason is not null group by reason
    union all
    select 'unproven', '', coalesce(sum(n), 0)::bigint, min(known_since)
      from open where state in ('staged', 'parked')
    union all
    -- The acknowledgment of a recording that is released already may still be owed.
    select 'unacknowledged', '', 0, least(
        (select min(unacknowledged_since) from open where state = 'stored'),
        (select min(stored_at) from recordings
          where state = 'released' and acknowledged_at is null))
    union all
    select 'suspected', '', coalesce(sum(suspected), 0)::bigint, null from open
    union all
    -- Both named, so that the index is entered where the due ones are.
    select 'due', due_queue, count(*), null from recordings
     where due_queue in ('transfer', 'cleanup') and due_at <= now() group by due_queue
    union all
    select 'quarantined', reason, count(*), min(first_seen)
      from quarantined_messages where ended_at is null group by reason
    union all
    (select 'account', account_id, sum(n)::bigint, null from open
      group by account_id order by 3 desc, 2 limit 50)
)
select what, word, n, extract(epoch from now() - since)::float8 as age from numbers
