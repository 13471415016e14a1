-- An erasure deletes an original by what is known of it, and no longer whatever lies at its path:
-- that may be the only original of another recording, whose recorder used the path twice.

alter table recordings
    -- The last attempt at the original that was begun by who compares first. Processes of an
    -- earlier release, which may run for a while beside this schema, never set it.
    add column original_erasure_compared integer;

-- As in 0016, and nobody begins who would delete without comparing.
create or replace function begin_original_erasure() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(1866561141, hashtext(new.account_id));
    if held_by(new.account_id, new.interaction_id, new.recording_id) is not null
        or old.state not in ('staged', 'parked', 'stored') or new.state <> old.state
        or coalesce(old.lease_until > now(), false)
        or new.original_erasure_compared is distinct from new.original_erasure_attempts
        or not exists (select from erasures e
                        where e.account_id = new.account_id
                          and e.recording_id = new.recording_id)
    then
        return null;
    end if;
    return new;
end $$;
