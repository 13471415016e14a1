-- Azure beside S3, uploads in parts that are gone on with, and processes of their own for
-- recordings that are suspected to take their process down.

alter table destinations
    add column cloud           text not null default 's3' check (cloud in ('s3', 'azure')),
    add column storage_account text,
    add column container       text,
    -- Who we are there.
    add column identity        text
        check (identity in ('access_key', 'sas', 'service_principal')),
    add column tenant_id       text,
    add column client_id       text,
    -- The secret: AES-256-GCM under the key of this id in the key ring, which is in no database.
    -- It opens only in the row it was made for: the cipher is bound to the owner, to this random
    -- id, to where the secret is sent and to the kind of identity. (To the id and not to the
    -- revision, which is known only after the row is written.)
    add column secret_id       uuid unique,
    add column secret_key_id   text,
    -- Nonce of 12 bytes, cipher text, tag of 16 bytes.
    add column secret_sealed   bytea check (octet_length(secret_sealed) > 28),
    alter column bucket drop not null,
    alter column region drop not null,
    add constraint each_cloud_is_whole check (
        case cloud
            when 's3' then num_nulls(bucket, region) = 0
                and num_nonnulls(storage_account, container, identity, tenant_id, client_id,
                    secret_id, secret_key_id, secret_sealed) = 0
            else num_nonnulls(bucket, region, role_arn, kms_key, storage_class,
                    expected_owner) = 0
                and num_nulls(storage_account, container, identity, secret_id, secret_key_id,
                    secret_sealed) = 0
                and storage_account <> '' and container <> ''
                and num_nonnulls(tenant_id, client_id)
                    = case identity when 'service_principal' then 2 else 0 end
        end);

alter table recordings
    -- The upload that may be open: the size of its parts and the original it was begun from. It
    -- is gone on with only if both are still the same.
    add column upload_part_bytes bigint check (upload_part_bytes > 0),
    add column upload_size_bytes bigint,
    add column upload_mtime_ns   bigint,
    add column upload_inode      bigint,
    -- `claims` when it was lent to a process of its own; null once that process or anybody else
    -- came to an outcome, or its death is counted.
    add column lent_at_claim     integer,
    -- Processes of its own in a row that died without an outcome.
    add column child_deaths      integer not null default 0,
    -- The server's own digest of the copy, where it keeps one.
    add column receipt_content_md5 text,
    drop constraint recordings_receipt_method_check,
    add constraint recordings_receipt_method_check check (
        receipt_method in ('reported_checksum', 'sent_checksum', 'block_list', 'read_back')),
    add constraint a_digest_is_a_receipts check (
        receipt_content_md5 is null or object_key is not null);

drop trigger proofs_stay on recordings;
create trigger proofs_stay before update on recordings
    for each row when (
        old.state in ('stored', 'released', 'expired')
        and new.state in ('stored', 'released', 'expired')
        and row(old.destination_revision, old.object_key, old.receipt_size_bytes,
            old.receipt_sha256, old.receipt_etag, old.receipt_version_id, old.receipt_checksum,
            old.receipt_content_md5, old.receipt_method, old.stored_at,
            old.original_size_bytes, old.original_mtime_ns, old.original_inode,
            old.acknowledgment_id)
        is distinct from
        row(new.destination_revision, new.object_key, new.receipt_size_bytes,
            new.receipt_sha256, new.receipt_etag, new.receipt_version_id, new.receipt_checksum,
            new.receipt_content_md5, new.receipt_method, new.stored_at,
            new.original_size_bytes, new.original_mtime_ns, new.original_inode,
            new.acknowledgment_id))
    execute function refuse_change();

-- The parts that the store took, of the upload that the recording's row names. They go with it.
create table recording_upload_parts (
    account_id   text collate "C" not null,
    recording_id text collate "C" not null,
    number       integer not null check (number > 0),
    -- The entity tag it was given, or the block's id.
    etag         text not null,
    -- Of its bytes, as the 64 bits it has.
    crc64nvme    bigint not null,
    primary key (account_id, recording_id, number)
)
with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- Where uploads were begun, and when their leftovers are looked for.
create table upload_sweeps (
    revision   bigint not null references destinations,
    account_id text collate "C" not null,
    -- The latest upload.
    begun_at   timestamptz not null,
    due_at     timestamptz not null,
    -- When a sweep of it began; null while none runs.
    handed_at  timestamptz,
    primary key (revision, account_id)
)
with (fillfactor = 80);
create index upload_sweeps_due on upload_sweeps (due_at);

-- An upload without its part size cannot be gone on with: it is a leftover.
insert into upload_sweeps (revision, account_id, begun_at, due_at)
select distinct destination_revision, account_id, now(), now() + interval '1 hour'
  from recordings where upload_id is not null and destination_revision is not null;
update recordings set upload_id = null where upload_id is not null;
alter table recordings
    add constraint an_upload_is_whole check (
        num_nulls(upload_id, upload_part_bytes, upload_size_bytes, upload_mtime_ns,
            upload_inode) in (0, 5)),
    add constraint only_work_has_an_upload check (
        upload_id is null or state in ('staged', 'parked')),
    add constraint only_work_is_lent check (lent_at_claim is null or state = 'staged');

-- An acknowledgment may still be owed for a recording whose original is gone.
create index recordings_released_unacknowledged on recordings (stored_at)
    where state = 'released' and acknowledged_at is null;
-- Quarantined messages that nobody can requeue, to be forgotten in the end.
create index quarantined_messages_for_good on quarantined_messages (last_seen)
    where not requeuable;
