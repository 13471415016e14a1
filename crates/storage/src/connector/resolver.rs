//! Resolving names, with the address filter between the answer and the connect. A name is judged
//! at every connect, because what it resolves to can change after any check made earlier; and the
//! connection goes to the very addresses that were judged, since nobody asks again.

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use rand::seq::SliceRandom;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::{AddressFilter, AddressRefused};

/// Says what a name resolves to at this moment.
#[cfg_attr(
    not(feature = "resolver"),
    expect(unreachable_pub, reason = "only tests bring a resolver of their own")
)]
#[async_trait]
pub trait Lookup: Debug + Send + Sync {
    /// All its addresses.
    ///
    /// # Errors
    /// There is no such name, or nobody answers.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's own resolver.
#[derive(Debug)]
pub(crate) struct System;

#[async_trait]
impl Lookup for System {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// Resolves, and gives the addresses out in random order if the filter permits all of them.
#[derive(Debug)]
pub(super) struct FilteringResolver {
    filter: Arc<AddressFilter>,
    lookup: Arc<dyn Lookup>,
}

impl FilteringResolver {
    pub(super) fn new(filter: Arc<AddressFilter>, lookup: Arc<dyn Lookup>) -> Self {
        Self { filter, lookup }
    }
}

impl Resolve for FilteringResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (filter, lookup) = (Arc::clone(&self.filter), Arc::clone(&self.lookup));
        Box::pin(async move {
            let found = lookup.addresses(name.as_str()).await?;
            if found.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            // One private address among public ones is no accident.
            if !found.iter().all(|address| filter.permits(*address)) {
                return Err(AddressRefused::Private.into());
            }
            let mut addresses: Vec<_> = found
                .into_iter()
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            // S3 answers with several addresses and means all of them to be used.
            addresses.shuffle(&mut rand::rng());
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}
