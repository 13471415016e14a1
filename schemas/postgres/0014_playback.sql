-- Who was given a recording to listen to, when, from where, or was refused and why: one row for
-- each answer, written before it, never changed, and gone when its own time is over.

create table accesses (
    id            bigint generated always as identity primary key,
    at            timestamptz not null default now(),
    -- The same as in the answer's `x-request-id`.
    request_id    uuid not null,
    -- Who, as the token says.
    subject       text not null,
    -- The account that the token is bound to; null is the platform's administrator.
    token_account text collate "C",
    -- Whose log this is in: the token's own account, and for the platform's administrator the one
    -- that was asked for. No foreign keys: what is not there is asked for as well.
    account_id    text collate "C" not null,
    -- The other account that a bound token asked for, which never hears of it.
    asked_account text collate "C",
    recording_id  text collate "C" not null,
    -- From where: the peer, or whom a proxy that we trust named, and then that proxy.
    address       inet not null,
    via           inet,
    -- The player page was told of it, and no URL was given out.
    opened        boolean not null default false,
    -- Why it was refused.
    refused       text check (refused in ('not_found', 'foreign', 'expired', 'not_stored',
                                          'needs_signing_credential', 'cannot_sign',
                                          'scope', 'rate')),
    -- How long the URL was good that was given out.
    life_s        integer check (life_s > 0),
    -- Stamped with the row, so that a shorter retention touches new rows only.
    keep_until    timestamptz not null,
    constraint one_of_three_outcomes check (num_nonnulls(refused, life_s, nullif(opened, false)) = 1),
    constraint anothers_is_refused check (
        (asked_account is null and refused is distinct from 'foreign')
        or (refused is not null and account_id <> asked_account
            and token_account is not null and token_account = account_id)),
    constraint kept_for_a_while check (keep_until >= at + interval '23 hours')
);
create index accesses_of_an_account on accesses (account_id, at, id);
create index accesses_by_their_end on accesses (keep_until);

create trigger accesses_are_append_only before update on accesses
    for each row execute function refuse_change();
create trigger young_accesses_stay before delete on accesses
    for each row when (old.keep_until > now())
    execute function refuse_change();
create trigger accesses_stay before truncate on accesses
    for each statement execute function refuse_change();

-- Listings of a time read that time and no other. Nothing in it changes after the row is made.
create index recordings_of_a_time on recordings (account_id, started_at, recording_id);
