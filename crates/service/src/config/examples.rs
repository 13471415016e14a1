//! What helps where a key has an impossible value: what it is for, and what it looks like.

/// What helps with this key, which may have its table's name before it.
pub(super) fn hint(key: &str) -> String {
    let (variable, name) = (key.replace('.', "_"), key.rsplit('.').next());
    let example = match name.unwrap_or_default() {
        "amqp_url" => "amqp://user:password@host:5672/vhost",
        "amqp_management_url" => "http://user:password@host:15672",
        "database_url" => "postgres://user:password@host:5432/database",
        "staging_url" => {
            "file:///srv/recordings, s3://bucket/prefix or az://storage-account/container/prefix"
        }
        "staging_region" => "eu-central-1",
        "staging_endpoint" => "https://minio.internal:9000",
        "staging_azure_access_key_file" => "/run/secrets/staging-access-key",
        "staging_azure_sas_token_file" => "/run/secrets/staging-sas",
        "staging_azure_tenant_id" => "72f988bf-86f1-41af-91ab-2d7cd011db47",
        "staging_azure_client_id" => "00001111-aaaa-2222-bbbb-3333cccc4444",
        "staging_azure_client_secret_file" => "/run/secrets/staging-client-secret",
        "sts_endpoint" => "https://sts.eu-central-1.amazonaws.com",
        "aws_principal" => "arn:aws:iam::123456789012:role/callferry",
        "entra_authority" => "https://login.microsoftonline.us",
        "azure_federated_token_file" => "/var/run/secrets/azure/tokens/azure-identity-token",
        "azure_identity_endpoint" => "http://169.254.169.254/metadata/identity/oauth2/token",
        "azure_identity_header" => "what IDENTITY_HEADER says where IDENTITY_ENDPOINT is set",
        "allow_http" => "true, in laboratories only",
        "allowed_private_ranges" => "10.0.0.0/8,192.168.1.7",
        "extra_ca_file" => "/etc/ssl/certs/callferry-authorities.pem",
        "keyring_file" => "/etc/callferry/keyring, as `callferry keyring new` makes it",
        "receipt_key_file" => "/etc/callferry/receipt-key, as `callferry receipt-key new` makes it",
        "ops_addr" => "127.0.0.1:9464",
        "http_addr" => "127.0.0.1:8080",
        "jwt_issuer" => "https://login.example.com/, as `iss` of a token says",
        "jwt_audience" => "callferry, as `aud` of a token says",
        "jwt_keys" => "/run/secrets/jwt-keys, or https://login.example.com/.well-known/jwks.json",
        "http_subject_rate" => "20: requests of one subject in a second",
        "http_account_rate" => "50: requests of one account in a second",
        "http_trusted_proxies" => "10.0.0.0/8: the proxies whose X-Forwarded-For is believed",
        "playback_url_life_s" => "300: how long a URL of a recording is good",
        "access_log_retention_days" => "365",
        "log_format" => "auto, json or text",
        "log_filter" => "info, or info,broker=debug",
        "part_size_bytes" => "16777216; S3 takes no part below 5 MiB",
        "byte_budget_bytes" => "134217728; it must hold two parts",
        "prefetch" | "cleanup_prefetch" => "64: so many deliveries are worked on at once",
        "lease_s" => "30; it must last longer than its renewal takes",
        "isolate_after" => "5; then a recording runs in a process of its own",
        "quarantine_days" => "90",
        "secret_warning_days" => "14",
        "secret_last_warning_days" => "3; not more than secret_warning_days",
        "tick_ms" => "1000",
        "database_pool_size" => "16; one connection is for the probe",
        "worker_threads" => "4, or unset it for one for each processor",
        "drain_s" => "25",
        name if key.starts_with("drive.") && !name.is_empty() => "60, a whole number of seconds",
        _ => return "`callferry config` without this file shows every key".to_owned(),
    };
    let variable = variable.to_ascii_uppercase();
    format!("as in CALLFERRY_{variable}: {example}")
}
