-- What checks of destinations found, before they are used and every day after.

create table destination_checks (
    check_id bigint generated always as identity primary key,
    revision bigint not null references destinations,
    -- When the check ended; of a destination that was forced without one, when it was set.
    at       timestamptz not null default now(),
    -- Whether nothing that storing needs had failed; null where nothing was checked.
    usable   boolean,
    -- Whether a person insisted on setting the destination whatever was found.
    forced   boolean not null,
    -- One finding for each capability, in the order of checking; null where nothing was checked.
    findings jsonb check (jsonb_typeof(findings) = 'array'),
    constraint a_check_has_findings check (num_nulls(usable, findings) in (0, 2)),
    constraint only_force_goes_without check (forced or findings is not null)
);
create index destination_checks_of_a_revision on destination_checks (revision, check_id desc);

create trigger checks_are_immutable before update on destination_checks
    for each row execute function refuse_change();
-- Every day has a check of every revision in use: old ones may go. What a person insisted on stays.
create trigger young_checks_stay before delete on destination_checks
    for each row when (old.forced or old.at > now() - interval '90 days')
    execute function refuse_change();
