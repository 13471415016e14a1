-- Erasing a recording that has no proven copy: its original goes from staging by an erasure alone,
-- then whatever of it may lie at its key. The database refuses every other way to that deletion.

alter table recordings
    -- That its erasure was asked for, as `erasures` says: here, so that whoever claims the row, or
    -- looks for what waits, need not look there. Only the trigger below sets it.
    add column erasure_asked_at           timestamptz,
    -- Since when a deletion of the original may have been begun without a proven copy: the intent,
    -- written before it. From then on the row is nobody's to transfer.
    add column original_erasure_began_at  timestamptz,
    -- How often one was begun. Only the statement that begins one raises it.
    add column original_erasure_attempts  integer not null default 0,
    -- The original was seen to be gone, and no copy of it was ever proven: such a row is released,
    -- or expired, without a receipt.
    add column original_erased_at         timestamptz,
    -- How that was seen.
    add column original_erasure_proof     text,
    -- Until when a request that a transfer sent before may still be carried out.
    add column late_writes_until          timestamptz,
    drop constraint only_work_is_leased,
    add constraint only_work_is_leased check (
        lease_token is null or state in ('staged', 'stored', 'released')
        or (state = 'parked' and original_erasure_began_at is not null)),
    drop constraint pinned_unless_it_has_no_destination,
    add constraint pinned_unless_it_has_no_destination check (
        destination_revision is not null
        or (state = 'parked' and reason = 'no_destination')
        or original_erased_at is not null),
    drop constraint a_receipt_is_whole,
    add constraint a_receipt_is_whole check (
        (state in ('staged', 'parked') and original_erased_at is null
            and num_nonnulls(object_key, receipt_size_bytes, receipt_sha256, receipt_etag,
                receipt_checksum, receipt_method, stored_at, original_size_bytes,
                original_mtime_ns, original_inode, acknowledgment_id, acknowledged_at,
                released_at) = 0)
        or (state in ('stored', 'released', 'expired') and original_erased_at is null
            and num_nulls(object_key, receipt_size_bytes, receipt_sha256, receipt_etag,
                receipt_checksum, receipt_method, stored_at, original_size_bytes,
                original_mtime_ns, original_inode, acknowledgment_id) = 0)
        -- Nothing was proven: only the key is known at which something may lie.
        or (state in ('released', 'expired') and original_erased_at is not null
            and original_erasure_proof is not null
            and (object_key is null) = (destination_revision is null)
            and num_nonnulls(receipt_size_bytes, receipt_sha256, receipt_etag,
                receipt_version_id, receipt_checksum, receipt_content_md5, receipt_method,
                stored_at, original_size_bytes, original_mtime_ns, original_inode,
                acknowledgment_id, acknowledged_at) = 0)),
    drop constraint only_work_has_an_upload,
    -- One that was left open is known until it is ended.
    add constraint only_work_has_an_upload check (
        upload_id is null or state in ('staged', 'parked')
        or (state = 'released' and original_erased_at is not null)),
    drop constraint only_the_expired_are_erased,
    -- Where nothing was proven the words go with the original.
    add constraint only_the_expired_are_erased check (
        erased_at is null or state = 'expired' or original_erased_at is not null);

update recordings r set erasure_asked_at = e.asked_at
  from erasures e
 where e.account_id = r.account_id and e.recording_id = r.recording_id;

-- Originals that an erasure is to take, by when they are looked at next.
create index recordings_to_erase on recordings (expiry_next_at)
    where erasure_asked_at is not null and state in ('staged', 'parked', 'stored');
-- Erasures that are not over.
create index recordings_not_erased on recordings (account_id, erasure_asked_at)
    where erasure_asked_at is not null and erased_at is null;

-- As in 0015, and the row knows it.
create or replace function begin_erasure() returns trigger language plpgsql security definer
    set search_path = public, pg_temp as $$
begin
    insert into recording_history (account_id, recording_id, from_state, to_state, by_whom, why)
    select r.account_id, r.recording_id, r.state, r.state, 'operator',
           'erasure asked for by ' || new.asked_by || ': ' || new.why
      from recordings r
     where r.account_id = new.account_id and r.recording_id = new.recording_id;
    update recordings r set
        erasure_asked_at = new.asked_at,
        expiry_next_at = case when r.state <> 'expired' then now() end
     where r.account_id = new.account_id and r.recording_id = new.recording_id;
    update retention_pace p set next_at = now() where p.account_id = new.account_id;
    return null;
end $$;
revoke execute on function begin_erasure() from public;

-- The deletion of an original that no copy was proven of begins only by an erasure of exactly this
-- recording, under no hold, and while nobody works on it. Asked as `begin_expiry` asks: under the
-- row's lock and behind the account's gate, in a snapshot of its own. The row is passed over as one
-- whose hold was seen in time.
create function begin_original_erasure() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(1866561141, hashtext(new.account_id));
    if held_by(new.account_id, new.interaction_id, new.recording_id) is not null
        or old.state not in ('staged', 'parked', 'stored') or new.state <> old.state
        or coalesce(old.lease_until > now(), false)
        or not exists (select from erasures e
                        where e.account_id = new.account_id
                          and e.recording_id = new.recording_id)
    then
        return null;
    end if;
    return new;
end $$;
create trigger holds_win_over_erasures before update on recordings
    for each row when (new.original_erasure_attempts > old.original_erasure_attempts)
    execute function begin_original_erasure();

-- What was begun so is nobody's to transfer, and nothing is called erased that was not begun.
create function refuse_unbegun_erasure() returns trigger language plpgsql as $$
begin
    raise exception 'recording %/% may not change so: the erasure of its original %',
        old.account_id, old.recording_id,
        case when old.original_erasure_began_at is null then 'was not begun' else 'has begun' end
        using errcode = 'integrity_constraint_violation';
end $$;
create trigger originals_are_erased_as_begun before update on recordings
    for each row when (
        (old.original_erasure_began_at is null and new.original_erasure_began_at is not null
            and new.original_erasure_attempts <= old.original_erasure_attempts)
        or (old.original_erasure_began_at is null and new.original_erased_at is not null)
        or (old.original_erased_at is not null
            and row(old.original_erased_at, old.original_erasure_proof,
                    old.original_erasure_began_at)
                is distinct from row(new.original_erased_at, new.original_erasure_proof,
                    new.original_erasure_began_at))
        or (old.original_erasure_began_at is not null
            and (new.claims > old.claims
                or (old.state in ('staged', 'parked') and new.state = 'stored')
                or new.destination_revision is distinct from old.destination_revision)))
    execute function refuse_unbegun_erasure();

create or replace function refuse_illegal_transition() returns trigger language plpgsql as $$
begin
    if not coalesce(
        (old.state = 'staged' and new.state in ('stored', 'parked'))
        or (old.state = 'parked' and new.state = 'staged')
        or (old.state = 'stored' and new.state = 'released')
        or (old.state = 'stored' and new.state = 'parked' and new.reason = 'copy_lost')
        or (old.state in ('staged', 'parked') and new.state = 'released'
            and old.original_erasure_began_at is not null and new.original_erased_at is not null)
        or (old.state = 'released' and new.state = 'expired'), false)
    then
        raise exception 'recording %/% may not go from % to %',
            old.account_id, old.recording_id, old.state, new.state
            using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end $$;

-- The words go with the original, whatever the destination says: unless a hold came too late for
-- it, and keeps what is left. (Behind every trigger that asks what the event said, by its name.)
create function words_go_with_the_original() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(1866561141, hashtext(new.account_id));
    if held_by(new.account_id, new.interaction_id, new.recording_id) is null then
        new.erased_at := now();
        new.interaction_id := 'erased';
        new.path := new.account_id || '/erased';
        new.media_type := 'application/octet-stream';
        new.started_at := 'epoch';
        new.completed_at := 'epoch';
        new.duration_ms := null;
        new.sha256 := null;
        new.attributes := '{}';
        new.detail := null;
        new.release_detail := null;
    end if;
    return new;
end $$;
create trigger words_go_with_the_original before update on recordings
    for each row when (old.original_erased_at is null and new.original_erased_at is not null)
    execute function words_go_with_the_original();

-- What else the end of such an original ends: parts that nobody will go on with. By the owner's
-- right: cleanup need not be able to delete them otherwise.
create function follow_the_original() returns trigger language plpgsql security definer
    set search_path = public, pg_temp as $$
begin
    delete from recording_upload_parts p
     where p.account_id = new.account_id and p.recording_id = new.recording_id;
    return null;
end $$;
revoke execute on function follow_the_original() from public;
create trigger what_follows_the_original after update on recordings
    for each row when (old.original_erased_at is null and new.original_erased_at is not null)
    execute function follow_the_original();

-- The sweep of copies comes by as soon as one that is to be erased is released and owes nothing to
-- others any more; otherwise it would come when the next falls due, or in an hour. By the owner's
-- right: whoever releases or notes need not be able to.
create function call_the_sweep() returns trigger language plpgsql security definer
    set search_path = public, pg_temp as $$
begin
    update retention_pace p set next_at = greatest(now(), new.expiry_next_at)
     where p.account_id = new.account_id
       and p.next_at > greatest(now(), new.expiry_next_at);
    return null;
end $$;
revoke execute on function call_the_sweep() from public;
create trigger erasures_call_the_sweep after update on recordings
    for each row when (new.state = 'released'
        and new.erasure_asked_at is not null and new.expiry_began_at is null
        and new.due_at is null and new.announce_after is null
        and (old.state <> 'released' or old.due_at is not null
             or old.announce_after is not null))
    execute function call_the_sweep();

-- The words of a recording whose copy is gone, or never was proven, and that is to be erased.
create or replace function erase_words(account text, recording text) returns boolean
    language plpgsql security definer set search_path = public, pg_temp as $$
begin
    update recordings r set
        erased_at = now(), interaction_id = 'erased', path = r.account_id || '/erased',
        media_type = 'application/octet-stream', started_at = 'epoch', completed_at = 'epoch',
        duration_ms = null, sha256 = null, attributes = '{}', detail = null,
        release_detail = null, updated_at = now()
     where r.account_id = account and r.recording_id = recording
       and (r.state = 'expired' or r.original_erased_at is not null) and r.erased_at is null
       and held_by(r.account_id, r.interaction_id, r.recording_id) is null
       and exists (select from erasures e where e.account_id = account
                    and e.recording_id = recording);
    return found;
end $$;
revoke execute on function erase_words(text, text) from public;

-- Whether a message is of a recording: by its own fields, where it can be read as a document that
-- has both, and otherwise (cut, or malformed) where both words stand in it.
create function message_is_of(body bytea, account text, recording text) returns boolean
    language plpgsql stable as $$
declare
    said jsonb;
begin
    begin
        said := convert_from(body, 'UTF8')::jsonb -> 'data';
        if jsonb_typeof(said -> 'account_id') = 'string'
            and jsonb_typeof(said -> 'recording_id') = 'string'
        then
            return said ->> 'account_id' = account and said ->> 'recording_id' = recording;
        end if;
    exception when others then
        -- No document of ours.
        null;
    end;
    return position(convert_to('"' || account || '"', 'UTF8') in body) > 0
        and position(convert_to('"' || recording || '"', 'UTF8') in body) > 0;
end $$;

-- Quarantined messages of a recording hold its words: they go with them. By the owner's right.
create function forget_messages() returns trigger language plpgsql security definer
    set search_path = public, pg_temp as $$
declare
    gone integer;
begin
    delete from quarantined_messages q
     where (q.account_id = new.account_id or q.account_id is null)
       and message_is_of(q.body, new.account_id, new.recording_id);
    get diagnostics gone = row_count;
    if gone > 0 then
        insert into recording_history
            (account_id, recording_id, from_state, to_state, by_whom, why)
        values (new.account_id, new.recording_id, new.state, new.state, 'erasure',
                gone || ' quarantined messages of it erased');
    end if;
    return null;
end $$;
revoke execute on function forget_messages() from public;
create trigger messages_go_with_the_words after update on recordings
    for each row when (old.erased_at is null and new.erased_at is not null)
    execute function forget_messages();
