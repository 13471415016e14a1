//! The layers of the configuration: file, then environment.
//!
//! **Decision.** Both are read here and only merged by `figment`. **Because** its environment
//! provider reads text as its own notation (a URL with a comma would not survive), and a TOML
//! error shows the offending line, which may be the one with a password.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Result;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::{Deserialize, Deserializer, de};
use url::Url;

use super::{Config, examples};
use crate::failure::Failure;

/// What leads the name of every variable.
const PREFIX: &str = "CALLFERRY_";
/// What leads the name of a variable for a key of the `[drive]` table.
const DRIVE: &str = "drive_";

/// Keys whose value is text, whatever it looks like.
const TEXTS: [&str; 29] = [
    "amqp_url",
    "amqp_management_url",
    "database_url",
    "staging_url",
    "staging_region",
    "staging_endpoint",
    "staging_azure_access_key_file",
    "staging_azure_sas_token_file",
    "staging_azure_tenant_id",
    "staging_azure_client_id",
    "staging_azure_client_secret_file",
    "sts_endpoint",
    "aws_principal",
    "entra_authority",
    "azure_federated_token_file",
    "azure_identity_endpoint",
    "azure_identity_header",
    "allowed_private_ranges",
    "extra_ca_file",
    "ops_addr",
    "http_addr",
    "http_trusted_proxies",
    "jwt_issuer",
    "jwt_audience",
    "jwt_keys",
    "keyring_file",
    "receipt_key_file",
    "log_format",
    "log_filter",
];
/// What Azure's platforms say to every process, by the name of the variable, and our key for it.
const AZURES: [(&str, &str); 3] = [
    ("AZURE_FEDERATED_TOKEN_FILE", "azure_federated_token_file"),
    ("IDENTITY_ENDPOINT", "azure_identity_endpoint"),
    ("IDENTITY_HEADER", "azure_identity_header"),
];
/// Keys whose value is `true` or `false`.
const TRUTHS: [&str; 1] = ["allow_http"];
/// Keys whose value is a number.
const NUMBERS: [&str; 39] = [
    "database_pool_size",
    "part_size_bytes",
    "byte_budget_bytes",
    "prefetch",
    "cleanup_prefetch",
    "lease_s",
    "isolate_after",
    "quarantine_days",
    "secret_warning_days",
    "secret_last_warning_days",
    "http_subject_rate",
    "http_account_rate",
    "playback_url_life_s",
    "access_log_retention_days",
    "tick_ms",
    "drain_s",
    "worker_threads",
    "drive_unacknowledged_s",
    "drive_unreleased_s",
    "drive_redrive_s",
    "drive_redrive_cap_s",
    "drive_unannounced_s",
    "drive_growing_s",
    "drive_outage_s",
    "drive_trash_every_s",
    "drive_trash_age_s",
    "drive_hand_off_s",
    "drive_reading_every_s",
    "drive_sweep_every_s",
    "drive_leftover_age_s",
    "drive_probe_s",
    "drive_probe_cap_s",
    "drive_settle_s",
    "drive_check_every_s",
    "drive_recheck_s",
    "drive_check_poll_s",
    "drive_retention_pause_s",
    "drive_retention_batch",
    "drive_late_writes_s",
];

/// The variables that concern us, by name.
pub(crate) type Environment = BTreeMap<String, String>;

/// The process's environment, as far as it concerns us. An empty variable counts as not set.
pub(crate) fn environment() -> Environment {
    let ours = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        let value = value.into_string().ok()?;
        let is_azures = AZURES.iter().any(|(variable, _)| *variable == name);
        let concerns_us = is_azures || name.starts_with(PREFIX);
        (concerns_us && !value.is_empty()).then_some((name, value))
    });
    ours.collect()
}

/// The names of every variable that is read, for tests and the documentation.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = String> {
    let keys = TEXTS.iter().chain(&TRUTHS).chain(&NUMBERS);
    keys.copied().map(variable)
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase())
}

/// Merges the layers into a configuration.
pub(super) fn merge(file: Option<&Path>, environment: &Environment) -> Result<Config> {
    let told = environment.get("CALLFERRY_CONFIG").map(PathBuf::from);
    let file = file.map(Path::to_owned).or(told);
    let mut told = Vec::new();
    if let Some(file) = &file {
        told.push(Layer::of_file(file)?);
    }
    told.push(Layer::of_environment(environment)?);
    let mut layers = Figment::new().merge(Layer::of_azure(environment, &told));
    for layer in told {
        layers = layers.merge(layer);
    }
    let config = layers.extract::<Config>();
    config.map_err(|error| {
        let hint = examples::hint(&error.path.join("."));
        Failure::usage(plain(&error)).hint(hint).into()
    })
}

/// An error without the values it met: one of them may be a secret under a wrong key.
fn plain(error: &figment::Error) -> String {
    use figment::error::Kind;
    let key = error.path.join(".");
    let source = error
        .metadata
        .as_ref()
        .map_or_else(String::new, |metadata| format!(" in {}", metadata.name));
    let what = match &error.kind {
        Kind::UnknownField(name, known) => {
            let nearest = known.join(", ");
            return format!("`{name}`{source} is not a key of the configuration: use {nearest}");
        }
        Kind::InvalidType(_, must) | Kind::InvalidValue(_, must) => format!("must be {must}"),
        Kind::Message(message) => message.clone(),
        Kind::InvalidLength(_, must) => format!("must be {must}"),
        Kind::UnknownVariant(_, known) => format!("must be one of {}", known.join(", ")),
        Kind::MissingField(name) => format!("lacks `{name}`"),
        Kind::DuplicateField(name) => format!("has `{name}` twice"),
        Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => "is out of range".to_owned(),
        Kind::Unsupported(_) | Kind::UnsupportedKey(_, _) => "has an impossible value".to_owned(),
    };
    format!("`{key}`{source}: {what}")
}

/// One layer.
struct Layer {
    /// Where it comes from, for errors.
    name: String,
    /// Its keys.
    keys: Dict,
}

impl Layer {
    fn of_file(file: &Path) -> Result<Self> {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| {
            Failure::usage(format!("the configuration file {name}: {error}")).hint(
                "name one that can be read with --config or CALLFERRY_CONFIG, or none: each key \
                 can be a CALLFERRY_… variable",
            )
        })?;
        let keys = toml::from_str::<Dict>(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count().saturating_add(1));
            // Only the message: the rendered error repeats the line, which may hold a secret.
            Failure::usage(format!("{name}, line {line}: {}", error.message()))
                .hint("TOML: one `key = value` a line, text in quotes, `[drive]` before its keys")
        })?;
        Ok(Self { name, keys })
    }

    /// What Azure's platforms say, below everything that the operator says.
    fn of_azure(environment: &Environment, told: &[Self]) -> Self {
        let says = |key: &str| told.iter().any(|layer| layer.keys.contains_key(key));
        // Endpoint and header belong together: one platform's header is not another's to see. An
        // endpoint without a header speaks in a way of its own, and is not for us.
        let pair = AZURES
            .iter()
            .filter(|(_, key)| key.starts_with("azure_identity_"));
        let is_whole = pair
            .clone()
            .all(|(variable, key)| environment.contains_key(*variable) && !says(key));
        let mut keys = Dict::new();
        for (variable, key) in AZURES {
            let is_paired = pair.clone().any(|(_, other)| *other == key);
            if let Some(value) = environment.get(variable)
                && (is_whole || !is_paired)
            {
                keys.insert(key.to_owned(), Value::from(value.as_str()));
            }
        }
        let name = "the environment".to_owned();
        Self { name, keys }
    }

    fn of_environment(environment: &Environment) -> Result<Self> {
        let mut keys = Dict::new();
        let mut drive = Dict::new();
        for key in TEXTS {
            if let Some(value) = environment.get(&variable(key)) {
                keys.insert(key.to_owned(), Value::from(value.as_str()));
            }
        }
        for key in TRUTHS {
            let must = "must be `true` or `false`";
            if let Some(value) = read::<bool>(environment, key, must)? {
                keys.insert(key.to_owned(), value);
            }
        }
        for key in NUMBERS {
            let Some(value) = read::<u64>(environment, key, "must be a whole number")? else {
                continue;
            };
            match key.strip_prefix(DRIVE) {
                Some(key) => drive.insert(key.to_owned(), value),
                None => keys.insert(key.to_owned(), value),
            };
        }
        if !drive.is_empty() {
            keys.insert("drive".to_owned(), Value::from(drive));
        }
        let name = "the environment".to_owned();
        Ok(Self { name, keys })
    }
}

/// Reads the variable of a key, if it is set.
fn read<T>(environment: &Environment, key: &str, must: &str) -> Result<Option<Value>>
where
    T: FromStr,
    Value: From<T>,
{
    let name = variable(key);
    let Some(text) = environment.get(&name) else {
        return Ok(None);
    };
    let value = text.trim().parse::<T>();
    let value = value.map_err(|_| {
        let key = key.replacen(DRIVE, "drive.", 1);
        Failure::usage(format!("{name} {must}")).hint(examples::hint(&key))
    })?;
    Ok(Some(Value::from(value)))
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.keys.clone())]))
    }
}

/// Reads a value by its own [`FromStr`].
pub(super) fn word<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(de::Error::custom)
}

/// Reads an address with its port. A name is not looked up: it may be several addresses.
pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    let must = "must be an IP address and port, as in 127.0.0.1:9464";
    text.parse().map_err(|_| de::Error::custom(must))
}

/// Reads a URL. Its own error repeats the text, which may be another key's secret.
pub(super) fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let url = text.as_deref().map(Url::parse).transpose();
    url.map_err(|_| de::Error::custom("must be a URL"))
}
