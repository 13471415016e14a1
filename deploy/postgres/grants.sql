-- What each of the database's users may do: as much as its statements need, and no more. Run it
-- as callferry_owner after every `callferry migrate`, and after roles.sql, which makes whom it
-- names; repeating it is harmless, and processes that run meanwhile notice nothing: it is one
-- transaction.
--
-- Two things no grant can say are said by a trigger: which transitions of a recording are whose.
-- A transfer process could otherwise write `released` into a row whose original is still there.

\set ON_ERROR_STOP on
begin;
set local lock_timeout = '10s';

revoke all on all tables in schema public from callferry_transfer, callferry_cleanup,
    callferry_housekeeping, callferry_playback, callferry_operator, callferry_scaler, public;
revoke all on all functions in schema public from callferry_transfer, callferry_cleanup,
    callferry_housekeeping, callferry_playback, callferry_operator, callferry_scaler, public;
alter default privileges in schema public revoke execute on functions from public;

-- Everybody checks that this is the ledger it expects.
grant select on installation, schema_migrations to callferry_transfer, callferry_cleanup,
    callferry_housekeeping, callferry_playback, callferry_operator;
-- Whoever reaches a destination does so with the newest credential for its place.
grant select on reached_destinations to callferry_transfer, callferry_cleanup,
    callferry_housekeeping, callferry_playback, callferry_operator;
grant execute on function credential_of(bigint) to callferry_transfer, callferry_cleanup,
    callferry_housekeeping, callferry_playback, callferry_operator;

-- Transfer: claims, keeps its lease, and says that a copy is stored or why it is not yet.
grant select on accounts, destinations, retention_policies, recordings to callferry_transfer;
grant execute on function destination_in_force(text, timestamptz),
    retention_end(text, text, timestamptz, integer) to callferry_transfer;
grant insert (account_id, recording_id, state, interaction_id, kind, media_type, started_at,
    completed_at, duration_ms, path, size_bytes, sha256, attributes, destination_revision,
    retain_until, created_by, lease_token, lease_until, claims, first_claimed_at, reason, detail,
    next_attempt_at, rungs, announced_reason, announcement_id, announcement_at, announce_after,
    due_at, due_queue) on recordings to callferry_transfer;
grant update (state, destination_revision, lease_token, lease_until, last_token, claims,
    unclean_claims, child_deaths, lent_at_claim, first_claimed_at, resumed_at, upload_id,
    upload_part_bytes, upload_size_bytes, upload_mtime_ns, upload_inode, upload_entity, reason,
    detail, next_attempt_at, rungs, announced_reason, object_key, receipt_size_bytes,
    receipt_sha256, receipt_etag, receipt_version_id, receipt_checksum, receipt_content_md5, receipt_method,
    stored_at, original_size_bytes, original_mtime_ns, original_inode, original_entity,
    acknowledgment_id, acknowledged_at, release_reason, release_detail,
    release_next_attempt_at, release_rungs, announcement_id, announcement_at, announced_at, announce_after, due_at, due_queue, driven_at,
    drive_count, updated_at) on recordings to callferry_transfer;
grant insert (account_id, recording_id, at, from_state, to_state, by_whom, why)
    on recording_history to callferry_transfer;
-- What is to be erased is claimed only while a hold keeps it. Cleanup asks the same before it takes
-- an original for an erasure.
grant select (hold_id, account_id, recording_id, interaction_id) on legal_holds
    to callferry_transfer, callferry_cleanup;
grant select (hold_id) on legal_hold_releases to callferry_transfer, callferry_cleanup;
grant execute on function held_by(text, text, text) to callferry_transfer, callferry_cleanup;
-- The parts of an upload that may be gone on with, and where its leftovers are to be looked for.
grant select, insert, delete, update (etag, crc64nvme)
    on recording_upload_parts to callferry_transfer;
grant select, insert (revision, account_id, begun_at, due_at), update (begun_at)
    on upload_sweeps to callferry_transfer;
-- How a destination is, by what came of work there; cleanup sees as much of it.
grant execute on function destination_worked(bigint, text, double precision),
    destination_failed(bigint, text, text, text, boolean, boolean, text, integer,
        double precision, double precision) to callferry_transfer, callferry_cleanup;
grant select, update (state, since, reason, detail, source, holds, failed, succeeded_at, probe_at,
    probe_account, probe_recording, probe_until, probes, asked_until, drain_from, drain_until,
    announcement_id, announcement_at, announced_at, announce_after)
    on destination_health to callferry_transfer, callferry_cleanup;

-- Cleanup: releases, refuses to, or finds that the copy is lost and takes the receipt back.
grant select on destinations, recordings to callferry_cleanup;
grant update (state, lease_token, lease_until, last_token, unclean_claims, child_deaths,
    lent_at_claim, resumed_at, reason, detail, next_attempt_at, rungs, announced_reason,
    object_key, receipt_size_bytes, receipt_sha256, receipt_etag, receipt_version_id,
    receipt_checksum, receipt_content_md5, receipt_method, stored_at, original_size_bytes,
    original_mtime_ns, original_inode, original_entity, acknowledgment_id, acknowledged_at,
    release_reason, release_detail, release_next_attempt_at, release_rungs, released_at,
    announcement_id, announcement_at, announced_at, announce_after, due_at, due_queue, driven_at, drive_count,
    updated_at) on recordings to callferry_cleanup;
-- And takes originals that an erasure was asked for. Triggers keep that from beginning without one,
-- under a hold or while somebody works on it, and take the words with it.
grant update (original_erasure_began_at, original_erasure_attempts, original_erasure_compared,
    original_erased_at, original_erasure_proof, late_writes_until, expiry_for, expiry_outcome, expiry_detail,
    expiry_next_at) on recordings to callferry_cleanup;
grant select (account_id, recording_id) on erasures to callferry_cleanup;
grant select (account_id, recording_id, from_state, to_state),
    insert (account_id, recording_id, at, from_state, to_state, by_whom, why)
    on recording_history to callferry_cleanup;
grant select (reason, account_id, path, ended_at, requeuable), update (check_at)
    on quarantined_messages to callferry_cleanup;

-- Housekeeping: drives on what is due, announces what is owed, keeps the quarantine, looks for
-- leftovers of uploads, checks destinations and tends their breakers.
grant select on accounts, destinations, recordings to callferry_housekeeping;
grant update (due_at, driven_at, drive_count, announced_at, announce_after, next_attempt_at, rungs,
    release_next_attempt_at, release_rungs) on recordings to callferry_housekeeping;
-- And ends copies whose time has come. Triggers keep a deletion from beginning under a hold or too
-- early, and contents from changing unless they are erased.
grant update (state, lease_token, lease_until, last_token, expired_at, expiry_began_at, expiry_for,
    expiry_attempts, expiry_outcome, expiry_detail, expiry_lock_until, expiry_next_at, expiry_proof,
    expired_versions, announcement_id, announcement_at, erased_at, interaction_id, path, media_type,
    started_at, completed_at, duration_ms, sha256, attributes, detail, release_detail, updated_at,
    upload_id, upload_part_bytes, upload_size_bytes, upload_mtime_ns, upload_inode, upload_entity)
    on recordings to callferry_housekeeping;
grant insert (account_id, recording_id, at, from_state, to_state, by_whom, why)
    on recording_history to callferry_housekeeping;
grant select on legal_holds, legal_hold_releases, erasures to callferry_housekeeping;
grant select, update (next_at) on retention_pace to callferry_housekeeping;
grant select, insert (account_id, reason, detail, told), update (told)
    on retention_stops to callferry_housekeeping;
grant execute on function held_by(text, text, text), retention_excess(text),
    erase_words_left(integer), forget_some_messages(integer) to callferry_housekeeping;
grant select on message_erasures to callferry_housekeeping;
grant select, update on destination_health to callferry_housekeeping;
grant select, delete, insert (revision, at, usable, forced, findings)
    on destination_checks to callferry_housekeeping;
grant execute on function destination_in_force(text, timestamptz),
    destination_worked(bigint, text, double precision),
    destination_failed(bigint, text, text, text, boolean, boolean, text, integer,
        double precision, double precision) to callferry_housekeeping;
grant select, delete,
    insert (reason, body_sha256, detail, queue, body, body_bytes, requeuable, content_type,
        account_id, path, check_at),
    update (seen, last_seen, detail, queue, body, check_at, ended_at, returned, asked_at)
    on quarantined_messages to callferry_housekeeping;
grant select, delete, insert (revision, account_id, begun_at, due_at), update (due_at, handed_at)
    on upload_sweeps to callferry_housekeeping;
-- The access log: forgets what is over; a trigger refuses the rest.
grant select (id, keep_until), delete on accesses to callferry_housekeeping;

-- The command line: makes accounts and destinations, has things tried again. It moves no state.
grant select on all tables in schema public to callferry_operator;
grant execute on function destination_in_force(text, timestamptz),
    retention_end(text, text, timestamptz, integer) to callferry_operator;
grant insert (account_id, name) on accounts to callferry_operator;
grant insert (account_id, place, account_leads_key, external_id, in_force_from, endpoint, prefix,
    cloud, bucket, region, role_arn, kms_key, storage_class, expected_owner, storage_account,
    container, identity, tenant_id, client_id, secret_id, secret_key_id, secret_wrapped_key,
    secret_sealed, sse, bucket_key, tags, bucket_owner_full_control)
    on destinations to callferry_operator;
-- `keyring rotate`: a trigger refuses any other change of a revision, also of these columns.
grant update (secret_key_id, secret_wrapped_key, secret_sealed)
    on destinations to callferry_operator;
-- A destination begins healthy, and a check moves its health; what a person asks for goes through
-- its breaker.
grant insert (revision), update on destination_health to callferry_operator;
grant execute on function destination_worked(bigint, text, double precision),
    destination_failed(bigint, text, text, text, boolean, boolean, text, integer,
        double precision, double precision) to callferry_operator;
grant delete, insert (revision, at, usable, forced, findings)
    on destination_checks to callferry_operator;
grant insert (account_id, kind, days) on retention_policies to callferry_operator;
-- Holds and erasures are written down, never changed; what they ask of a row is when it is looked
-- at next.
grant insert (account_id, recording_id, interaction_id, reason, placed_by)
    on legal_holds to callferry_operator;
grant insert (hold_id, reason, released_by) on legal_hold_releases to callferry_operator;
grant insert (account_id, recording_id, why, asked_by) on erasures to callferry_operator;
grant update (expiry_next_at) on recordings to callferry_operator;
grant update (next_at) on retention_pace to callferry_operator;
grant update (confirmed_at, confirmed_by, confirmed_why) on retention_stops
    to callferry_operator;
grant execute on function held_by(text, text, text), erase_words(text, text)
    to callferry_operator;
grant update (destination_revision, reroute_note, next_attempt_at, rungs, announced_reason,
    release_next_attempt_at, upload_id, upload_part_bytes, upload_size_bytes, upload_mtime_ns,
    upload_inode, upload_entity, due_at, due_queue, driven_at, drive_count, updated_at)
    on recordings to callferry_operator;
-- A recording that is rerouted leaves its open upload behind, and the sweep looks for it.
grant delete on recording_upload_parts to callferry_operator;
grant insert (revision, account_id, begun_at, due_at), update (begun_at)
    on upload_sweeps to callferry_operator;
grant delete, update (asked_at, check_at) on quarantined_messages to callferry_operator;

-- Playback: what the command line does, for whoever has a token that allows it, and a book of what
-- was done. It moves no state, and can neither change nor tear out a page of the book.
grant select on accounts, destinations, recordings, recording_history, quarantined_messages,
    admin_actions to callferry_playback;
grant execute on function destination_in_force(text, timestamptz) to callferry_playback;
grant insert (account_id, name) on accounts to callferry_playback;
grant insert (account_id, place, account_leads_key, external_id, in_force_from, endpoint, prefix,
    cloud, bucket, region, role_arn, kms_key, storage_class, expected_owner, storage_account,
    container, identity, tenant_id, client_id, secret_id, secret_key_id, secret_wrapped_key,
    secret_sealed, sse, bucket_key, tags, bucket_owner_full_control)
    on destinations to callferry_playback;
grant select, insert (revision), update on destination_health to callferry_playback;
grant execute on function destination_worked(bigint, text, double precision),
    destination_failed(bigint, text, text, text, boolean, boolean, text, integer,
        double precision, double precision) to callferry_playback;
grant update (destination_revision, next_attempt_at, rungs, release_next_attempt_at, due_at,
    due_queue, driven_at, drive_count, updated_at) on recordings to callferry_playback;
grant delete, update (asked_at, check_at) on quarantined_messages to callferry_playback;
grant select, delete, insert (revision, at, usable, forced, findings)
    on destination_checks to callferry_playback;
grant insert (request_id, subject, token_account, action, account_id, target, outcome, status)
    on admin_actions to callferry_playback;
-- What has ended is played to nobody, and what is held stays.
grant select on erasures, legal_holds, legal_hold_releases to callferry_playback;
grant execute on function held_by(text, text, text) to callferry_playback;
-- And for whoever has a token that allows it: policies, holds, erasures and confirmations, as the
-- command line makes them. They are written down, never changed; what they ask of a row is when it
-- is looked at next.
grant select, insert (account_id, kind, days) on retention_policies to callferry_playback;
grant insert (account_id, recording_id, interaction_id, reason, placed_by)
    on legal_holds to callferry_playback;
grant insert (hold_id, reason, released_by) on legal_hold_releases to callferry_playback;
grant insert (account_id, recording_id, why, asked_by) on erasures to callferry_playback;
grant execute on function erase_words(text, text) to callferry_playback;
grant update (expiry_next_at) on recordings to callferry_playback;
grant select (account_id), update (next_at) on retention_pace to callferry_playback;
grant select, update (confirmed_at, confirmed_by, confirmed_why) on retention_stops
    to callferry_playback;
-- Who listened: it can write the log, and neither read, change nor shorten it.
grant insert (request_id, subject, token_account, account_id, asked_account, recording_id, address,
    via, opened, refused, life_s, keep_until) on accesses to callferry_playback;

-- The scaler: how many rows are due, and nothing about them.
grant select (due_queue, due_at) on recordings to callferry_scaler;

create or replace function refuse_anothers_transition() returns trigger language plpgsql as $$
declare
    step text := coalesce(old.state, '') || ' to ' || new.state;
begin
    if not (case current_user
        when 'callferry_transfer' then
            step in ('staged to stored', 'staged to parked', 'parked to staged')
        -- What had no copy it releases by an erasure alone: `transitions_are_legal`.
        when 'callferry_cleanup' then
            step in ('stored to released', 'stored to parked', 'staged to released',
                'parked to released')
        when 'callferry_housekeeping' then step = 'released to expired'
        when 'callferry_playback' then false
        when 'callferry_operator' then false
        -- Whoever else may write here at all is bound by the legal transitions alone.
        else true
    end) then
        raise exception '% may not take recording %/% from %',
            current_user, old.account_id, old.recording_id, step
            using errcode = 'insufficient_privilege';
    end if;
    return new;
end $$;
-- Fires in the order of names, before the ledger's own: whose it is comes before what it is.
create or replace trigger each_user_makes_its_own_transitions before update on recordings
    for each row when (old.state is distinct from new.state)
    execute function refuse_anothers_transition();
revoke execute on function refuse_anothers_transition() from public;

-- Housekeeping leases what is released, to end its copy, and nothing that others work on; and it
-- takes words away only with an erasure.
create or replace function refuse_anothers_lease() returns trigger language plpgsql as $$
begin
    raise exception '% may not lease or empty recording %/%, which is %',
        current_user, old.account_id, old.recording_id, old.state
        using errcode = 'insufficient_privilege';
end $$;
create or replace trigger housekeeping_leases_what_is_released before update on recordings
    for each row when (current_user = 'callferry_housekeeping'
        and ((old.state <> 'released' and old.lease_token is distinct from new.lease_token)
             or (new.erased_at is null
                 and row(old.attributes, old.detail, old.release_detail)
                     is distinct from row(new.attributes, new.detail, new.release_detail))))
    execute function refuse_anothers_lease();
-- Cleanup leases what is not stored only to erase it, which `holds_win_over_erasures` has to let
-- begin, or to look at what was begun.
create or replace trigger cleanup_leases_what_it_erases before update on recordings
    for each row when (current_user = 'callferry_cleanup'
        and old.state in ('staged', 'parked')
        and old.lease_token is distinct from new.lease_token
        and old.original_erasure_began_at is null
        and new.original_erasure_attempts <= old.original_erasure_attempts)
    execute function refuse_anothers_lease();
revoke execute on function refuse_anothers_lease() from public;

commit;
