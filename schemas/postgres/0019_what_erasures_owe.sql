-- What an erasure still owes when the copy is gone is paid by housekeeping, piece by piece: words
-- that a hold kept or that it came too late for, and quarantined messages.

-- Recordings whose quarantined messages are to be forgotten, and how far the search is. The search
-- is no part of the recording's own change: it reads all that is in quarantine.
create table message_erasures (
    account_id   text collate "C" not null references accounts,
    recording_id text collate "C" not null,
    -- Messages up to this one have been looked at.
    after_id     bigint not null default 0,
    begun_at     timestamptz not null default now(),
    primary key (account_id, recording_id)
);

create or replace function forget_messages() returns trigger language plpgsql security definer
    set search_path = public, pg_temp as $$
begin
    insert into message_erasures (account_id, recording_id)
    values (new.account_id, new.recording_id)
    on conflict (account_id, recording_id) do update set after_id = 0;
    return null;
end $$;
revoke execute on function forget_messages() from public;

-- Looks at the next `most` messages for one recording whose words are gone. What can be read and is
-- of it goes. What cannot be read, and has both words in it, may be another's, and its row may be
-- all that says so: only its body goes. Answers whether there was anything to do.
create function forget_some_messages(most integer) returns boolean language plpgsql
    security definer set search_path = public, pg_temp as $$
declare
    owed message_erasures;
    upto bigint;
    gone integer;
    cut  integer;
begin
    select * into owed from message_erasures order by begun_at limit 1 for update skip locked;
    if not found then
        return false;
    end if;
    select max(id) into upto from (
        select id from quarantined_messages where id > owed.after_id order by id limit most) next;
    if upto is null then
        delete from message_erasures
         where account_id = owed.account_id and recording_id = owed.recording_id;
        return true;
    end if;
    with named as materialized (
        select id, message_says(body, 'account_id') as account,
               message_says(body, 'recording_id') as recording
          from quarantined_messages
         where id > owed.after_id and id <= upto
           and (account_id = owed.account_id or account_id is null)
           and position(convert_to('"' || owed.recording_id || '"', 'UTF8') in body) > 0
           and position(convert_to('"' || owed.account_id || '"', 'UTF8') in body) > 0
    ), taken as (
        delete from quarantined_messages q using named n
         where q.id = n.id and n.account = owed.account_id and n.recording = owed.recording_id
        returning true
    ), emptied as (
        update quarantined_messages q set
            body = '', requeuable = false, check_at = null, asked_at = null,
            detail = 'its body went with the erasure of a recording that it named; publish what '
                'it announced again. ' || q.reason
          from named n
         where q.id = n.id and (n.account is null or n.recording is null)
        returning true
    )
    select (select count(*) from taken), (select count(*) from emptied) into gone, cut;
    update message_erasures set after_id = upto
     where account_id = owed.account_id and recording_id = owed.recording_id;
    if gone + cut > 0 then
        insert into recording_history
            (account_id, recording_id, from_state, to_state, by_whom, why)
        select r.account_id, r.recording_id, r.state, r.state, 'erasure',
               gone || ' quarantined messages of it erased, and ' || cut || ' emptied'
          from recordings r
         where r.account_id = owed.account_id and r.recording_id = owed.recording_id;
    end if;
    return true;
end $$;
revoke execute on function forget_some_messages(integer) from public;

-- A field of a message's data; null where the message cannot be read, or does not say it.
create function message_says(body bytea, field text) returns text language plpgsql stable as $$
declare
    said jsonb;
begin
    said := convert_from(body, 'UTF8')::jsonb -> 'data' -> field;
    return case when jsonb_typeof(said) = 'string' then said #>> '{}' end;
exception when others then
    -- No document of ours.
    return null;
end $$;
drop function message_is_of(bytea, text, text);

-- Rows whose words an erasure is to take and nothing keeps any more: it was asked for while the
-- copy was already going, a hold that came too late was released, or a process died in between.
create function erase_words_left(most integer) returns bigint language plpgsql security definer
    set search_path = public, pg_temp as $$
begin
    return (
        select count(*) filter (where erase_words(r.account_id, r.recording_id)) from (
            select account_id, recording_id from recordings
             where erasure_asked_at is not null and erased_at is null
               and (state = 'expired' or original_erased_at is not null)
               and held_by(account_id, interaction_id, recording_id) is null
             limit most) r);
end $$;
revoke execute on function erase_words_left(integer) from public;

-- What stopped under a clock that had jumped says that it stopped in the future: what falls due
-- after the confirmation is judged all the same.
create function judge_what_comes() returns trigger language plpgsql as $$
begin
    new.due_until := least(new.due_until, now());
    return new;
end $$;
create trigger confirmations_end_now before update on retention_stops
    for each row when (old.confirmed_at is null and new.confirmed_at is not null)
    execute function judge_what_comes();

-- As in 0015, and it never reads more than the next ten thousand that are due. After a confirmation
-- of a large backlog nothing in that was to be judged, so that all of it was read, in each turn.
-- What is due after it lies behind it in the order in which copies go, and is judged before it goes.
create or replace function retention_excess(account text) returns text language plpgsql stable as $$
declare
    since timestamptz;
    falls bigint;
    came bigint;
begin
    select max(due_until) into since from retention_stops
     where account_id = account and reason = 'too_many' and confirmed_at is not null;
    with next as materialized (
        select retain_until, completed_at from recordings
         where account_id = account and state = 'released'
           and coalesce(expiry_next_at, retain_until) <= now()
         order by coalesce(expiry_next_at, retain_until) limit 10000
    ), due as materialized (
        select * from next
         where retain_until <= now() and retain_until > coalesce(since, '-infinity')
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
