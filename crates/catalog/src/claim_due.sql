-- name: claim_due
-- The same judgement over a row that must exist, because the ledger itself drove it.
with held as materialized (
    select * from recordings where account_id = $1::text and recording_id = $2::text for update
), decided as materialized (
    select may and revision is not null as take, may and revision is null as again, *
      from (select
            original_erasure_began_at is null
            and (erasure_asked_at is null
                 or held_by(account_id, interaction_id, recording_id) is not null)
            and case state
                when 'staged' then coalesce(lease_until <= now(), true)
                when 'parked' then driven_at is not null
                    or coalesce(next_attempt_at <= now(), false)
                else false
            end as may,
            coalesce(destination_revision,
                destination_in_force(account_id, least(completed_at, now()))) as revision,
            now() + make_interval(secs =>
                ($4::float8[])[least(rungs + 1, cardinality($4::float8[]))]) as next_rung,
            gen_random_uuid() as token
          from held) judged
), moved as (
    update recordings old set
        state = case when take then 'staged' else old.state end,
        destination_revision = revision,
        lease_token = case when take then token end,
        lease_until = case when take then now() + make_interval(secs => $3::float8) end,
        claims = old.claims + take::integer,
        first_claimed_at = case when take then coalesce(old.first_claimed_at, now())
                                else old.first_claimed_at end,
        unclean_claims = old.unclean_claims + (take and old.lease_token is not null)::integer,
        resumed_at = case when take and old.state = 'parked' then now() else old.resumed_at end,
        next_attempt_at = case when again then next_rung end,
        rungs = old.rungs + again::integer,
        last_token = case when again then token else old.last_token end,
        driven_at = null,
        drive_count = 0,
        due_at = case when take then now() + make_interval(secs => $3::float8) else next_rung end,
        due_queue = 'transfer',
        updated_at = now()
      from decided
     where old.account_id = $1::text and old.recording_id = $2::text and may
    returning old.*
), told as (
    -- No transition, but part of the story: somebody died or froze here.
    insert into recording_history (account_id, recording_id, from_state, to_state, by_whom, why)
    select account_id, recording_id, state, state, 'transfer',
           case when claims = lent_at_claim + 1
                then 'claimed after it was lent to a process of its own'
                else 'claimed again: a lease ran out without an outcome' end
      from moved
     where lease_token is not null and unclean_claims > 0
), offer as (
    select token from decided
), r as (
    select * from moved
    union all
    select * from held where not exists (select from moved)
)
