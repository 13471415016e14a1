-- A new role or secret for the same place serves everything that lies or will lie there: what is
-- pinned to an earlier revision stays pinned to it, and is reached with the newest credential.

create index destinations_of_an_owner_at_a_place
    on destinations (account_id, place, in_force_from, revision);

-- The revision whose credential reaches `pinned`: the one in force of the same owner that writes
-- the same keys into the same bucket or container, or itself. One whose keys begin otherwise does
-- not count: its role may be allowed those and no others.
--
-- In plpgsql because its plans are kept by the session; an SQL function is planned at each call.
create function credential_of(pinned bigint) returns bigint language plpgsql stable as $$
declare
    was record;
    newest bigint;
begin
    select account_id, cloud, place, prefix, account_leads_key into was
      from destinations where revision = pinned;
    if was.account_id is null then
        select revision into newest from destinations
         where account_id is null and place = was.place and in_force_from <= now()
           and cloud = was.cloud and prefix = was.prefix
           and account_leads_key = was.account_leads_key
         order by in_force_from desc, revision desc limit 1;
    else
        select revision into newest from destinations
         where account_id = was.account_id and place = was.place and in_force_from <= now()
           and cloud = was.cloud and prefix = was.prefix
           and account_leads_key = was.account_leads_key
         order by in_force_from desc, revision desc limit 1;
    end if;
    return coalesce(newest, pinned);
end $$;

-- Destinations as they are reached. What says how to get there is the credential's: a secret is
-- sealed for exactly the address it was set with. What says where a copy lies and how it is
-- written stays the pinned revision's, and so does whose the bucket must be.
create view reached_destinations as
select d.revision, d.account_id, d.cloud, d.place, d.bucket, c.region, c.role_arn, c.endpoint,
       d.prefix, d.kms_key, d.storage_class, d.expected_owner, c.storage_account, c.container,
       c.identity, c.tenant_id, c.client_id, c.secret_id, c.secret_key_id, c.secret_wrapped_key,
       c.secret_sealed, d.account_leads_key, c.external_id, d.sse, d.bucket_key, d.tags,
       d.bucket_owner_full_control, c.revision as credential_revision
  from destinations d join destinations c on c.revision = credential_of(d.revision);
