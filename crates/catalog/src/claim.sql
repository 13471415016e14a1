-- name: claim
-- One statement that inserts, pins, takes the lease and says where the recording stands.
-- The existing row is always updated, if only with itself: a row that came to be after this
-- statement began is then returned all the same. `known` is a column of its own, so that no race
-- reads as an unknown account.
with known as materialized (
    select account_id from accounts where account_id = $1::text
), offer as materialized (
    select destination_in_force($1::text, least($7::timestamptz, now())) as revision,
           -- What completed longer ago than this is kept as if it had completed then: nobody's wrong
           -- clock, and no archive that is brought in late, has its copy end as soon as it is there.
           retention_end($1::text, $4::text,
               greatest(least($7::timestamptz, now()), now() - interval '30 days'), $14::integer)
               as retain_until,
           gen_random_uuid() as token,
           gen_random_uuid() as announcement
      from known
), holder as materialized (
    select true as held from recordings
     where account_id = $1 and path = $9 and state not in ('released', 'expired')
       and recording_id <> $2
     limit 1
), r as (
    insert into recordings as old (
        account_id, recording_id, state, interaction_id, kind, media_type,
        started_at, completed_at, duration_ms, path, size_bytes, sha256, attributes,
        destination_revision, retain_until, created_by,
        lease_token, lease_until, claims, first_claimed_at,
        reason, detail, next_attempt_at, rungs, announced_reason,
        announcement_id, announcement_at, announce_after, due_at, due_queue)
    select $1::text, $2::text, case when homeless then 'parked' else 'staged' end,
           $3::text, $4::text, $5::text, $6::timestamptz, $7::timestamptz, $8::bigint,
           $9::text, $10::bigint, $11::bytea, $12::jsonb,
           revision, retain_until, token,
           case when not homeless then token end,
           case when not homeless then now() + make_interval(secs => $13::float8) end,
           case when homeless then 0 else 1 end,
           case when not homeless then now() end,
           case when homeless then 'no_destination' end,
           case when homeless then 'neither the account nor the platform has a destination' end,
           case when homeless then now() + make_interval(secs => ($15::float8[])[1]) end,
           case when homeless then 1 else 0 end,
           case when homeless then 'no_destination' end,
           case when homeless then announcement end,
           case when homeless then now() end,
           case when homeless then now() + make_interval(secs => $16::float8) end,
           now() + make_interval(secs =>
               case when homeless then ($15::float8[])[1] else $13::float8 end),
           'transfer'
      from (select *, revision is null as homeless from offer) o
     where exists (select from recordings where account_id = $1 and recording_id = $2)
        or not exists (select from holder)
    on conflict (account_id, recording_id) do update set
        (state, destination_revision, lease_token, lease_until, claims, first_claimed_at,
         unclean_claims, resumed_at, next_attempt_at, rungs, last_token,
         driven_at, drive_count, due_at, due_queue, updated_at) = (
            select case when take then 'staged' else old.state end,
                   case when take then revision else old.destination_revision end,
                   case when take then excluded.created_by else old.lease_token end,
                   case when take then lease_ends else old.lease_until end,
                   old.claims + take::integer,
                   case when take then coalesce(old.first_claimed_at, now())
                        else old.first_claimed_at end,
                   -- A token that nobody took away means that its lease ran out.
                   old.unclean_claims + (take and old.lease_token is not null)::integer,
                   case when take and old.state = 'parked' then now() else old.resumed_at end,
                   case when take then null when again then next_rung
                        else old.next_attempt_at end,
                   old.rungs + again::integer,
                   case when again then excluded.created_by else old.last_token end,
                   case when not (take or again) then old.driven_at end,
                   case when take or again then 0 else old.drive_count end,
                   case when take then lease_ends when again then next_rung
                        else old.due_at end,
                   case when take or again then 'transfer' else old.due_queue end,
                   case when take or again then now() else old.updated_at end
              from (select may and revision is not null as take,
                           may and revision is null as again,
                           *
                      from (select
                        (old.path, old.size_bytes, old.sha256, old.started_at,
                         old.completed_at, old.kind, old.interaction_id)
                            is not distinct from
                        (excluded.path, excluded.size_bytes, excluded.sha256,
                         excluded.started_at, excluded.completed_at, excluded.kind,
                         excluded.interaction_id)
                        -- What is to be erased is stored only while a hold keeps it, and not at
                        -- all once the deletion of its original may have begun.
                        and old.original_erasure_began_at is null
                        and (old.erasure_asked_at is null
                             or held_by(old.account_id, old.interaction_id, old.recording_id)
                                is not null)
                        and case old.state
                            when 'staged' then coalesce(old.lease_until <= now(), true)
                            when 'parked' then old.driven_at is not null
                                or coalesce(old.next_attempt_at <= now(), false)
                            else false
                        end as may,
                        coalesce(old.destination_revision, excluded.destination_revision)
                            as revision,
                        now() + make_interval(secs => $13::float8) as lease_ends,
                        now() + make_interval(secs =>
                            ($15::float8[])[least(old.rungs + 1, cardinality($15::float8[]))])
                            as next_rung
                      ) judged) decided)
    returning *
), told as (
    insert into recording_history (account_id, recording_id, from_state, to_state, by_whom, why)
    select r.account_id, r.recording_id, null, r.state, 'transfer',
           coalesce(r.reason, 'announced')
      from r join offer on r.created_by = offer.token
    union all
    -- No transition, but part of the story: somebody died or froze here.
    select r.account_id, r.recording_id, r.state, r.state, 'transfer',
           case when r.claims = r.lent_at_claim + 1
                then 'claimed after it was lent to a process of its own'
                else 'claimed again: a lease ran out without an outcome' end
      from r join offer on r.lease_token = offer.token and r.created_by <> offer.token
     where r.unclean_claims > 0
)
