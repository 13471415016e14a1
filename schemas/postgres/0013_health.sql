-- What a check minds and work does not meet stands on its own: work neither ends it nor, by a
-- single denial of a single key, turns it into a breaker.

alter table destination_health
    -- What the latest check found that work does not meet: it stands, whatever work does, until a
    -- check no longer finds it.
    add column stands_reason text,
    add column stands_detail text,
    add constraint what_stands_has_a_reason check ((stands_reason is null) = (stands_detail is null));

update destination_health set stands_reason = reason, stands_detail = coalesce(detail, '')
 where state = 'unhealthy' and not holds;

-- As before, and: while only a check minds something, work's failures are a suspicion until as
-- many different recordings in a row met it as anywhere else.
create or replace function destination_failed(
    failing bigint, recording text, why text, seen text, whole boolean, hold boolean,
    by_whom text, confirm integer, settle double precision, probe double precision)
    returns boolean language plpgsql as $$
declare
    was destination_health%rowtype;
begin
    select * into was from destination_health where revision = failing for update;
    if not found then
        return false;
    end if;
    if was.holds then
        if recording is not null and recording = was.probe_account || '/' || was.probe_recording
        then
            update destination_health set probe_until = null where revision = failing;
        end if;
        if not hold then
            -- A check met nothing that work would.
            update destination_health set holds = false, source = by_whom, reason = why,
                detail = seen, drain_from = now(), drain_until = now(), probe_until = null
             where revision = failing;
        elsif was.reason <> why then
            update destination_health set reason = why, detail = seen where revision = failing;
        end if;
        return false;
    end if;
    if hold and not whole then
        if recording = any(was.failed) then
            return false;
        end if;
        if cardinality(was.failed) + 1 < confirm then
            update destination_health set failed = failed || recording where revision = failing;
            return false;
        end if;
    end if;
    if was.state = 'unhealthy' and not hold then
        if (was.reason, was.detail) is distinct from (why, seen) then
            update destination_health set source = by_whom, reason = why, detail = seen
             where revision = failing;
        end if;
        return false;
    end if;
    if was.state = 'unhealthy' then
        update destination_health set
            reason = why, detail = seen, source = by_whom, holds = true, failed = '{}',
            probes = 0, probe_at = now() + make_interval(secs => probe),
            probe_account = null, probe_recording = null, probe_until = null, asked_until = null,
            drain_from = null, drain_until = null
         where revision = failing;
        return false;
    end if;
    update destination_health set
        state = 'unhealthy', since = now(), reason = why, detail = seen, source = by_whom,
        holds = hold, failed = '{}', probes = 0, probe_at = now() + make_interval(secs => probe),
        probe_account = null, probe_recording = null, probe_until = null, asked_until = null,
        drain_from = null, drain_until = null,
        announcement_id = gen_random_uuid(), announcement_at = now(), announced_at = null,
        announce_after = case announced_state when 'unhealthy' then null
                              else now() + make_interval(secs => settle) end
     where revision = failing;
    return true;
end $$;

-- As before, and: work ends what it can judge. Where a check's finding stands, what was held back
-- is made due, and the destination stays unhealthy for the finding.
create or replace function destination_worked(
    working bigint, by_whom text, settle double precision)
    returns boolean language plpgsql as $$
declare
    was destination_health%rowtype;
begin
    select * into was from destination_health where revision = working for update;
    if not found then
        return false;
    end if;
    if not was.holds and was.failed <> '{}' and by_whom <> 'cleanup' then
        -- That a copy can be looked at says nothing of writing.
        update destination_health set failed = '{}', succeeded_at = now()
         where revision = working;
    end if;
    if was.state = 'healthy' then
        return false;
    end if;
    if by_whom = 'cleanup' and (was.source <> 'cleanup' or not was.holds) then
        return false;
    end if;
    if by_whom <> 'check' and was.stands_reason is not null then
        if was.holds then
            update destination_health set
                holds = false, reason = stands_reason, detail = stands_detail, source = 'check',
                failed = '{}', succeeded_at = now(), probes = 0,
                probe_account = null, probe_recording = null, probe_until = null,
                asked_until = null, drain_from = now(), drain_until = now()
             where revision = working;
        end if;
        return false;
    end if;
    update destination_health set
        state = 'healthy', since = now(), reason = null, detail = null, source = null,
        holds = false, failed = '{}', succeeded_at = now(), probes = 0, probe_at = null,
        probe_account = null, probe_recording = null, probe_until = null, asked_until = null,
        drain_from = case when was.holds then now() else drain_from end,
        drain_until = case when was.holds then now() else drain_until end,
        announcement_id = gen_random_uuid(), announcement_at = now(), announced_at = null,
        announce_after = case announced_state when 'healthy' then null
                              else now() + make_interval(secs => settle) end
     where revision = working;
    return true;
end $$;
