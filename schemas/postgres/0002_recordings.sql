-- The truth about every recording.

create table recordings (
    account_id             text collate "C" not null,
    recording_id           text collate "C" not null,
    -- staged: claimed at least once, the copy is not proven yet
    -- parked: cannot go on now; has a reason
    -- stored: the copy is proven, the original is still there
    -- released: the original is gone
    -- expired: the copy is gone, at the end of its retention
    state                  text not null
        check (state in ('staged', 'parked', 'stored', 'released', 'expired')),

    -- The event's data; never changes.
    interaction_id         text not null,
    kind                   text not null check (kind in ('call', 'voicemail', 'screen')),
    media_type             text not null,
    started_at             timestamptz not null,
    completed_at           timestamptz not null,
    duration_ms            bigint check (duration_ms >= 0),
    path                   text collate "C" not null,
    size_bytes             bigint not null check (size_bytes >= 0),
    sha256                 bytea check (octet_length(sha256) = 32),
    attributes             jsonb not null,

    -- Pinned at the first claim. Null only while there is no destination at all.
    destination_revision   bigint,
    -- Stamped at the first claim; null is never.
    retain_until           timestamptz,

    -- The lease. Both null between an outcome and the next claim; both kept when it runs out.
    lease_token            uuid,
    lease_until            timestamptz,
    -- The token whose holder ended the latest lease with an outcome: its retry is harmless.
    last_token             uuid,
    -- The claim that inserted the row.
    created_by             uuid not null,
    -- Leases granted.
    claims                 integer not null default 0,
    -- Leases in a row that ran out without an outcome: a suspicion.
    unclean_claims         integer not null default 0,
    first_claimed_at       timestamptz,
    -- When a parked row was claimed again, while history does not show it: a repeated attempt
    -- that ends as the one before writes no history.
    resumed_at             timestamptz,
    -- A multipart upload that may be open.
    upload_id              text,

    -- Why it is, or before this claim was, parked.
    reason                 text,
    detail                 text,
    -- Null while parked: waits for a person.
    next_attempt_at        timestamptz,
    -- How many times in a row it was parked.
    rungs                  integer not null default 0,
    -- The reason that was announced last since it was stored last.
    announced_reason       text,

    -- The copy: what was remembered of the proof, and which original was copied.
    object_key             text,
    receipt_size_bytes     bigint,
    receipt_sha256         bytea check (octet_length(receipt_sha256) = 32),
    receipt_etag           text,
    receipt_version_id     text,
    receipt_checksum       text,
    receipt_method         text check (receipt_method in ('reported_checksum', 'read_back')),
    stored_at              timestamptz,
    original_size_bytes    bigint,
    original_mtime_ns      bigint,
    original_inode         bigint,
    acknowledgment_id      uuid,
    acknowledged_at        timestamptz,

    -- Why the release of a stored recording is refused. A null time waits for a person.
    release_reason          text,
    release_detail          text,
    release_next_attempt_at timestamptz,
    release_rungs           integer not null default 0,
    released_at             timestamptz,
    expired_at              timestamptz,

    -- The event that the row owes to the outside besides the acknowledgment.
    announcement_id        uuid,
    announcement_at        timestamptz,
    announced_at           timestamptz,
    -- When housekeeping publishes it, if nobody has by then; null owes nothing.
    announce_after         timestamptz,

    -- When the ledger drives the row on, and to which queue. Null: nothing to do, or a person
    -- must act. Every statement that ends or moves something sets both, and the checks below
    -- refuse a row that would be forgotten.
    due_at                 timestamptz,
    due_queue              text check (due_queue in ('transfer', 'cleanup')),
    -- When it was driven, until the next claim.
    driven_at              timestamptz,
    drive_count            integer not null default 0,

    created_at             timestamptz not null default now(),
    updated_at             timestamptz not null default now(),

    primary key (account_id, recording_id),
    constraint a_lease_is_whole check ((lease_token is null) = (lease_until is null)),
    constraint only_work_is_leased check (lease_token is null or state in ('staged', 'stored')),
    constraint pinned_unless_it_has_no_destination check (
        destination_revision is not null
        or (state = 'parked' and reason = 'no_destination')),
    constraint parked_for_a_reason check (state <> 'parked' or reason is not null),
    constraint a_receipt_is_whole check (
        (state in ('staged', 'parked')
            and num_nonnulls(object_key, receipt_size_bytes, receipt_sha256, receipt_etag,
                receipt_checksum, receipt_method, stored_at, original_size_bytes,
                original_mtime_ns, original_inode, acknowledgment_id, acknowledged_at,
                released_at) = 0)
        or (state in ('stored', 'released', 'expired')
            and num_nulls(object_key, receipt_size_bytes, receipt_sha256, receipt_etag,
                receipt_checksum, receipt_method, stored_at, original_size_bytes,
                original_mtime_ns, original_inode, acknowledgment_id) = 0)),
    constraint nothing_is_forgotten check (
        case state
            when 'staged' then due_at is not null
            when 'parked' then (due_at is null) = (next_attempt_at is null)
            when 'stored' then due_at is not null
                or (acknowledged_at is not null and release_reason is not null
                    and release_next_attempt_at is null)
            -- Its original is gone, and yet its acknowledgment may still be owed.
            when 'released' then due_at is null or acknowledged_at is null
            else due_at is null
        end
        and (due_at is null or due_queue is not null))
)
-- Room for updates within the page.
with (fillfactor = 80,
      autovacuum_vacuum_scale_factor = 0.05,
      autovacuum_analyze_scale_factor = 0.05);

-- Two recordings must not share an original while one of them still needs it. Every open
-- recording is in this index, which makes it the index for listing them too.
create unique index recordings_open_paths on recordings (account_id, path)
    where state not in ('released', 'expired');
-- What is due is found without looking at anything that is not.
create index recordings_due on recordings (due_queue, due_at) where due_at is not null;
create index recordings_to_announce on recordings (announce_after)
    where announce_after is not null;
create index recordings_without_destination on recordings (account_id, recording_id)
    where destination_revision is null;

-- One row for each transition, written by the statement that makes it.
create table recording_history (
    id           bigint generated always as identity primary key,
    account_id   text collate "C" not null,
    recording_id text collate "C" not null,
    at           timestamptz not null default now(),
    -- Null: the row was inserted.
    from_state   text,
    to_state     text not null,
    -- Which part of callferry did it.
    by_whom      text not null,
    why          text not null
);
create index recording_history_of_a_recording
    on recording_history (account_id, recording_id, id);
create trigger history_is_append_only before update or delete on recording_history
    for each row execute function refuse_change();

-- The database is the last line: what no part of callferry may do, it cannot do.
create function refuse_illegal_transition() returns trigger language plpgsql as $$
begin
    if not coalesce(
        (old.state = 'staged' and new.state in ('stored', 'parked'))
        or (old.state = 'parked' and new.state = 'staged')
        or (old.state = 'stored' and new.state = 'released')
        or (old.state = 'stored' and new.state = 'parked' and new.reason = 'copy_lost')
        or (old.state = 'released' and new.state = 'expired'), false)
    then
        raise exception 'recording %/% may not go from % to %',
            old.account_id, old.recording_id, old.state, new.state
            using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end $$;
create trigger transitions_are_legal before update on recordings
    for each row when (old.state is distinct from new.state)
    execute function refuse_illegal_transition();

create function refuse_illegal_beginning() returns trigger language plpgsql as $$
begin
    raise exception 'recording %/% may not begin as %',
        new.account_id, new.recording_id, new.state
        using errcode = 'integrity_constraint_violation';
end $$;
create trigger beginnings_are_legal before insert on recordings
    for each row when (not (new.state = 'staged'
        or (new.state = 'parked' and new.reason = 'no_destination')))
    execute function refuse_illegal_beginning();

-- What the event said stays; a proven copy stays with the destination and receipt it has.
create trigger contents_stay before update on recordings
    for each row when (
        row(old.account_id, old.recording_id, old.interaction_id, old.kind, old.media_type,
            old.started_at, old.completed_at, old.duration_ms, old.path, old.size_bytes,
            old.sha256, old.created_by)
        is distinct from
        row(new.account_id, new.recording_id, new.interaction_id, new.kind, new.media_type,
            new.started_at, new.completed_at, new.duration_ms, new.path, new.size_bytes,
            new.sha256, new.created_by))
    execute function refuse_change();
create trigger proofs_stay before update on recordings
    for each row when (
        old.state in ('stored', 'released', 'expired')
        and new.state in ('stored', 'released', 'expired')
        and row(old.destination_revision, old.object_key, old.receipt_size_bytes,
            old.receipt_sha256, old.receipt_etag, old.receipt_version_id, old.receipt_checksum,
            old.receipt_method, old.stored_at, old.original_size_bytes, old.original_mtime_ns,
            old.original_inode, old.acknowledgment_id)
        is distinct from
        row(new.destination_revision, new.object_key, new.receipt_size_bytes,
            new.receipt_sha256, new.receipt_etag, new.receipt_version_id, new.receipt_checksum,
            new.receipt_method, new.stored_at, new.original_size_bytes, new.original_mtime_ns,
            new.original_inode, new.acknowledgment_id))
    execute function refuse_change();
-- A row that still has an original to protect is not deleted.
create trigger open_recordings_stay before delete on recordings
    for each row when (old.state <> 'expired')
    execute function refuse_change();
