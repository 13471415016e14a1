-- An envelope around each secret: it is sealed under a random key of its own, which is wrapped
-- under a key of the ring. A rotation re-wraps that key and nothing else, while processes run.

alter table destinations
    -- The data key: AES-256-GCM under the key ring's `secret_key_id`; nonce of 12 bytes, 32 bytes,
    -- tag of 16. Null: the secret is of the first release, under the ring's key itself, until the
    -- first rotation gives it a data key.
    add column secret_wrapped_key bytea check (octet_length(secret_wrapped_key) = 60),
    add constraint a_data_key_is_a_secrets check (
        secret_wrapped_key is null or secret_sealed is not null);

-- A revision never changes. What a rotation may do to it: another key of the ring and the data key
-- wrapped under it; the sealed secret only together with its first data key. Every other column is
-- compared as a whole, also those of later migrations.
create function only_rewrapped() returns trigger language plpgsql as $$
declare
    rewrapped constant text[] := '{secret_key_id,secret_wrapped_key,secret_sealed}';
begin
    if tg_op = 'UPDATE'
        and to_jsonb(new) - rewrapped is not distinct from to_jsonb(old) - rewrapped
        and new.secret_key_id is not null
        and new.secret_wrapped_key is not null
        and old.secret_sealed is not null
        and (new.secret_sealed is not distinct from old.secret_sealed)
            = (old.secret_wrapped_key is not null)
    then
        return new;
    end if;
    raise exception '% of a row in % is refused: rows there are never changed', tg_op, tg_table_name
        using errcode = 'integrity_constraint_violation';
end $$;

drop trigger destinations_are_immutable on destinations;
create trigger destinations_are_immutable before update or delete on destinations
    for each row execute function only_rewrapped();

-- How far a rotation has come is asked by key.
create index destinations_by_secret_key on destinations (secret_key_id, revision)
    where secret_key_id is not null;
