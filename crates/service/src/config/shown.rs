//! The configuration as it may be shown: every key, no secret.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::Config;

impl Config {
    /// The effective configuration without its secrets.
    pub(crate) fn shown(&self) -> Value {
        let secret = |url: &Option<SecretString>| url.as_ref().map(without_secret);
        let ranges = self.allowed_private_ranges.as_slice();
        let mut shown = json!({
            "amqp_url": secret(&self.amqp_url),
            "amqp_management_url": secret(&self.amqp_management_url),
            "database_url": secret(&self.database_url),
            "database_pool_size": self.database_pool_size,
            "sts_endpoint": self.sts_endpoint,
            "aws_principal": self.aws_principal,
            "entra_authority": self.entra_authority,
            "azure_federated_token_file": self.azure_federated_token_file,
            "azure_identity_endpoint": self.azure_identity_endpoint,
            "azure_identity_header": secret(&self.azure_identity_header),
            "allow_http": self.allow_http,
            "allowed_private_ranges": ranges,
            "extra_ca_file": self.extra_ca_file,
            "ops_addr": self.ops_addr,
            "http_addr": self.http_addr,
            "keyring_file": self.keyring_file,
            "part_size_bytes": self.part_size_bytes,
            "byte_budget_bytes": self.byte_budget_bytes,
            "prefetch": self.prefetch,
            "cleanup_prefetch": self.cleanup_prefetch,
            "lease_s": self.lease_s,
            "isolate_after": self.isolate_after,
            "quarantine_days": self.quarantine_days,
            "secret_warning_days": self.secret_warning_days,
            "secret_last_warning_days": self.secret_last_warning_days,
            "tick_ms": self.tick_ms,
            "log_format": self.log_format.as_str(),
            "log_filter": self.log_filter,
            "drain_s": self.drain_s,
            "worker_threads": self.worker_threads,
            "drive": self.drive.shown(),
        });
        // By themselves: the macro cannot take in all keys at once.
        for more in [self.shown_of_http(), self.shown_staging()] {
            if let (Some(shown), Value::Object(more)) = (shown.as_object_mut(), more) {
                shown.extend(more);
            }
        }
        shown
    }

    /// The same of the HTTP interface, and of what it publishes.
    fn shown_of_http(&self) -> Value {
        json!({
            "receipt_key_file": self.receipt_key_file,
            "jwt_issuer": self.jwt_issuer,
            "jwt_audience": self.jwt_audience,
            "jwt_keys": self.jwt_keys,
            "http_subject_rate": self.http_subject_rate,
            "http_account_rate": self.http_account_rate,
            "http_trusted_proxies": self.http_trusted_proxies.as_slice(),
            "playback_url_life_s": self.playback_url_life_s,
            "access_log_retention_days": self.access_log_retention_days,
        })
    }

    /// The same of staging.
    pub(super) fn shown_staging(&self) -> Value {
        json!({
            "staging_url": self.staging_url,
            "staging_region": self.staging_region,
            "staging_endpoint": self.staging_endpoint,
            "staging_azure_access_key_file": self.staging_azure_access_key_file,
            "staging_azure_sas_token_file": self.staging_azure_sas_token_file,
            "staging_azure_tenant_id": self.staging_azure_tenant_id,
            "staging_azure_client_id": self.staging_azure_client_id,
            "staging_azure_client_secret_file": self.staging_azure_client_secret_file,
        })
    }
}

/// A URL without password, query and fragment, any of which may be secret; of anything that is no
/// URL only that it is set.
pub(crate) fn without_secret(secret: &SecretString) -> String {
    let hidden = || "(set, not shown)".to_owned();
    let Ok(mut url) = Url::parse(secret.expose_secret()) else {
        return hidden();
    };
    if !url.has_host() || (url.password().is_some() && url.set_password(Some("***")).is_err()) {
        return hidden();
    }
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}
