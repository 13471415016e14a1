-- What new objects are given in S3 besides their bytes, and identities without a secret in Azure.

alter table destinations
    -- Null leaves the encryption to the bucket, unless a key is named.
    add column sse        text check (sse in ('s3', 'kms')),
    add column bucket_key boolean not null default false,
    -- Key and value of each tag.
    add column tags       jsonb not null default '{}' check (jsonb_typeof(tags) = 'object'),
    -- Whether objects are given to the bucket's owner.
    add column bucket_owner_full_control boolean not null default false,
    drop constraint destinations_identity_check,
    add constraint destinations_identity_check check (identity in (
        'access_key', 'sas', 'service_principal', 'federated', 'managed_identity')),
    drop constraint each_cloud_is_whole,
    add constraint each_cloud_is_whole check (
        case cloud
            when 's3' then num_nulls(bucket, region) = 0
                and num_nonnulls(storage_account, container, identity, tenant_id, client_id,
                    secret_id, secret_key_id, secret_sealed) = 0
            else num_nonnulls(bucket, region, role_arn, kms_key, storage_class, expected_owner,
                    sse) = 0
                and tags = '{}' and not bucket_key and not bucket_owner_full_control
                and num_nulls(storage_account, container, identity) = 0
                and storage_account <> '' and container <> ''
                and num_nonnulls(secret_id, secret_key_id, secret_sealed)
                    = case when identity in ('federated', 'managed_identity') then 0 else 3 end
                and case identity
                    when 'service_principal' then num_nulls(tenant_id, client_id) = 0
                    when 'federated' then num_nulls(tenant_id, client_id) = 0
                    -- Which of the machine's, where it has several.
                    when 'managed_identity' then tenant_id is null
                    else num_nonnulls(tenant_id, client_id) = 0
                end
        end),
    add constraint a_key_is_of_kms check (kms_key is null or sse is distinct from 's3');
