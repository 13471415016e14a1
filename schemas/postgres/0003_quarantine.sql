-- Messages that cannot be understood or may not be believed: one row for each reason and body.

create table quarantined_messages (
    id           bigint generated always as identity primary key,
    reason       text not null,
    -- Of the whole body, also where the body is cut.
    body_sha256  bytea not null check (octet_length(body_sha256) = 32),
    -- Names the field and the fix.
    detail       text not null,
    -- Where it came from and would return to.
    queue        text not null check (queue in ('transfer', 'cleanup', 'quarantine')),
    body         bytea not null,
    -- Of the whole body.
    body_bytes   bigint not null,
    -- Not when the body is cut.
    requeuable   boolean not null,
    content_type text,
    -- What the message names, if it could be understood that far.
    account_id   text,
    path         text,
    -- How often it came.
    seen         bigint not null default 1,
    first_seen   timestamptz not null default now(),
    last_seen    timestamptz not null default now(),
    -- How often it went back: the rung of the ladder for those that return by time.
    returned     integer not null default 0,
    -- A person wants it back in its queue, whatever the reason.
    asked_at     timestamptz,
    -- When it is next judged whether it may return; null never is.
    check_at     timestamptz,
    -- It is back in its queue; the row is kept only to remember the rung.
    ended_at     timestamptz,
    unique (reason, body_sha256)
);
create index quarantined_messages_to_judge on quarantined_messages (check_at)
    where check_at is not null;
create index quarantined_messages_of_an_account
    on quarantined_messages (reason, account_id, path) where ended_at is null;
create index quarantined_messages_ended on quarantined_messages (ended_at)
    where ended_at is not null;
