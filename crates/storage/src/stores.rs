//! The stores of a process: clients, byte budget, sessions and built buckets of both clouds, shared
//! by all accounts; handed out as three powers.

mod checked;
mod powers;
mod settings;
mod shelf;
mod staging;

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use recording::{
    AccountId, AzureContainer, AzureIdentity, Clock, Cloud, Destination, Fault, Meter, ObjectKey,
    S3Bucket, Store,
};

use crate::azure::{self, Container};
use crate::budget::Budget;
use crate::connector::address::AddressFilter;
use crate::connector::{Clients, ConnectorFault};
use crate::credentials::{
    Application, Base, Entra, Purpose, Role, Session, Sts, session_name, session_policy,
};
use crate::exchange::Line;
use crate::s3::{self, Bucket};

pub use powers::{BucketLeftovers, BucketLookers, BucketWriters};
pub use settings::StoreSettings;
use shelf::{Label, Shelf};
pub use staging::{StagingPlace, StagingStore};

/// Whether customer traffic may reach an address, as it is decided at every connect. For saying
/// so at the command line when a destination is set.
#[must_use]
pub fn permits_address(allowed_private_ranges: &[IpNet], address: IpAddr) -> bool {
    AddressFilter::new(allowed_private_ranges.to_vec()).permits(address)
}

/// The stores of a process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stores {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: StoreSettings,
    clock: Arc<dyn Clock>,
    meter: Arc<dyn Meter>,
    clients: Clients,
    sts: Arc<Sts>,
    entra: Arc<Entra>,
    budget: Budget,
    shelf: Shelf,
}

/// A bucket of either cloud, as one account reaches it for one purpose.
#[derive(Debug, Clone)]
enum Reached {
    S3(Arc<Bucket>),
    Azure(Arc<Container>),
}

impl Stores {
    /// Sets the clients up. Nothing is connected to yet. Every request to a store or a token
    /// service is told to `meter`.
    ///
    /// # Errors
    /// The CA file cannot be used, or TLS not be set up.
    pub fn new(
        settings: StoreSettings,
        clock: Arc<dyn Clock>,
        meter: Arc<dyn Meter>,
    ) -> Result<Self, ConnectorFault> {
        let filter = AddressFilter::new(settings.allowed_private_ranges.clone());
        let extra_ca_file = settings.extra_ca_file.as_deref();
        let clients = Clients::new(filter, settings.allow_http, extra_ca_file)?;
        let base = Base::new(settings.base_identity.clone(), Arc::clone(&clock));
        let base = Session::new(Box::new(base), Arc::clone(&clock));
        let operator = |cloud| Line {
            client: clients.operator.clone(),
            retries: settings.max_retries,
            cloud,
            meter: Arc::clone(&meter),
        };
        let sts = Sts::new(
            operator(Cloud::Sts),
            settings.sts_endpoint.clone(),
            Arc::new(base),
            Arc::clone(&clock),
        );
        let authority = settings.entra_authority.clone();
        let entra = Entra::new(operator(Cloud::Entra), authority, Arc::clone(&clock));
        let shared = Shared {
            budget: Budget::new(settings.byte_budget),
            shelf: Shelf::new(settings.stores_max),
            settings,
            clock,
            meter,
            clients,
            sts: Arc::new(sts),
            entra: Arc::new(entra),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The power to create copies. Its sessions cannot read or delete.
    #[must_use]
    pub fn writers(&self) -> BucketWriters {
        BucketWriters::new(Arc::clone(&self.shared))
    }

    /// The power to look at copies. Its sessions cannot write or delete.
    #[must_use]
    pub fn lookers(&self) -> BucketLookers {
        BucketLookers::new(Arc::clone(&self.shared))
    }

    /// How much of the originals may be in memory, and how much is, in bytes.
    #[must_use]
    pub fn byte_budget(&self) -> (u64, u64) {
        self.shared.budget.reading()
    }

    /// The power to find and abort uploads that nobody goes on with. Its sessions can do nothing
    /// to an object.
    #[must_use]
    pub fn leftovers(&self) -> BucketLeftovers {
        BucketLeftovers::new(Arc::clone(&self.shared))
    }
}

impl Shared {
    /// The bucket of a destination, as `account` may reach it for `purpose`, and `key` checked.
    fn bucket(
        &self,
        destination: &Destination,
        account: &AccountId,
        key: &ObjectKey,
        purpose: Purpose,
    ) -> Result<Reached, Fault> {
        checked::key(destination, account, key)?;
        self.reached(destination, account, purpose)
    }

    /// The bucket of a destination, which is checked to be the account's to use.
    fn reached(
        &self,
        destination: &Destination,
        account: &AccountId,
        purpose: Purpose,
    ) -> Result<Reached, Fault> {
        let prefix = checked::prefix(destination, account)?;
        let label = Label::new(destination, account, purpose);
        self.shelf
            .get(&label, destination, || match &destination.store {
                Store::S3(s3) => {
                    let place = s3::Place::new(s3, self.settings.allow_http)?;
                    let policy = |arn: &str| session_policy(s3, arn, purpose, &prefix);
                    let name = session_name(purpose, account);
                    let session = self.session(destination, s3, policy, name);
                    let bucket = Bucket::new(place, session, self.line(Cloud::S3));
                    Ok(Reached::S3(Arc::new(bucket)))
                }
                Store::Azure(azure) => {
                    let place = azure::Place::new(azure, self.settings.allow_http)?;
                    let identity = self.identity(azure);
                    let line = self.line(Cloud::Azure);
                    let container = Container::new(place, identity, line, Arc::clone(&self.clock));
                    Ok(Reached::Azure(Arc::new(container)))
                }
            })
    }

    fn line(&self, cloud: Cloud) -> Line {
        Line {
            client: self.clients.customer.clone(),
            retries: self.settings.max_retries,
            cloud,
            meter: Arc::clone(&self.meter),
        }
    }

    fn session(
        &self,
        destination: &Destination,
        s3: &S3Bucket,
        policy: impl FnOnce(&str) -> String,
        session_name: String,
    ) -> Arc<Session> {
        let Some(arn) = &s3.role_arn else {
            return self.sts.base();
        };
        let role = Role {
            sts: Arc::clone(&self.sts),
            region: s3.region.clone(),
            arn: arn.clone(),
            external_id: destination.external_id.clone(),
            policy: policy(arn),
            session_name,
        };
        Arc::new(Session::new(Box::new(role), Arc::clone(&self.clock)))
    }

    fn identity(&self, azure: &AzureContainer) -> azure::Identity {
        match &azure.identity {
            AzureIdentity::AccessKey { access_key } => {
                azure::Identity::AccessKey(access_key.clone())
            }
            AzureIdentity::Sas { sas_token } => azure::Identity::Sas(sas_token.clone()),
            AzureIdentity::ServicePrincipal {
                tenant_id,
                client_id,
                client_secret,
            } => azure::Identity::Token(self.entra.session(Application {
                tenant_id: tenant_id.clone(),
                client_id: client_id.clone(),
                client_secret: client_secret.clone(),
            })),
        }
    }
}
