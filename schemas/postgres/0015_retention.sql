-- Retention: what must stay (legal holds), what goes and how far it is (expiry), what must go before
-- its time (erasure), and what stops a sweep that looks wrong.

-- Legal holds, append-only: one row when a hold is placed, and one in the other table when it is
-- released. A hold is on one recording, on an interaction, or on all that an account has and will
-- have.
create table legal_holds (
    hold_id        bigint generated always as identity primary key,
    account_id     text collate "C" not null references accounts,
    recording_id   text collate "C",
    interaction_id text,
    reason         text not null check (reason <> ''),
    placed_by      text not null check (placed_by <> ''),
    placed_at      timestamptz not null default now(),
    constraint on_one_thing check (num_nonnulls(recording_id, interaction_id) <= 1)
);
create index legal_holds_of_an_account
    on legal_holds (account_id, recording_id, interaction_id);
create table legal_hold_releases (
    hold_id     bigint primary key references legal_holds,
    reason      text not null check (reason <> ''),
    released_by text not null check (released_by <> ''),
    released_at timestamptz not null default now()
);
create trigger legal_holds_are_append_only before update or delete on legal_holds
    for each row execute function refuse_change();
create trigger legal_holds_stay before truncate on legal_holds
    for each statement execute function refuse_change();
create trigger legal_hold_releases_are_append_only
    before update or delete on legal_hold_releases
    for each row execute function refuse_change();
create trigger legal_hold_releases_stay before truncate on legal_hold_releases
    for each statement execute function refuse_change();

-- The oldest hold that is on a recording now; null: none.
create function held_by(account text, interaction text, recording text) returns bigint
    language plpgsql stable as $$
begin
    return (select min(h.hold_id) from legal_holds h
             where h.account_id = account
               and (h.recording_id = recording or h.interaction_id = interaction
                    or (h.recording_id is null and h.interaction_id is null))
               and not exists (select from legal_hold_releases r where r.hold_id = h.hold_id));
end $$;

-- That a recording is to be erased, whatever its retention; never changed, and without the
-- personal words that the erasure takes away.
create table erasures (
    account_id   text collate "C" not null references accounts,
    recording_id text collate "C" not null,
    why          text not null check (why <> ''),
    asked_by     text not null check (asked_by <> ''),
    asked_at     timestamptz not null default now(),
    primary key (account_id, recording_id)
);
create trigger erasures_are_append_only before update or delete on erasures
    for each row execute function refuse_change();
create trigger erasures_stay before truncate on erasures
    for each statement execute function refuse_change();

alter table recordings
    -- Since when a deletion of the copy may have been sent: the intent, written before it is.
    add column expiry_began_at    timestamptz,
    add column expiry_for         text check (expiry_for in ('retention', 'erasure')),
    -- How often a deletion was begun. Only the statement that begins one raises it.
    add column expiry_attempts    integer not null default 0,
    -- Why a copy is still there although its time has come:
    -- held: a legal hold; denied: we may not delete it; locked: it is locked at the store;
    -- unclear: it is not known whether it is gone
    add column expiry_outcome     text
        check (expiry_outcome in ('held', 'denied', 'locked', 'unclear')),
    add column expiry_detail      text,
    add column expiry_lock_until  timestamptz,
    -- When the sweep looks next; null: when retention ends.
    add column expiry_next_at     timestamptz,
    -- What the look saw that found nothing of it any more, and what had been deleted.
    add column expiry_proof       text check (expiry_proof in ('nothing_at_the_key',
        'another_object_at_the_key', 'no_version_at_the_key', 'other_versions_at_the_key',
        'never_pinned')),
    add column expired_versions   integer,
    -- The personal words in this row are gone; what is left answers whoever announces it again.
    add column erased_at          timestamptz,
    drop constraint only_work_is_leased,
    add constraint only_work_is_leased check (
        lease_token is null or state in ('staged', 'stored', 'released')),
    add constraint expiry_follows_release check (
        expiry_began_at is null or state in ('released', 'expired')),
    add constraint expired_with_proof check (
        state <> 'expired' or expiry_proof is not null) not valid,
    add constraint only_the_expired_are_erased check (erased_at is null or state = 'expired');

-- What falls due is found by account, without looking at anything that does not.
create index recordings_to_expire
    on recordings (account_id, (coalesce(expiry_next_at, retain_until)))
    where state = 'released' and coalesce(expiry_next_at, retain_until) is not null;
-- Deletions that were begun and have not ended, for whoever places a hold.
create index recordings_expiring on recordings (account_id)
    where state = 'released' and expiry_began_at is not null;
create index recordings_retained_by_customer on recordings (expiry_outcome)
    where state = 'released' and expiry_outcome is not null;

-- A deletion begins only when its time has come and nothing holds it. This is asked here, under
-- the row's lock and behind the account's gate, in a snapshot of its own: a hold that is placed at
-- the same moment either is seen here, or its own statement sees what began. The row is passed
-- over as one whose hold was seen in time.
create function begin_expiry() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(1866561141, hashtext(new.account_id));
    if held_by(new.account_id, new.interaction_id, new.recording_id) is not null
        or not (coalesce(new.retain_until <= now(), false)
            or exists (select from erasures e
                        where e.account_id = new.account_id
                          and e.recording_id = new.recording_id))
    then
        return null;
    end if;
    return new;
end $$;
create trigger holds_win before update on recordings
    for each row when (new.expiry_attempts > old.expiry_attempts)
    execute function begin_expiry();
-- Nothing expires that no deletion was begun for.
create function refuse_unbegun_expiry() returns trigger language plpgsql as $$
begin
    raise exception 'recording %/% may not expire: no deletion of it was begun',
        old.account_id, old.recording_id
        using errcode = 'integrity_constraint_violation';
end $$;
create trigger expiries_are_begun before update on recordings
    for each row when (new.state = 'expired' and old.state = 'released'
        and old.expiry_began_at is null)
    execute function refuse_unbegun_expiry();

-- What the event said stays, until it is erased: then all of it becomes the same empty words, once.
drop trigger contents_stay on recordings;
create function change_contents() returns trigger language plpgsql as $$
begin
    if row(new.account_id, new.recording_id, new.created_by, new.size_bytes, new.kind)
        is distinct from
        row(old.account_id, old.recording_id, old.created_by, old.size_bytes, old.kind)
        or old.erased_at is not null or new.erased_at is null
        or not exists (select from erasures e
                        where e.account_id = new.account_id
                          and e.recording_id = new.recording_id)
    then
        raise exception '% of a row in % is refused: rows there are never changed',
            tg_op, tg_table_name using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end $$;
create trigger contents_stay before update on recordings
    for each row when (
        row(old.account_id, old.recording_id, old.interaction_id, old.kind, old.media_type,
            old.started_at, old.completed_at, old.duration_ms, old.path, old.size_bytes,
            old.sha256, old.created_by)
        is distinct from
        row(new.account_id, new.recording_id, new.interaction_id, new.kind, new.media_type,
            new.started_at, new.completed_at, new.duration_ms, new.path, new.size_bytes,
            new.sha256, new.created_by))
    execute function change_contents();

-- An erasure that is asked for is part of the recording's story, and due. By the owner's right, for
-- whoever asks can neither write history nor change a row otherwise.
create function begin_erasure() returns trigger language plpgsql security definer
    set search_path = public, pg_temp as $$
begin
    insert into recording_history (account_id, recording_id, from_state, to_state, by_whom, why)
    select r.account_id, r.recording_id, r.state, r.state, 'operator',
           'erasure asked for by ' || new.asked_by || ': ' || new.why
      from recordings r
     where r.account_id = new.account_id and r.recording_id = new.recording_id;
    update recordings r set expiry_next_at = now()
     where r.account_id = new.account_id and r.recording_id = new.recording_id
       and r.state <> 'expired';
    update retention_pace p set next_at = now() where p.account_id = new.account_id;
    return null;
end $$;
revoke execute on function begin_erasure() from public;
create trigger erasures_begin after insert on erasures
    for each row execute function begin_erasure();

-- The words of a recording whose copy is gone, and that is to be erased. By the owner's right:
-- whoever asks for an erasure need not be able to change a row, and cannot change another one.
create function erase_words(account text, recording text) returns boolean language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    update recordings r set
        erased_at = now(), interaction_id = 'erased', path = r.account_id || '/erased',
        media_type = 'application/octet-stream', started_at = 'epoch', completed_at = 'epoch',
        duration_ms = null, sha256 = null, attributes = '{}', detail = null,
        release_detail = null, updated_at = now()
     where r.account_id = account and r.recording_id = recording
       and r.state = 'expired' and r.erased_at is null
       and held_by(r.account_id, r.interaction_id, r.recording_id) is null
       and exists (select from erasures e where e.account_id = account
                    and e.recording_id = recording);
    return found;
end $$;
revoke execute on function erase_words(text, text) from public;

-- Whose turn it is: one row for each account, so that any number of replicas together keep to its
-- pace.
create table retention_pace (
    account_id text collate "C" primary key references accounts,
    next_at    timestamptz not null default now()
)
with (fillfactor = 50);
create index retention_pace_in_turn on retention_pace (next_at);
insert into retention_pace (account_id) select account_id from accounts;
create function begin_pace() returns trigger language plpgsql security definer
    set search_path = public, pg_temp as $$
begin
    insert into retention_pace (account_id) values (new.account_id);
    return null;
end $$;
revoke execute on function begin_pace() from public;
create trigger every_account_has_its_pace after insert on accounts
    for each row execute function begin_pace();

-- The sweep stopped by itself and asks: for one account, or (null) altogether.
create table retention_stops (
    stop_id      bigint generated always as identity primary key,
    account_id   text collate "C" references accounts,
    -- too_many: far more fell due in a day than was ever completed in one
    -- clock_jump: the clocks contradict each other
    -- upgrade: what an earlier release stamped, and never deleted, would go from now on
    reason       text not null check (reason in ('too_many', 'clock_jump', 'upgrade')),
    detail       text not null,
    -- What was due by then is what a confirmation lets go.
    due_until    timestamptz not null default now(),
    stopped_at   timestamptz not null default now(),
    -- Whether a process has said so in its log and its metrics.
    told         boolean not null default false,
    confirmed_at timestamptz,
    confirmed_by text,
    confirmed_why text,
    constraint a_confirmation_is_whole check (
        num_nulls(confirmed_at, confirmed_by, confirmed_why) in (0, 3))
);
create unique index retention_stops_open on retention_stops (coalesce(account_id, ''), reason)
    where confirmed_at is null;

-- Why what is due of an account looks wrong; null: it does not. With retention of whole days, the
-- days on which recordings fall due look like the days on which the same recordings were
-- completed. Where far more fall due in one day than were completed in any, somebody changed what
-- was stamped. Four times, because kinds and shortened policies lay some days upon each other; a
-- hundred, because a small number says nothing. What was confirmed is not judged again.
create function retention_excess(account text) returns text language plpgsql stable as $$
declare
    since timestamptz;
    falls bigint;
    came bigint;
begin
    select max(due_until) into since from retention_stops
     where account_id = account and reason = 'too_many' and confirmed_at is not null;
    with due as materialized (
        select retain_until, completed_at from recordings
         where account_id = account and state = 'released'
           and coalesce(expiry_next_at, retain_until) <= now()
           and retain_until <= now() and retain_until > coalesce(since, '-infinity')
         order by coalesce(expiry_next_at, retain_until) limit 10000
    )
    select (select max(n) from (select count(*) as n from due
                group by floor(extract(epoch from retain_until) / 86400)) days),
           (select max(n) from (select count(*) as n from due
                group by floor(extract(epoch from completed_at) / 86400)) days)
      into falls, came;
    if falls is null or falls <= 100 or falls <= 4 * came then
        return null;
    end if;
    return format('%s recordings fell due in one day, and no more than %s of them were completed '
        'in any', falls, came);
end $$;

-- Earlier releases stamped when retention ends and deleted nothing. Where there is anything that
-- they released, a person says once that it may go.
insert into retention_stops (account_id, reason, detail, told)
select null, 'upgrade', 'copies that an earlier release stored would be deleted from now on when '
    'their retention ends: see `callferry retention preview` of each account, place holds, confirm',
    true
 where exists (select from recordings where state = 'released' and retain_until is not null);
