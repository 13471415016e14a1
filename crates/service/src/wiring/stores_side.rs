//! The customers' buckets.

use std::sync::Arc;

use anyhow::Result;
use recording::{Checker, Clock, Leftovers, Lookers, Meter, Removers, Writers};
use storage::{ManagedIdentity, StoreSettings, Stores};

use crate::config::Config;
use crate::failure::Failure;

/// The customers' buckets as four powers, who checks them, and what they are made of.
#[derive(Clone)]
pub(crate) struct Buckets {
    /// For writing.
    pub(crate) writers: Arc<dyn Writers>,
    /// For looking.
    pub(crate) lookers: Arc<dyn Lookers>,
    /// For uploads that were never completed.
    pub(crate) leftovers: Arc<dyn Leftovers>,
    /// For copies whose time has come.
    pub(crate) removers: Arc<dyn Removers>,
    /// For trying out all that the fleet does.
    pub(crate) checker: Arc<dyn Checker>,
    /// For the memory that all transfers share.
    pub(crate) stores: Stores,
}

/// Sets the clients up. Nothing is connected to yet.
pub(crate) fn buckets(
    config: &Config,
    clock: &Arc<dyn Clock>,
    meter: &Arc<dyn Meter>,
) -> Result<Buckets> {
    let usual = ManagedIdentity::default();
    let settings = StoreSettings {
        part_size_bytes: config.part_size_bytes,
        byte_budget: config.byte_budget_bytes,
        allow_http: config.allow_http,
        allowed_private_ranges: config.allowed_private_ranges.as_slice().to_vec(),
        sts_endpoint: config.sts_origin()?,
        entra_authority: config.entra_origin()?,
        managed_identity: ManagedIdentity {
            endpoint: config.identity_endpoint()?.unwrap_or(usual.endpoint),
            header: config.azure_identity_header.clone(),
        },
        federated_token_file: config.azure_federated_token_file.clone(),
        extra_ca_file: config.extra_ca_file.clone(),
        ..StoreSettings::default()
    };
    let stores = Stores::new(settings, Arc::clone(clock), Arc::clone(meter));
    let stores = stores.map_err(|fault| {
        Failure::failed(fault.to_string()).hint(
            "see CALLFERRY_EXTRA_CA_FILE, CALLFERRY_STS_ENDPOINT and \
                 CALLFERRY_ENTRA_AUTHORITY: `callferry config`",
        )
    })?;
    Ok(Buckets {
        writers: Arc::new(stores.writers()),
        lookers: Arc::new(stores.lookers()),
        leftovers: Arc::new(stores.leftovers()),
        removers: Arc::new(stores.removers()),
        checker: Arc::new(stores.checker()),
        stores,
    })
}
