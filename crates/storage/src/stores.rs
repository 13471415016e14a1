//! The stores of a process: clients, byte budget, sessions and built buckets of both clouds, shared
//! by all accounts; handed out as three powers.

mod caller;
mod checked;
mod key_set;
mod players;
mod powers;
mod removers;
mod settings;
mod shelf;
mod spare;
mod staging;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ipnet::IpNet;
use recording::{
    AccountId, AzureContainer, AzureIdentity, Clock, Cloud, Destination, Fault, Meter, ObjectKey,
    Purpose, S3Bucket, Store,
};

use crate::azure::{self, Container};
use crate::budget::Budget;
use crate::check::{self, BucketChecker};
use crate::connector::address::AddressFilter;
use crate::connector::resolver::{Lookup, System};
use crate::connector::{Clients, ConnectorFault};
use crate::credentials::{
    Application, Base, Entra, Machine, Role, Session, Sts, session_name, session_policy,
};
use crate::exchange::Line;
use crate::s3::{self, Bucket};

pub use key_set::{KeySetFault, KeySetSource};
pub use players::{BucketPlayers, Reading};
pub use powers::{BucketLeftovers, BucketLookers, BucketWriters};
pub use removers::BucketRemovers;
pub use settings::{ManagedIdentity, StoreSettings};
use shelf::{Label, Shelf};
use spare::Left;
pub use staging::{StagingPlace, StagingStore};

/// Whether customer traffic may reach an address, as it is decided at every connect. For saying
/// so at the command line when a destination is set.
#[must_use]
pub fn permits_address(allowed_private_ranges: &[IpNet], address: IpAddr) -> bool {
    AddressFilter::new(allowed_private_ranges.to_vec(), false).permits(address)
}

/// What an endpoint is that is written as an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// In a range that the operator allows.
    Allowed,
    /// Public, and refused all the same: an endpoint is a name.
    Public,
    /// Private or reserved.
    Private,
}

/// The same for an endpoint whose host is written as an address.
#[must_use]
pub fn judge_address(allowed_private_ranges: &[IpNet], address: IpAddr) -> Judged {
    let filter = AddressFilter::new(allowed_private_ranges.to_vec(), false);
    match (filter.allows(address), filter.permits(address)) {
        (true, _) => Judged::Allowed,
        (false, true) => Judged::Public,
        (false, false) => Judged::Private,
    }
}

/// The stores of a process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stores {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    settings: StoreSettings,
    pub(crate) clock: Arc<dyn Clock>,
    meter: Arc<dyn Meter>,
    clients: Clients,
    sts: Arc<Sts>,
    entra: Arc<Entra>,
    budget: Budget,
    shelf: Shelf,
}

/// A bucket of either cloud, as one account reaches it for one purpose.
#[derive(Debug, Clone)]
pub(crate) enum Reached {
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
        Self::resolving(settings, clock, meter, Arc::new(System))
    }

    /// The same with another resolver for customers' names: for tests, whose names are in no DNS.
    ///
    /// # Errors
    /// As [`Stores::new`].
    #[cfg(feature = "resolver")]
    pub fn with_resolver(
        settings: StoreSettings,
        clock: Arc<dyn Clock>,
        meter: Arc<dyn Meter>,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, ConnectorFault> {
        Self::resolving(settings, clock, meter, lookup)
    }

    fn resolving(
        settings: StoreSettings,
        clock: Arc<dyn Clock>,
        meter: Arc<dyn Meter>,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, ConnectorFault> {
        let (allowed, allow_http) = (&settings.allowed_private_ranges, settings.allow_http);
        let filter = AddressFilter::new(allowed.clone(), allow_http);
        let extra_ca_file = settings.extra_ca_file.as_deref();
        let clients = Clients::new(filter, allow_http, extra_ca_file, lookup)?;
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
        let machine = Machine {
            line: Line {
                client: clients.machine.clone(),
                ..operator(Cloud::Entra)
            },
            endpoint: settings.managed_identity.endpoint.clone(),
            header: settings.managed_identity.header.clone(),
            token_file: settings.federated_token_file.clone(),
        };
        let line = operator(Cloud::Entra);
        let entra = Entra::new(line, machine, authority, Arc::clone(&clock));
        let shared = Shared {
            budget: Budget::new(settings.byte_budget),
            shelf: Shelf::new(settings.stores_max, settings.spare_credential_bytes),
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

    /// The power to sign URLs that read one object each.
    #[must_use]
    pub fn players(&self) -> BucketPlayers {
        BucketPlayers::new(Arc::clone(&self.shared))
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

    /// The power to delete copies whose time has come. Its sessions cannot write.
    #[must_use]
    pub fn removers(&self) -> BucketRemovers {
        BucketRemovers::new(Arc::clone(&self.shared))
    }

    /// Checks destinations as the fleet uses them, with the fleet's sessions for each purpose.
    #[must_use]
    pub fn checker(&self) -> BucketChecker {
        BucketChecker::new(Arc::clone(&self.shared))
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
    pub(crate) fn reached(
        &self,
        destination: &Destination,
        account: &AccountId,
        purpose: Purpose,
    ) -> Result<Reached, Fault> {
        let prefix = checked::prefix(destination, account)?;
        let label = Label::new(destination, account, purpose);
        let now = self.clock.boot();
        let build = |left: Option<Left>| match &destination.store {
            Store::S3(s3) => {
                let whose = (destination, account);
                let bucket = self.built(whose, s3, purpose, &prefix)?;
                if let Some(left) = left {
                    bucket.go_on_with(left.issued, left.has_shown);
                }
                Ok(Reached::S3(Arc::new(bucket)))
            }
            Store::Azure(azure) => {
                let place = azure::Place::new(azure, self.settings.allow_http)?;
                let identity = self.identity(azure);
                let line = self.line(Cloud::Azure);
                let container = Container::new(place, identity, line, Arc::clone(&self.clock));
                Ok(Reached::Azure(Arc::new(container)))
            }
        };
        self.shelf.get(&label, destination, now, build)
    }

    /// A bucket as a check reaches it: by a session of its own, which is neither kept nor ever used
    /// before, and reaches no further than the check's folder.
    pub(crate) fn tried(
        &self,
        destination: &Destination,
        s3: &S3Bucket,
        account: &AccountId,
        purpose: Purpose,
    ) -> Result<Bucket, Fault> {
        let prefix = checked::prefix(destination, account)?;
        let folder = format!("{prefix}{}", check::FOLDER);
        self.built((destination, account), s3, purpose, &folder)
    }

    /// A bucket with a new session for what lies below a prefix.
    fn built(
        &self,
        (destination, account): (&Destination, &AccountId),
        s3: &S3Bucket,
        purpose: Purpose,
        below: &str,
    ) -> Result<Bucket, Fault> {
        let place = s3::Place::new(s3, self.settings.allow_http)?;
        let policy = |arn: &str| session_policy(s3, arn, purpose, below);
        let name = session_name(purpose, account);
        let session = self.session(destination, s3, policy, name);
        Ok(Bucket::new(place, session, self.line(Cloud::S3)))
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
        match self.role(destination, s3, policy, session_name) {
            Some(role) => Arc::new(Session::new(Box::new(role), Arc::clone(&self.clock))),
            None => self.sts.base(),
        }
    }

    /// The customer's role, as a session of it is asked for; `None` where our own identity writes.
    pub(crate) fn role(
        &self,
        destination: &Destination,
        s3: &S3Bucket,
        policy: impl FnOnce(&str) -> String,
        session_name: String,
    ) -> Option<Role> {
        let arn = s3.role_arn.as_ref()?;
        Some(Role {
            sts: Arc::clone(&self.sts),
            region: s3.region.clone(),
            arn: arn.clone(),
            external_id: destination.external_id.clone(),
            policy: policy(arn),
            session_name,
            short: AtomicBool::new(false),
        })
    }

    fn identity(&self, azure: &AzureContainer) -> azure::Identity {
        let application = match &azure.identity {
            AzureIdentity::AccessKey { access_key } => {
                return azure::Identity::AccessKey(access_key.clone());
            }
            AzureIdentity::Sas { sas_token } => return azure::Identity::Sas(sas_token.clone()),
            AzureIdentity::ServicePrincipal {
                tenant_id,
                client_id,
                client_secret,
            } => Application::Secret {
                tenant_id: tenant_id.clone(),
                client_id: client_id.clone(),
                client_secret: client_secret.clone(),
            },
            AzureIdentity::Federated {
                tenant_id,
                client_id,
            } => Application::Federated {
                tenant_id: tenant_id.clone(),
                client_id: client_id.clone(),
            },
            AzureIdentity::ManagedIdentity { client_id } => Application::Managed {
                client_id: client_id.clone(),
            },
        };
        azure::Identity::Token(self.entra.session(application))
    }
}
