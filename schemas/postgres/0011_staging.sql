-- Staging that is a bucket: size, time and inode do not tell one object from another, so what the
-- bucket itself calls the object (entity tag and version) is remembered beside them. Null of files.

alter table recordings
    -- Of the original that was copied: what cleanup must find before it deletes.
    add column original_entity text,
    -- Of the original that the open upload was begun from.
    add column upload_entity   text,
    add constraint an_entity_is_an_originals check (
        original_entity is null or original_inode is not null),
    add constraint an_entity_is_an_uploads check (
        upload_entity is null or upload_id is not null);

drop trigger proofs_stay on recordings;
create trigger proofs_stay before update on recordings
    for each row when (
        old.state in ('stored', 'released', 'expired')
        and new.state in ('stored', 'released', 'expired')
        and row(old.destination_revision, old.object_key, old.receipt_size_bytes,
            old.receipt_sha256, old.receipt_etag, old.receipt_version_id, old.receipt_checksum,
            old.receipt_content_md5, old.receipt_method, old.stored_at,
            old.original_size_bytes, old.original_mtime_ns, old.original_inode,
            old.original_entity, old.acknowledgment_id)
        is distinct from
        row(new.destination_revision, new.object_key, new.receipt_size_bytes,
            new.receipt_sha256, new.receipt_etag, new.receipt_version_id, new.receipt_checksum,
            new.receipt_content_md5, new.receipt_method, new.stored_at,
            new.original_size_bytes, new.original_mtime_ns, new.original_inode,
            new.original_entity, new.acknowledgment_id))
    execute function refuse_change();
