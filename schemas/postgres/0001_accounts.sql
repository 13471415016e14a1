-- The installation, its accounts, their destinations and retention policies.

-- What must be the same for every process of one installation. One row.
create table installation (
    only_one            boolean primary key default true check (only_one),
    -- Written into the staging root's marker by `callferry migrate`, and nowhere else.
    staging_id          uuid not null default gen_random_uuid(),
    -- The external id that AssumeRole carries for the platform's own destination.
    default_external_id text not null
        default 'callferry-' || replace(gen_random_uuid()::text, '-', ''),
    created_at          timestamptz not null default now()
);
insert into installation default values;

-- The platform's customers. Never deleted: recordings refer to them without a foreign key, whose
-- row lock every claim of a busy account would queue for.
create table accounts (
    account_id  text collate "C" primary key
        check (account_id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'),
    name        text,
    -- Minted here, random, never reused: the customer's role trusts us only together with it.
    external_id text not null unique
        default 'callferry-' || replace(gen_random_uuid()::text, '-', ''),
    created_at  timestamptz not null default now()
);

-- Immutable revisions of "which bucket, how to reach it, how to write there".
create table destinations (
    revision          bigint generated always as identity primary key,
    -- Null: the platform's own, for accounts without one.
    account_id        text collate "C" references accounts,
    bucket            text not null check (bucket <> ''),
    region            text not null,
    role_arn          text,
    endpoint          text,
    prefix            text not null check (prefix !~ '(^/|/$)'),
    kms_key           text,
    storage_class     text,
    expected_owner    text,
    -- Endpoint and bucket in one spelling: what two owners share when they share a bucket.
    place             text not null,
    account_leads_key boolean not null check (account_leads_key or account_id is not null),
    external_id       text not null,
    -- '-infinity' is the beginning of time.
    in_force_from     timestamptz not null,
    set_at            timestamptz not null default now()
);
create index destinations_of_an_owner
    on destinations (account_id, in_force_from, revision);
create index destinations_at_a_place on destinations (place);

-- How long copies are kept, by account and kind. The policy in force when a recording was
-- completed is stamped on its row at the claim, so that a change touches new recordings only.
create table retention_policies (
    revision      bigint generated always as identity primary key,
    account_id    text collate "C" not null references accounts,
    kind          text not null check (kind in ('call', 'voicemail', 'screen')),
    -- Null: never deleted.
    days          integer check (days > 0),
    in_force_from timestamptz not null default now(),
    set_at        timestamptz not null default now()
);
create index retention_policies_of_an_account
    on retention_policies (account_id, kind, in_force_from, revision);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% of a row in % is refused: rows there are never changed', tg_op, tg_table_name
        using errcode = 'integrity_constraint_violation';
end $$;

create trigger accounts_stay before delete on accounts
    for each row execute function refuse_change();
create trigger external_ids_stay before update of account_id, external_id on accounts
    for each row
    when (row(old.account_id, old.external_id) is distinct from row(new.account_id, new.external_id))
    execute function refuse_change();
create trigger destinations_are_immutable before update or delete on destinations
    for each row execute function refuse_change();
create trigger retention_policies_are_immutable before update or delete on retention_policies
    for each row execute function refuse_change();

-- The revision that an account's recording completed at `at` belongs to: its own in force then,
-- else the platform's in force then, else the account's earliest. Null: there is none at all.
-- In plpgsql because its plans are kept by the session; an SQL function is planned at each call.
create function destination_in_force(account text, at timestamptz) returns bigint
    language plpgsql stable as $$
begin
    return coalesce(
        (select revision from destinations
          where account_id = account and in_force_from <= at
          order by in_force_from desc, revision desc limit 1),
        (select revision from destinations
          where account_id is null and in_force_from <= at
          order by in_force_from desc, revision desc limit 1),
        (select revision from destinations
          where account_id = account
          order by in_force_from, revision limit 1));
end $$;

-- When the retention of a recording completed at `at` ends; null is never. Counted in hours,
-- since a day of an interval is as long as the session's time zone says.
create function retention_end(account text, recorded text, at timestamptz, default_days integer)
    returns timestamptz language plpgsql stable as $$
declare
    policy record;
begin
    select days into policy from retention_policies
     where account_id = account and kind = recorded and in_force_from <= at
     order by in_force_from desc, revision desc limit 1;
    if found then
        return at + make_interval(hours => policy.days * 24);
    end if;
    return at + make_interval(hours => default_days * 24);
end $$;
