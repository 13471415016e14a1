//! The configuration: a TOML file, each key overridable by an environment variable. This file and
//! its folder are the only place that reads the environment.
//!
//! Unknown keys in the file are refused, so that a misspelt one is never silently a default.
//! Unknown `CALLFERRY_…` variables are left alone: an orchestrator that runs a service called
//! `callferry` injects some of its own.

mod drive;
mod examples;
mod layers;
mod ranges;
mod shown;
mod staging;
#[cfg(test)]
mod tests;
mod tokens;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use secrecy::SecretString;
use serde::Deserialize;
use telemetry::LogFormat;
use url::Url;

pub(crate) use drive::Drive;
pub(crate) use layers::environment;
pub(crate) use ranges::Ranges;
pub(crate) use staging::Staging;
pub(crate) use tokens::{KeysAt, Tokens};

use crate::failure::Failure;

/// What S3 accepts as the smallest part of a multipart upload.
const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;

/// The configuration of one process. Every key has a default but the three places, which are
/// asked for where they are needed.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The broker, `amqp(s)://user:password@host:port/vhost`. Secret.
    pub(crate) amqp_url: Option<SecretString>,
    /// The broker's management API, `http(s)://user:password@host:15672`; with it
    /// `topology check` also sees bindings. Secret.
    pub(crate) amqp_management_url: Option<SecretString>,
    /// The ledger, `postgres://user:password@host:port/database`. Secret.
    pub(crate) database_url: Option<SecretString>,
    /// Connections to the ledger, at most.
    pub(crate) database_pool_size: usize,
    /// Staging: `file:///…`, `s3://bucket/prefix` or `az://storage-account/container/prefix`.
    #[serde(deserialize_with = "layers::url")]
    pub(crate) staging_url: Option<Url>,
    /// The region of staging in S3.
    pub(crate) staging_region: Option<String>,
    /// Where staging's store is, if it is neither AWS's nor Azure's own.
    #[serde(deserialize_with = "layers::url")]
    pub(crate) staging_endpoint: Option<Url>,
    /// File with the key of staging's storage account.
    pub(crate) staging_azure_access_key_file: Option<PathBuf>,
    /// File with a shared access signature for staging's container.
    pub(crate) staging_azure_sas_token_file: Option<PathBuf>,
    /// The directory of the application that staging's container is reached as.
    pub(crate) staging_azure_tenant_id: Option<String>,
    /// That application.
    pub(crate) staging_azure_client_id: Option<String>,
    /// File with that application's secret.
    pub(crate) staging_azure_client_secret_file: Option<PathBuf>,
    /// STS, where it is not AWS's own for the region: an origin.
    #[serde(deserialize_with = "layers::url")]
    pub(crate) sts_endpoint: Option<Url>,
    /// The ARNs of our own AWS identities, with commas between them, which customers' roles must
    /// trust; STS is asked where it is not said.
    pub(crate) aws_principal: Option<String>,
    /// Microsoft Entra, where it is not the public cloud's: an origin.
    #[serde(deserialize_with = "layers::url")]
    pub(crate) entra_authority: Option<Url>,
    /// The file with our workload's own token, which applications in customers' directories trust;
    /// by default what `AZURE_FEDERATED_TOKEN_FILE` says.
    pub(crate) azure_federated_token_file: Option<PathBuf>,
    /// Where the machine's managed identity gets its tokens, where that is not the metadata service
    /// of a virtual machine; by default what `IDENTITY_ENDPOINT` says, with `IDENTITY_HEADER`.
    #[serde(deserialize_with = "layers::url")]
    pub(crate) azure_identity_endpoint: Option<Url>,
    /// What that service wants to be shown: App Service and its like. Secret.
    pub(crate) azure_identity_header: Option<SecretString>,
    /// Whether endpoints may be plain http. For laboratories.
    pub(crate) allow_http: bool,
    /// Private addresses that customers' endpoints may resolve to all the same.
    pub(crate) allowed_private_ranges: Ranges,
    /// PEM file with certificate authorities to trust besides the system's.
    pub(crate) extra_ca_file: Option<PathBuf>,
    /// Where `/metrics`, `/livez` and `/readyz` are served.
    #[serde(deserialize_with = "layers::address")]
    pub(crate) ops_addr: SocketAddr,
    /// Where the HTTP interface is served, by the role playback.
    #[serde(deserialize_with = "layers::address")]
    pub(crate) http_addr: SocketAddr,
    /// Who must have issued the tokens of the HTTP interface: their `iss`.
    pub(crate) jwt_issuer: Option<String>,
    /// Whom the tokens must be for: their `aud`.
    pub(crate) jwt_audience: Option<String>,
    /// The issuer's public keys: a PEM or JWKS file, or the https address of a JWKS.
    pub(crate) jwt_keys: Option<String>,
    /// Requests that one subject may make to one process, in a second; five times as many at once.
    pub(crate) http_subject_rate: u32,
    /// The same for all subjects of one account together.
    pub(crate) http_account_rate: u32,
    /// Proxies before the HTTP interface, whose `X-Forwarded-For` is believed.
    pub(crate) http_trusted_proxies: Ranges,
    /// How long a URL that playback gives out is good, unless what signs it ends sooner. Seconds.
    pub(crate) playback_url_life_s: u64,
    /// How long each row of the access log is kept. Days.
    pub(crate) access_log_retention_days: u32,
    /// The key ring that secrets of destinations are encrypted with in the ledger.
    pub(crate) keyring_file: Option<PathBuf>,
    /// The keys that custody receipts are signed with, or public ones that are only published.
    pub(crate) receipt_key_file: Option<PathBuf>,
    /// Up to this size a copy is one PUT; larger ones go in parts of this size. Bytes.
    pub(crate) part_size_bytes: u64,
    /// Memory for bytes on their way, over all transfers of the process. Bytes.
    pub(crate) byte_budget_bytes: u64,
    /// Unsettled deliveries that a transfer process holds at most.
    pub(crate) prefetch: u16,
    /// The same for cleanup.
    pub(crate) cleanup_prefetch: u16,
    /// How long a claim lasts unless it is renewed. Seconds.
    pub(crate) lease_s: u64,
    /// After this many leases in a row that ran out, a recording runs in a process of its own.
    pub(crate) isolate_after: u32,
    /// How long quarantined messages are kept that cannot be requeued. Days.
    pub(crate) quarantine_days: u32,
    /// How long before the secret of a destination ends it is warned of first. Days.
    pub(crate) secret_warning_days: u32,
    /// The same for the last warning. Days.
    pub(crate) secret_last_warning_days: u32,
    /// Housekeeping's tick. Milliseconds.
    pub(crate) tick_ms: u64,
    /// How log lines look: `auto`, `json` or `text`.
    #[serde(deserialize_with = "layers::word")]
    pub(crate) log_format: LogFormat,
    /// What is logged, as in `info` or `info,broker=debug`.
    pub(crate) log_filter: String,
    /// How long work in progress may take to end after SIGTERM. Seconds.
    pub(crate) drain_s: u64,
    /// Threads that run the work; by default one for each processor.
    pub(crate) worker_threads: Option<usize>,
    /// When housekeeping drives a row on.
    pub(crate) drive: Drive,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            amqp_url: None,
            amqp_management_url: None,
            database_url: None,
            database_pool_size: 16,
            staging_url: None,
            staging_region: None,
            staging_endpoint: None,
            staging_azure_access_key_file: None,
            staging_azure_sas_token_file: None,
            staging_azure_tenant_id: None,
            staging_azure_client_id: None,
            staging_azure_client_secret_file: None,
            sts_endpoint: None,
            aws_principal: None,
            entra_authority: None,
            azure_federated_token_file: None,
            azure_identity_endpoint: None,
            azure_identity_header: None,
            allow_http: false,
            allowed_private_ranges: Ranges::default(),
            extra_ca_file: None,
            ops_addr: SocketAddr::from(([127, 0, 0, 1], 9464)),
            http_addr: SocketAddr::from(([127, 0, 0, 1], 8080)),
            jwt_issuer: None,
            jwt_audience: None,
            jwt_keys: None,
            http_subject_rate: 20,
            http_account_rate: 50,
            http_trusted_proxies: Ranges::default(),
            playback_url_life_s: 300,
            access_log_retention_days: 365,
            keyring_file: None,
            receipt_key_file: None,
            part_size_bytes: 16 * 1024 * 1024,
            byte_budget_bytes: 128 * 1024 * 1024,
            prefetch: 64,
            cleanup_prefetch: 64,
            lease_s: 30,
            isolate_after: 5,
            quarantine_days: 90,
            secret_warning_days: 14,
            secret_last_warning_days: 3,
            tick_ms: 1000,
            log_format: LogFormat::Auto,
            log_filter: "info".to_owned(),
            drain_s: 25,
            worker_threads: None,
            drive: Drive::default(),
        }
    }
}

impl Config {
    /// Reads the file, if there is one, and puts the environment over it.
    ///
    /// # Errors
    /// Names the key and what it must be; never shows a secret.
    pub(crate) fn load(file: Option<&Path>, environment: &layers::Environment) -> Result<Self> {
        let config = layers::merge(file, environment)?;
        config.check()?;
        Ok(config)
    }

    /// The broker's URL.
    pub(crate) fn amqp_url(&self) -> Result<&SecretString> {
        self.amqp_url.as_ref().ok_or_else(|| missing("amqp_url"))
    }

    /// The ledger's URL.
    pub(crate) fn database_url(&self) -> Result<&SecretString> {
        let url = self.database_url.as_ref();
        url.ok_or_else(|| missing("database_url"))
    }

    /// The origin of STS, where it is not AWS's own.
    pub(crate) fn sts_origin(&self) -> Result<Option<String>> {
        let sts = self.sts_endpoint.as_ref();
        let origin = |url| crate::endpoint::plain_origin("`sts_endpoint`", url, self.allow_http);
        sts.map(origin).transpose()
    }

    /// The origin of Microsoft Entra, where it is not the public cloud's.
    pub(crate) fn entra_origin(&self) -> Result<Option<String>> {
        let entra = self.entra_authority.as_ref();
        let origin = |url| crate::endpoint::plain_origin("`entra_authority`", url, self.allow_http);
        entra.map(origin).transpose()
    }

    /// The token service of the machine's managed identity, where it is not a virtual machine's.
    pub(crate) fn identity_endpoint(&self) -> Result<Option<String>> {
        let Some(url) = &self.azure_identity_endpoint else {
            return Ok(None);
        };
        let is_plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if is_plain {
            return Ok(Some(url.to_string()));
        }
        let why = "`azure_identity_endpoint` is not the URL of a token service";
        Err(Failure::usage(why)
            .hint(examples::hint("azure_identity_endpoint"))
            .into())
    }

    fn check(&self) -> Result<()> {
        let threads = self.worker_threads.map_or(1, wide);
        for (key, value, least) in [
            ("part_size_bytes", self.part_size_bytes, PART_BYTES_MIN),
            (
                "byte_budget_bytes",
                self.byte_budget_bytes,
                self.part_size_bytes.saturating_mul(2),
            ),
            ("prefetch", self.prefetch.into(), 1),
            ("cleanup_prefetch", self.cleanup_prefetch.into(), 1),
            // The fence closes 5 s before a lease ends, and a renewal needs time of its own.
            ("lease_s", self.lease_s, 10),
            ("isolate_after", self.isolate_after.into(), 1),
            ("http_subject_rate", self.http_subject_rate.into(), 1),
            ("http_account_rate", self.http_account_rate.into(), 1),
            // A player asks for the beginning, and only then for what it plays.
            ("playback_url_life_s", self.playback_url_life_s, 10),
            (
                "access_log_retention_days",
                self.access_log_retention_days.into(),
                1,
            ),
            ("quarantine_days", self.quarantine_days.into(), 1),
            (
                "secret_warning_days",
                self.secret_warning_days.into(),
                self.secret_last_warning_days.into(),
            ),
            (
                "secret_last_warning_days",
                self.secret_last_warning_days.into(),
                1,
            ),
            ("tick_ms", self.tick_ms, 10),
            // While one connection works, another must be left to answer the probe.
            ("database_pool_size", wide(self.database_pool_size), 2),
            ("worker_threads", threads, 1),
            // Without a pause these would repeat the same work in every tick.
            ("drive.unacknowledged_s", self.drive.unacknowledged_s, 1),
            ("drive.unreleased_s", self.drive.unreleased_s, 1),
            ("drive.redrive_s", self.drive.redrive_s, 1),
            ("drive.redrive_cap_s", self.drive.redrive_cap_s, 1),
            ("drive.unannounced_s", self.drive.unannounced_s, 1),
            ("drive.trash_every_s", self.drive.trash_every_s, 1),
            ("drive.hand_off_s", self.drive.hand_off_s, 1),
            ("drive.reading_every_s", self.drive.reading_every_s, 1),
            ("drive.sweep_every_s", self.drive.sweep_every_s, 1),
            // An upload is begun a moment before it is written down.
            ("drive.leftover_age_s", self.drive.leftover_age_s, 5),
            ("drive.probe_s", self.drive.probe_s, 1),
            ("drive.probe_cap_s", self.drive.probe_cap_s, 1),
            ("drive.check_every_s", self.drive.check_every_s, 60),
            ("drive.recheck_s", self.drive.recheck_s, 1),
            ("drive.check_poll_s", self.drive.check_poll_s, 1),
            (
                "drive.retention_batch",
                u64::from(self.drive.retention_batch),
                1,
            ),
        ] {
            if value < least {
                let message = format!("`{key}` is {value}: at least {least}");
                return Err(Failure::usage(message).hint(examples::hint(key)).into());
            }
        }
        self.sts_origin()?;
        self.entra_origin()?;
        self.identity_endpoint()?;
        self.tokens()?;
        telemetry::check_filter(&self.log_filter).map_err(|fault| {
            Failure::usage(format!("`log_filter`: {fault}"))
                .hint(examples::hint("log_filter"))
                .into()
        })
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn missing(key: &str) -> anyhow::Error {
    Failure::usage(format!("`{key}` is not configured"))
        .hint(format!(
            "set CALLFERRY_{}, or `{key}` in the file given with --config",
            key.to_ascii_uppercase()
        ))
        .into()
}
