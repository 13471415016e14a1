//! What the tests start from: a customer's container in Azurite, reached directly or over a tap,
//! staging with an account's files, and the stores of one process.

use std::sync::Arc;

use chrono::TimeDelta;
use recording::{
    AzureContainer, AzureIdentity, CheckedWrite, Clock, Destination, DestinationOwner, Digests,
    Expected, Fault, FirstLook, Look, Lookers, Mismatch, NoMeter, ObjectKey, Originals, Secret,
    SendFault, SendOutcome, Store, Verified, object_key,
};
use storage::{StoreSettings, Stores};

use callferry_tests::scratch::Scratch;
use callferry_tests::servers::Azurite;
use callferry_tests::servers::azurite::Wire;

use super::staged::{self, Clocks, Staging, Wish, announced};
use super::tap::Tap;

pub(crate) const STORAGE_ACCOUNT: &str = "acmeblobs";
pub(crate) const CONTAINER: &str = "calls";
/// The smallest part that is used.
pub(crate) const PART: usize = 5 * 1024 * 1024;

/// A customer with a container, and the stores of one process.
pub(crate) struct Setting {
    pub(crate) azurite: Azurite,
    pub(crate) tap: Tap,
    pub(crate) staging: Staging,
    pub(crate) stores: Stores,
    pub(crate) destination: Destination,
    /// After the server that lives in it.
    pub(crate) _scratch: Scratch,
}

pub(crate) fn settings() -> StoreSettings {
    StoreSettings {
        part_size_bytes: u64::try_from(PART).unwrap(),
        allow_http: true,
        allowed_private_ranges: vec!["127.0.0.0/8".parse().unwrap()],
        ..StoreSettings::default()
    }
}

pub(crate) fn stores(settings: StoreSettings) -> Stores {
    let clock: Arc<dyn Clock> = Arc::new(Clocks);
    Stores::new(settings, clock, Arc::new(NoMeter)).unwrap()
}

pub(crate) fn access_key(key: &str) -> AzureIdentity {
    AzureIdentity::AccessKey {
        access_key: Secret::new(key.to_owned()),
    }
}

pub(crate) fn principal(tenant: &str, client: &str, secret: &str) -> AzureIdentity {
    AzureIdentity::ServicePrincipal {
        tenant_id: tenant.to_owned(),
        client_id: client.to_owned(),
        client_secret: Secret::new(secret.to_owned()),
    }
}

impl Setting {
    /// Over plain http with the account's key and a tap. `None` where Azurite cannot be had.
    pub(crate) async fn start(name: &str) -> Option<Self> {
        let scratch = Scratch::new(name).unwrap();
        let azurite = Azurite::start(scratch.path(), Wire::Http, &[STORAGE_ACCOUNT]).await;
        let azurite = azurite.unwrap()?;
        let created = azurite.create_container(STORAGE_ACCOUNT, CONTAINER).await;
        created.unwrap();
        let tap = Tap::start(azurite.address()).await;
        let identity = access_key(azurite.key(STORAGE_ACCOUNT));
        Some(Self {
            staging: Staging::new(),
            stores: stores(settings()),
            destination: destination(&tap.endpoint(STORAGE_ACCOUNT), identity),
            tap,
            azurite,
            _scratch: scratch,
        })
    }

    /// The customer's own signature, good for an hour from now or for less.
    pub(crate) fn sas(&self, permissions: &str, minutes: i64) -> AzureIdentity {
        let end = Clocks.now() + TimeDelta::minutes(minutes);
        let sas = self
            .azurite
            .sas(STORAGE_ACCOUNT, CONTAINER, permissions, end);
        AzureIdentity::Sas {
            sas_token: Secret::new(sas),
        }
    }

    /// Another revision of the destination with another identity.
    pub(crate) fn become_known_by(&mut self, identity: AzureIdentity) {
        self.destination.revision += 1;
        azure(&mut self.destination).identity = identity;
    }

    /// Another process.
    pub(crate) fn start_process_anew(&mut self) {
        self.stores = stores(settings());
    }

    pub(crate) fn key(&self, recording: &str) -> ObjectKey {
        object_key(&announced(recording, 0), &self.destination)
    }

    pub(crate) async fn send(
        &self,
        recording: &str,
        bytes: &[u8],
    ) -> Result<SendOutcome, SendFault> {
        self.send_as(recording, bytes, &Wish::default()).await
    }

    pub(crate) async fn send_as(
        &self,
        recording: &str,
        bytes: &[u8],
        wish: &Wish,
    ) -> Result<SendOutcome, SendFault> {
        self.staging.put(&format!("{recording}.wav"), bytes);
        self.send_staged(recording, bytes.len(), wish).await
    }

    /// Sends what is staged already.
    pub(crate) async fn send_staged(
        &self,
        recording: &str,
        size: usize,
        wish: &Wish,
    ) -> Result<SendOutcome, SendFault> {
        let announced = announced(recording, size);
        let opened = self.staging.originals.open(&announced.original.path).await;
        let original = opened.unwrap();
        if let Some(earlier) = &wish.earlier {
            *wish.uploads.known.lock().unwrap() = Some(earlier.clone());
        }
        let writers = self.stores.writers();
        staged::send(&writers, &self.destination, &announced, &*original, wish).await
    }

    pub(crate) async fn look(&self, recording: &str) -> Result<Look, Fault> {
        let account = "acme".parse().unwrap();
        let lookers = self.stores.lookers();
        let key = self.key(recording);
        lookers.look(&self.destination, &account, &key).await
    }

    /// Looks and compares with what was read, and with what the store said when it took it.
    pub(crate) async fn prove(
        &self,
        recording: &str,
        digests: Digests,
        sent: Option<CheckedWrite>,
    ) -> Result<Verified, Mismatch> {
        self.prove_as(recording, digests, (sent, None)).await
    }

    pub(crate) async fn prove_as(
        &self,
        recording: &str,
        digests: Digests,
        (sent, first_look): (Option<CheckedWrite>, Option<FirstLook>),
    ) -> Result<Verified, Mismatch> {
        let looked = self.look(recording).await;
        let Ok(Look::Present(observed)) = looked else {
            panic!("nothing to see of {recording}: {looked:?}");
        };
        let announced = announced(recording, usize::try_from(digests.size_bytes).unwrap());
        let expected = Expected {
            digests,
            sent,
            first_look,
        };
        expected.verify(&announced, observed)
    }

    /// Reads the copy back and compares.
    pub(crate) async fn prove_by_reading(
        &self,
        recording: &str,
        digests: Digests,
    ) -> Result<Verified, Mismatch> {
        let Ok(Look::Present(observed)) = self.look(recording).await else {
            panic!("nothing to see of {recording}");
        };
        let account = "acme".parse().unwrap();
        let (lookers, key) = (self.stores.lookers(), self.key(recording));
        let read = lookers.read_back(&self.destination, &account, &key, observed);
        let announced = announced(recording, usize::try_from(digests.size_bytes).unwrap());
        let expected = Expected {
            digests,
            sent: None,
            first_look: None,
        };
        expected.verify(&announced, read.await.unwrap())
    }

    /// What is really stored.
    pub(crate) async fn stored(&self, recording: &str) -> Option<Vec<u8>> {
        let key = self.key(recording);
        let read = self.azurite.read(STORAGE_ACCOUNT, CONTAINER, key.as_str());
        read.await.unwrap()
    }
}

pub(crate) fn azure(destination: &mut Destination) -> &mut AzureContainer {
    match &mut destination.store {
        Store::Azure(azure) => azure,
        Store::S3(_) => panic!("no container"),
    }
}

pub(crate) fn destination(endpoint: &str, identity: AzureIdentity) -> Destination {
    Destination {
        owner: DestinationOwner::Account("acme".parse().unwrap()),
        revision: 1,
        credential_revision: 1,
        store: Store::Azure(AzureContainer {
            storage_account: STORAGE_ACCOUNT.to_owned(),
            container: CONTAINER.to_owned(),
            endpoint: Some(endpoint.to_owned()),
            prefix: String::new(),
            identity,
        }),
        external_id: None,
        account_leads_key: false,
    }
}

pub(crate) fn sent(outcome: Result<SendOutcome, SendFault>) -> (Digests, Option<CheckedWrite>) {
    match outcome {
        Ok(SendOutcome::Sent(digests, checked)) => (digests, checked),
        other => panic!("not sent: {other:?}"),
    }
}
