-- How each destination is, and its breaker: revisions are immutable, so this is a table of its
-- own. Only transitions are written, never one row for each recording.

create table destination_health (
    revision          bigint primary key references destinations,
    state             text not null default 'healthy' check (state in ('healthy', 'unhealthy')),
    -- Of the state.
    since             timestamptz not null default now(),
    -- Why it is unhealthy, as a recording would be parked, and what was seen.
    reason            text,
    detail            text,
    -- Who saw it, and whether recordings are held back: not for what only a check minds.
    source            text check (source in ('transfer', 'cleanup', 'check')),
    holds             boolean not null default false,
    -- Different recordings in a row that failed for what may be their own fault: a suspicion.
    failed            text[] not null default '{}',
    -- The latest success that ended a suspicion or an illness, or a check's.
    succeeded_at      timestamptz,

    -- The breaker is half open for one recording at a time: when next, which, and until when.
    probe_at          timestamptz,
    probe_account     text,
    probe_recording   text,
    probe_until       timestamptz,
    probes            integer not null default 0,
    -- A person wants what is due tried now, whatever the breaker says.
    asked_until       timestamptz,
    -- While what was held back is made due: since when, and up to when it is spread already.
    drain_from        timestamptz,
    drain_until       timestamptz,

    -- What others were last told, or may have been; and what they are owed.
    announced_state   text not null default 'healthy'
        check (announced_state in ('healthy', 'unhealthy')),
    announcement_id   uuid,
    announcement_at   timestamptz,
    announced_at      timestamptz,
    announce_after    timestamptz,

    next_check_at     timestamptz not null default now() + random() * interval '1 day',
    last_check_at     timestamptz,
    -- What the last check found failed, as it is told.
    findings          jsonb not null default '[]',
    -- When our secret there ends, where it says so itself.
    secret_expires_at timestamptz,

    constraint unhealthy_for_a_reason check (
        (state = 'unhealthy') = (reason is not null and source is not null)),
    constraint only_the_unhealthy_hold check (not holds or state = 'unhealthy'),
    constraint whoever_holds_is_probed check (not holds or probe_at is not null),
    constraint a_drain_is_whole check ((drain_from is null) = (drain_until is null))
)
with (fillfactor = 50);
create index destination_health_in_trouble on destination_health (revision)
    where state = 'unhealthy' or drain_until is not null;
create index destination_health_to_announce on destination_health (announce_after)
    where announce_after is not null;
create index destination_health_to_check on destination_health (next_check_at);

insert into destination_health (revision, next_check_at)
select revision, now() + random() * case identity when 'sas' then interval '1 hour'
                                                  else interval '1 day' end
  from destinations;

create function begin_health() returns trigger language plpgsql as $$
begin
    insert into destination_health (revision) values (new.revision);
    return null;
end $$;
create trigger every_destination_has_its_health after insert on destinations
    for each row execute function begin_health();

-- What a breaker holds back, by destination.
create index recordings_held_back on recordings (destination_revision, due_at)
    where state = 'parked' or (state = 'stored' and release_reason is not null);

-- A destination failed: `recording` is whose work it was (null: a check's), `whole` whether the
-- reason speaks for all of it, `hold` whether work would meet it too. Otherwise it takes as many
-- different recordings in a row as `confirm` says. True: it is unhealthy from now on.
--
-- The row is locked first, so that the verdict is about what is committed.
create function destination_failed(
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
    if was.state = 'unhealthy' then
        if recording is not null and recording = was.probe_account || '/' || was.probe_recording
        then
            update destination_health set probe_until = null where revision = failing;
        end if;
        if hold and not was.holds then
            update destination_health set holds = true, source = by_whom, reason = why,
                detail = seen, probes = 0, probe_at = now() + make_interval(secs => probe)
             where revision = failing;
        elsif was.holds and not hold then
            -- A check met nothing that work would.
            update destination_health set holds = false, source = by_whom, reason = why,
                detail = seen, drain_from = now(), drain_until = now(), probe_until = null
             where revision = failing;
        elsif was.reason <> why then
            update destination_health set reason = why, detail = seen where revision = failing;
        end if;
        return false;
    end if;
    if not whole then
        if recording = any(was.failed) then
            return false;
        end if;
        if cardinality(was.failed) + 1 < confirm then
            update destination_health set failed = failed || recording where revision = failing;
            return false;
        end if;
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

-- A destination worked. True: it is healthy from now on, and what was held back is made due.
create function destination_worked(working bigint, by_whom text, settle double precision)
    returns boolean language plpgsql as $$
declare
    was destination_health%rowtype;
begin
    select * into was from destination_health where revision = working for update;
    if not found then
        return false;
    end if;
    if was.state = 'healthy' then
        -- That a copy can be looked at says nothing of writing.
        if was.failed <> '{}' and by_whom <> 'cleanup' then
            update destination_health set failed = '{}', succeeded_at = now()
             where revision = working;
        end if;
        return false;
    end if;
    if (by_whom = 'cleanup' and was.source <> 'cleanup')
        or (by_whom <> 'check' and not was.holds)
    then
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
