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
    -- Whose recording was asked for. No foreign keys: what is not there is asked for as well.
    account_id    text collate "C" not null,
    recording_id  text collate "C" not null,
    -- From where: the peer, or whom a proxy that we trust named, and then that proxy.
    address       inet not null,
    via           inet,
    -- Why it was refused; null: a URL was given out.
    refused       text check (refused in ('not_found', 'foreign', 'expired', 'not_stored',
                                          'needs_signing_credential', 'cannot_sign')),
    -- How long that URL was good.
    life_s        integer check (life_s > 0),
    -- Stamped with the row, so that a shorter retention touches new rows only.
    keep_until    timestamptz not null,
    constraint a_url_has_a_life check ((refused is null) = (life_s is not null)),
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
