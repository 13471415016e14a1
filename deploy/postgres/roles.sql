-- The database's users, one for each kind of process. Run it as a superuser in the database that
-- is, or becomes, the ledger: before the first `callferry migrate` and with every upgrade, since a
-- release may bring a user that grants.sql then needs. Repeating it is harmless: who is there
-- keeps password and grants. Passwords are not in it (deploy/compose/secrets.sh makes some), and
-- without one nobody can log in by password.
--
--   callferry_owner         owns every table and runs `callferry migrate` and grants.sql; no
--                           process that lives longer than that has its password
--   callferry_transfer      run transfer
--   callferry_cleanup       run cleanup
--   callferry_housekeeping  run housekeeping
--   callferry_playback      run playback: what the command line does, for whoever has a token
--   callferry_operator      the command line: accounts, destinations, parked, quarantine, status
--   callferry_scaler        counts what is due, for KEDA; sees nothing else
--
-- What each may do is granted by grants.sql, after every migration.

\set ON_ERROR_STOP on
begin;

do $$
declare
    name text;
begin
    foreach name in array array['callferry_owner', 'callferry_transfer', 'callferry_cleanup',
        'callferry_housekeeping', 'callferry_playback', 'callferry_operator',
        'callferry_scaler']
    loop
        if not exists (select from pg_roles where rolname = name) then
            execute format('create role %I', name);
        end if;
        execute format('alter role %I with login nosuperuser nocreatedb nocreaterole '
            'noreplication nobypassrls noinherit', name);
    end loop;

    -- Nobody comes here, nobody makes anything here, but those below.
    execute format('revoke all on database %I from public', current_database());
    execute format('grant connect on database %I to callferry_owner, callferry_transfer, '
        'callferry_cleanup, callferry_housekeeping, callferry_playback, callferry_operator, '
        'callferry_scaler',
        current_database());
    -- A statement that hangs holds a lease's row: its process would rather be told.
    execute format('alter role callferry_scaler in database %I set statement_timeout = ''5s''',
        current_database());
    execute format('alter role callferry_scaler in database %I set default_transaction_read_only '
        '= on', current_database());
end $$;

revoke all on schema public from public;
grant usage on schema public to callferry_transfer, callferry_cleanup, callferry_housekeeping,
    callferry_playback, callferry_operator, callferry_scaler;
grant usage, create on schema public to callferry_owner;

commit;
