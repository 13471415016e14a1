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
            "entra_authority": self.entra_authority,
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
            "tick_ms": self.tick_ms,
            "log_format": self.log_format.as_str(),
            "log_filter": self.log_filter,
            "drain_s": self.drain_s,
            "worker_threads": self.worker_threads,
            "drive": {
                "unacknowledged_s": self.drive.unacknowledged_s,
                "unreleased_s": self.drive.unreleased_s,
                "redrive_s": self.drive.redrive_s,
                "redrive_cap_s": self.drive.redrive_cap_s,
                "unannounced_s": self.drive.unannounced_s,
                "growing_s": self.drive.growing_s,
                "outage_s": self.drive.outage_s,
                "trash_every_s": self.drive.trash_every_s,
                "trash_age_s": self.drive.trash_age_s,
                "hand_off_s": self.drive.hand_off_s,
                "reading_every_s": self.drive.reading_every_s,
                "sweep_every_s": self.drive.sweep_every_s,
                "leftover_age_s": self.drive.leftover_age_s,
            },
        });
        if let (Value::Object(all), Value::Object(staging)) = (&mut shown, self.shown_staging()) {
            all.extend(staging);
        }
        shown
    }

    /// What of it is about staging.
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
