//! How stores are reached and how much they may use.

use std::path::PathBuf;

use ipnet::IpNet;
use secrecy::SecretString;

use crate::credentials::BaseIdentity;

/// The smallest part that S3 takes, in bytes.
pub(super) const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;

/// How stores are reached and how much they may use.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// Originals up to this size go in one PUT, larger ones in parts of it, in bytes. Less than
    /// 5 MiB counts as 5 MiB, which is S3's least; Azure takes the same cut.
    pub part_size_bytes: u64,
    /// What may be read and not yet sent at any time, over all transfers, in bytes.
    pub byte_budget: u64,
    /// Whether plain-http endpoints are taken: laboratories only.
    pub allow_http: bool,
    /// Private ranges that customers' endpoints may be in.
    pub allowed_private_ranges: Vec<IpNet>,
    /// Origin of STS; `None` means AWS's own for each destination's region.
    pub sts_endpoint: Option<String>,
    /// Origin of Entra's token service; `None` means Microsoft's public one.
    pub entra_authority: Option<String>,
    /// Where the machine's managed identity gets its tokens.
    pub managed_identity: ManagedIdentity,
    /// The file with our workload's own token, which applications in customers' directories trust.
    pub federated_token_file: Option<PathBuf>,
    /// A PEM file of CAs that are trusted besides the system's.
    pub extra_ca_file: Option<PathBuf>,
    /// Repetitions of one request at most, where repeating is safe.
    pub max_retries: u32,
    /// Built stores, with their sessions, that are kept.
    pub stores_max: usize,
    /// Where our own identity comes from.
    pub base_identity: BaseIdentity,
}

/// The token service of the machine that we run on.
#[derive(Debug, Clone)]
pub struct ManagedIdentity {
    /// Its URL, without a query.
    pub endpoint: String,
    /// What App Service and its like want to be shown; without it the service is asked as that of
    /// a virtual machine.
    pub header: Option<SecretString>,
}

impl Default for ManagedIdentity {
    /// The metadata service of a virtual machine in Azure.
    fn default() -> Self {
        Self {
            endpoint: "http://169.254.169.254/metadata/identity/oauth2/token".to_owned(),
            header: None,
        }
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            part_size_bytes: 16 * 1024 * 1024,
            byte_budget: 128 * 1024 * 1024,
            allow_http: false,
            allowed_private_ranges: Vec::new(),
            sts_endpoint: None,
            entra_authority: None,
            managed_identity: ManagedIdentity::default(),
            federated_token_file: None,
            extra_ca_file: None,
            max_retries: 2,
            stores_max: 512,
            base_identity: BaseIdentity::Chain,
        }
    }
}
