-- name: begin_original_erasures
-- The leases under which originals may be deleted without a second look at a copy, with the
-- intent.
-- `holds_win_over_erasures` (0018_erasing_what_is_its_own.sql) asks for the erasure, for holds and
-- for live leases once more, under each row's lock; a row that it passes over is not in the answer.
with found as materialized (
    select account_id, recording_id, original_erasure_began_at as began,
           held_by(account_id, interaction_id, recording_id) as hold
      from recordings
     where erasure_asked_at is not null and state in ('staged', 'parked', 'stored')
       and expiry_next_at <= now()
       and coalesce(lease_until <= now(), true)
       -- What is stored goes the usual way, unless that is refused.
       and (state <> 'stored' or release_reason is not null
            or original_erasure_began_at is not null)
     order by expiry_next_at limit $1 for update skip locked
), begun as (
    update recordings r set
        lease_token = gen_random_uuid(), lease_until = now() + make_interval(secs => $2::float8),
        unclean_claims = 0, child_deaths = 0, lent_at_claim = null,
        original_erasure_began_at = coalesce(r.original_erasure_began_at, now()),
        original_erasure_attempts = r.original_erasure_attempts + 1,
        original_erasure_compared = r.original_erasure_attempts + 1,
        -- As a reroute waits: nobody knows what whoever worked on it last has sent.
        late_writes_until = case
            when r.original_erasure_began_at is not null then r.late_writes_until
            when r.claims > 0 then greatest(r.updated_at, r.lease_until)
                + make_interval(secs => $4::float8) end,
        expiry_for = 'erasure', expiry_next_at = now() + make_interval(secs => $2::float8),
        -- No breaker's probe, and no drive, is to be wasted on it.
        due_queue = case when r.state <> 'stored' then 'cleanup' else r.due_queue end,
        updated_at = now()
      from found f
     where r.account_id = f.account_id and r.recording_id = f.recording_id and f.hold is null
    returning r.*
), settling as (
    -- A hold came after a deletion may have been begun: somebody must look, and no more.
    update recordings r set
        lease_token = gen_random_uuid(), lease_until = now() + make_interval(secs => $2::float8),
        expiry_next_at = now() + make_interval(secs => $2::float8), updated_at = now()
      from found f
     where r.account_id = f.account_id and r.recording_id = f.recording_id
       and f.hold is not null and f.began is not null
    returning r.*
), held as (
    update recordings r set
        expiry_outcome = 'held', expiry_detail = 'legal hold ' || f.hold,
        expiry_next_at = now() + make_interval(secs => $3::float8)
      from found f
     where r.account_id = f.account_id and r.recording_id = f.recording_id
       and f.hold is not null and f.began is null
    returning true
), told as (
    insert into recording_history (account_id, recording_id, from_state, to_state, by_whom, why)
    select account_id, recording_id, state, state, 'cleanup', 'the erasure of the original began'
      from begun where original_erasure_attempts = 1
), r as (
    select *, true as granted from begun union all select *, false from settling
)
