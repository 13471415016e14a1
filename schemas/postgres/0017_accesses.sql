-- The access log also knows who opened the player page, who was refused by scope or rate, and who
-- asked for another account's recording: that is in the asker's own log, and no other.

alter table accesses
    -- The other account that a bound token asked for, which never hears of it. Null: `account_id`.
    add column asked_account text collate "C",
    -- The player page was told of it, and no URL was given out.
    add column opened        boolean not null default false,
    drop constraint a_url_has_a_life,
    drop constraint accesses_refused_check,
    add constraint accesses_refused_check
        check (refused in ('not_found', 'foreign', 'expired', 'not_stored',
                           'needs_signing_credential', 'cannot_sign', 'scope', 'rate'));

-- What an earlier release wrote into the log of the account that was asked for: once, past the
-- trigger that lets nothing change.
alter table accesses disable trigger accesses_are_append_only;
update accesses set asked_account = account_id, account_id = token_account
 where token_account <> account_id;
alter table accesses enable trigger accesses_are_append_only;

alter table accesses
    add constraint one_of_three_outcomes
        check (num_nonnulls(refused, life_s, nullif(opened, false)) = 1),
    add constraint anothers_is_refused check (
        (asked_account is null and refused is distinct from 'foreign'
            and (token_account is null or token_account = account_id))
        or (asked_account is not null and refused is not null and account_id <> asked_account
            and token_account is not null and token_account = account_id));

-- The same for a process of an earlier release that runs on during the upgrade. Its foreign
-- requests must be answered as its unknown ones are, so the row is put right, and not refused.
create function into_the_askers_log() returns trigger language plpgsql as $$
begin
    new.asked_account := new.account_id;
    new.account_id := new.token_account;
    return new;
end $$;
create trigger accesses_are_in_the_askers_log before insert on accesses
    for each row when (new.asked_account is null and new.token_account <> new.account_id)
    execute function into_the_askers_log();

-- Listings of a time read that time and no other. (Only an erasure changes a row's time.)
create index recordings_of_a_time on recordings (account_id, started_at, recording_id);
