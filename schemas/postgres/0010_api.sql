-- What is done through the HTTP interface: one row when it begins and one when it ends, never
-- changed. An action without its second row ended in a way that nobody saw.

create table admin_actions (
    id            bigint generated always as identity primary key,
    -- The same for both rows, and in the answer's `x-request-id`.
    request_id    uuid not null,
    at            timestamptz not null default now(),
    -- Who, as the token says.
    subject       text not null,
    -- The account that the token is bound to; null is the platform's administrator.
    token_account text collate "C",
    -- What, as the operation's id in the OpenAPI document.
    action        text not null,
    -- Whose: null is the platform's own.
    account_id    text collate "C",
    -- Of what: a recording, a message, a revision. Never a secret.
    target        text,
    -- begun, or how it ended: done, refused (nothing was changed), failed (it may have been).
    outcome       text not null check (outcome in ('begun', 'done', 'refused', 'failed')),
    -- The status of the answer; null while it has none.
    status        smallint,
    constraint ended_with_an_answer check ((outcome = 'begun') = (status is null))
);
create index admin_actions_of_a_request on admin_actions (request_id);
create index admin_actions_of_an_account on admin_actions (account_id, id)
    where outcome = 'begun';
create trigger admin_actions_are_append_only before update or delete on admin_actions
    for each row execute function refuse_change();
create trigger admin_actions_stay before truncate on admin_actions
    for each statement execute function refuse_change();

-- Finding the recordings of an interaction.
create index recordings_of_an_interaction
    on recordings (account_id, interaction_id, recording_id);
