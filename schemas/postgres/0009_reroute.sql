-- Giving a recording that is not stored yet another revision: the one way in which a pin changes.

alter table recordings
    -- Why the pin changes, written by the statement that changes it. The trigger below moves it
    -- into history, so that no row ever keeps one.
    add column reroute_note text;

-- A pin that is set stays, but for this: a recording without a copy and without a live lease goes
-- to another revision of its own account's or of the platform's, with a reason, and leaves its
-- open upload behind. The history row is written here, by the owner's right: who may reroute need
-- not be able to write history, and cannot reroute without it.
create function move_pin() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    if not coalesce(
        new.reroute_note <> ''
        and old.state in ('staged', 'parked') and new.state = old.state
        and old.destination_revision <> new.destination_revision
        and coalesce(old.lease_until <= now(), true)
        and row(new.lease_token, new.lease_until)
            is not distinct from row(old.lease_token, old.lease_until)
        and new.upload_id is null
        and exists (select from destinations d
                     where d.revision = new.destination_revision
                       and (d.account_id is null or d.account_id = new.account_id)), false)
    then
        raise exception 'recording %/% may not be moved from revision % to %',
            old.account_id, old.recording_id, old.destination_revision, new.destination_revision
            using errcode = 'integrity_constraint_violation';
    end if;
    insert into recording_history (account_id, recording_id, from_state, to_state, by_whom, why)
    values (new.account_id, new.recording_id, old.state, new.state, 'reroute',
            format('revision %s to %s: %s', old.destination_revision, new.destination_revision,
                   new.reroute_note));
    new.reroute_note := null;
    return new;
end $$;
revoke execute on function move_pin() from public;

create trigger pins_move_by_reroute_alone before update on recordings
    for each row when (
        new.reroute_note is not null
        or (old.destination_revision is not null
            and old.destination_revision is distinct from new.destination_revision))
    execute function move_pin();
