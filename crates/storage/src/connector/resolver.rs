//! Resolving names, with the address filter between the answer and the connect. A name is judged
//! at every connect, because what it resolves to can change after any check made earlier.

use std::net::SocketAddr;
use std::sync::Arc;

use rand::seq::SliceRandom;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::{AddressFilter, AddressRefused};

/// Resolves by the system and keeps the permitted addresses, in random order.
#[derive(Debug)]
pub(super) struct FilteringResolver {
    filter: Arc<AddressFilter>,
}

impl FilteringResolver {
    pub(super) fn new(filter: Arc<AddressFilter>) -> Self {
        Self { filter }
    }
}

impl Resolve for FilteringResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let filter = Arc::clone(&self.filter);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut addresses: Vec<SocketAddr> = found
                .filter(|address| filter.permits(address.ip()))
                .collect();
            if addresses.is_empty() {
                return Err(AddressRefused.into());
            }
            // S3 answers with several addresses and means all of them to be used.
            addresses.shuffle(&mut rand::rng());
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}
