-- name: begin_expiries
-- Whose turn it is, whether what is due there looks right, and the leases under which copies may be
-- deleted, with the intent. `holds_win` (0015_retention.sql) asks for holds once more, under each
-- row's lock; a row that it passes over is not in the answer.
with turn as materialized (
    select p.account_id from retention_pace p
     where p.next_at <= now()
       and not exists (select from retention_stops s
                        where s.confirmed_at is null
                          and (s.account_id is null or s.account_id = p.account_id))
     order by p.next_at limit $1 for update of p skip locked
), judged as materialized (
    select account_id, retention_excess(account_id) as excess from turn
), stopped as (
    insert into retention_stops (account_id, reason, detail)
    select account_id, 'too_many', excess from judged where excess is not null
    on conflict do nothing
), found as materialized (
    select r.*, held_by(r.account_id, r.interaction_id, r.recording_id) as hold,
           exists (select from erasures e where e.account_id = r.account_id
                    and e.recording_id = r.recording_id) as erased,
           -- A request of an earlier claim may still be carried out, and would put the copy back
           -- behind the proof that it is gone: as long as a reroute waits for it.
           r.erasure_asked_at is not null and r.expiry_began_at is null and r.claims > 1
               and coalesce(r.stored_at > now() - make_interval(secs => $6::float8), false) as late
      from judged j cross join lateral (
        select account_id, recording_id, interaction_id, retain_until, expiry_began_at,
               erasure_asked_at, claims, stored_at
          from recordings
         where account_id = j.account_id and state = 'released'
           and coalesce(expiry_next_at, retain_until) <= now()
           and coalesce(lease_until <= now(), true)
           -- What is owed to others of it is told first.
           and due_at is null and announce_after is null
         order by coalesce(expiry_next_at, retain_until) limit $2 for update skip locked
      ) r
     where j.excess is null
), begun as (
    update recordings r set
        lease_token = gen_random_uuid(), lease_until = now() + make_interval(secs => $3::float8),
        expiry_began_at = coalesce(r.expiry_began_at, now()),
        expiry_for = case when f.erased then 'erasure' else 'retention' end,
        expiry_attempts = r.expiry_attempts + 1,
        expiry_next_at = now() + make_interval(secs => $3::float8), updated_at = now()
      from found f
     where r.account_id = f.account_id and r.recording_id = f.recording_id and f.hold is null
       and not f.late
    returning r.*
), later as (
    update recordings r set
        expiry_next_at = f.stored_at + make_interval(secs => $6::float8), updated_at = now()
      from found f
     where r.account_id = f.account_id and r.recording_id = f.recording_id and f.hold is null
       and f.late
    returning true
), settling as (
    -- A hold came after a deletion may have been sent: somebody must look, and no more.
    update recordings r set
        lease_token = gen_random_uuid(), lease_until = now() + make_interval(secs => $3::float8),
        expiry_next_at = now() + make_interval(secs => $3::float8), updated_at = now()
      from found f
     where r.account_id = f.account_id and r.recording_id = f.recording_id
       and f.hold is not null and f.expiry_began_at is not null
    returning r.*
), held as (
    update recordings r set
        expiry_outcome = 'held', expiry_detail = 'legal hold ' || f.hold,
        expiry_next_at = now() + make_interval(secs => $4::float8), updated_at = now()
      from found f
     where r.account_id = f.account_id and r.recording_id = f.recording_id
       and f.hold is not null and f.expiry_began_at is null
    returning true
), counted as (
    select account_id, count(*) as n from found group by account_id
), paced as (
    -- More is due: at the account's pace. Something was begun: when its leases are over, should
    -- nobody have come to an end of it. Otherwise when the next falls due, or in an hour.
    update retention_pace p set next_at = case
            when c.n >= $2 then now() + make_interval(secs => $5::float8)
            when c.n > 0 then now() + make_interval(secs => greatest($3::float8, $5::float8) + 1)
            else greatest(now() + make_interval(secs => $5::float8),
                least(now() + interval '1 hour',
                    (select coalesce(expiry_next_at, retain_until) from recordings
                      where account_id = p.account_id and state = 'released'
                        and coalesce(expiry_next_at, retain_until) > now()
                      order by coalesce(expiry_next_at, retain_until) limit 1)))
        end
      from turn t left join counted c on c.account_id = t.account_id
     where p.account_id = t.account_id
), r as (
    select *, true as granted from begun union all select *, false from settling
)
