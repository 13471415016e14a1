//! The stores of a process: clients, byte budget, sessions and built buckets, shared by all
//! accounts; handed out as two powers.

mod checked;
mod shelf;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use ipnet::IpNet;
use recording::{
    AccountId, Clock, Destination, Fault, Look, Lookers, ObjectKey, Observed, Outbound, SendFault,
    SendOutcome, Writers,
};

use crate::budget::Budget;
use crate::connector::address::AddressFilter;
use crate::connector::{Clients, ConnectorFault};
use crate::credentials::{
    Base, BaseIdentity, Purpose, Role, Session, Sts, session_name, session_policy,
};
use crate::s3::{Bucket, Place};

use shelf::{Label, Shelf};

/// The smallest part that S3 takes, in bytes.
const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;

/// How stores are reached and how much they may use.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// Originals up to this size go in one PUT, larger ones in parts of it, in bytes. Less than
    /// 5 MiB counts as 5 MiB, which is S3's least.
    pub part_size_bytes: u64,
    /// What may be read and not yet sent at any time, over all transfers, in bytes.
    pub byte_budget: u64,
    /// Whether plain-http endpoints are taken: laboratories only.
    pub allow_http: bool,
    /// Private ranges that customers' endpoints may be in.
    pub allowed_private_ranges: Vec<IpNet>,
    /// Origin of STS; `None` means AWS's own for each destination's region.
    pub sts_endpoint: Option<String>,
    /// A PEM file of CAs that are trusted besides the system's.
    pub extra_ca_file: Option<PathBuf>,
    /// Repetitions of one request at most, where repeating is safe.
    pub max_retries: u32,
    /// Built stores, with their sessions, that are kept.
    pub stores_max: usize,
    /// Where our own identity comes from.
    pub base_identity: BaseIdentity,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            part_size_bytes: 16 * 1024 * 1024,
            byte_budget: 128 * 1024 * 1024,
            allow_http: false,
            allowed_private_ranges: Vec::new(),
            sts_endpoint: None,
            extra_ca_file: None,
            max_retries: 2,
            stores_max: 512,
            base_identity: BaseIdentity::Chain,
        }
    }
}

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
    clients: Clients,
    sts: Arc<Sts>,
    budget: Budget,
    shelf: Shelf,
}

impl Stores {
    /// Sets the clients up. Nothing is connected to yet.
    ///
    /// # Errors
    /// The CA file cannot be used, or TLS not be set up.
    pub fn new(settings: StoreSettings, clock: Arc<dyn Clock>) -> Result<Self, ConnectorFault> {
        let filter = AddressFilter::new(settings.allowed_private_ranges.clone());
        let extra_ca_file = settings.extra_ca_file.as_deref();
        let clients = Clients::new(filter, settings.allow_http, extra_ca_file)?;
        let base = Base::new(settings.base_identity.clone(), Arc::clone(&clock));
        let base = Session::new(Box::new(base), Arc::clone(&clock));
        let sts = Sts::new(
            clients.operator.clone(),
            settings.sts_endpoint.clone(),
            Arc::new(base),
            Arc::clone(&clock),
        );
        let shared = Shared {
            budget: Budget::new(settings.byte_budget),
            shelf: Shelf::new(settings.stores_max),
            settings,
            clock,
            clients,
            sts: Arc::new(sts),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The power to create copies. Its sessions cannot read or delete.
    #[must_use]
    pub fn writers(&self) -> S3Writers {
        S3Writers {
            shared: Arc::clone(&self.shared),
        }
    }

    /// The power to look at copies. Its sessions cannot write or delete.
    #[must_use]
    pub fn lookers(&self) -> S3Lookers {
        S3Lookers {
            shared: Arc::clone(&self.shared),
        }
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
    ) -> Result<Arc<Bucket>, Fault> {
        let prefix = checked::prefix(destination, account, key)?;
        let label = Label::new(destination, account, purpose);
        self.shelf.get(&label, destination, || {
            let s3 = &destination.s3;
            let place = Place::new(s3, self.settings.allow_http)?;
            let session = self.session(destination, account, purpose, &prefix);
            let client = self.clients.customer.clone();
            let retries = self.settings.max_retries;
            Ok(Bucket::new(place, session, client, retries))
        })
    }

    fn session(
        &self,
        destination: &Destination,
        account: &AccountId,
        purpose: Purpose,
        prefix: &str,
    ) -> Arc<Session> {
        let s3 = &destination.s3;
        let Some(arn) = &s3.role_arn else {
            return self.sts.base();
        };
        let role = Role {
            sts: Arc::clone(&self.sts),
            region: s3.region.clone(),
            arn: arn.clone(),
            external_id: destination.external_id.clone(),
            policy: session_policy(s3, arn, purpose, prefix),
            session_name: session_name(purpose, account),
        };
        Arc::new(Session::new(Box::new(role), Arc::clone(&self.clock)))
    }
}

/// Creates copies.
#[derive(Debug, Clone)]
pub struct S3Writers {
    shared: Arc<Shared>,
}

#[async_trait]
impl Writers for S3Writers {
    async fn send(
        &self,
        destination: &Destination,
        outbound: Outbound<'_>,
    ) -> Result<SendOutcome, SendFault> {
        let Outbound { account, key, .. } = outbound;
        let shared = &self.shared;
        let bucket = shared.bucket(destination, account, key, Purpose::Write)?;
        checked::size(&outbound)?;
        if let Some(upload_id) = outbound.abandoned_upload {
            bucket.abort(key.as_str(), upload_id).await?;
        }
        let part = shared.settings.part_size_bytes.max(PART_BYTES_MIN);
        if outbound.size_bytes <= part {
            bucket.send_whole(&outbound, &shared.budget).await
        } else {
            // Boxed: the many states of a multipart upload would weigh on every small one.
            Box::pin(bucket.send_parts(&outbound, &shared.budget, part)).await
        }
    }
}

/// Looks at copies.
#[derive(Debug, Clone)]
pub struct S3Lookers {
    shared: Arc<Shared>,
}

#[async_trait]
impl Lookers for S3Lookers {
    async fn look(
        &self,
        destination: &Destination,
        account: &AccountId,
        key: &ObjectKey,
    ) -> Result<Look, Fault> {
        let bucket = self
            .shared
            .bucket(destination, account, key, Purpose::Look)?;
        bucket.look(key.as_str()).await
    }

    async fn read_back(
        &self,
        destination: &Destination,
        account: &AccountId,
        key: &ObjectKey,
        observed: Observed,
    ) -> Result<Observed, Fault> {
        let bucket = self
            .shared
            .bucket(destination, account, key, Purpose::Look)?;
        let digests = bucket.read_back(key.as_str(), &observed).await?;
        Ok(Observed {
            read_back: Some(digests),
            ..observed
        })
    }
}
