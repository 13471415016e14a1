//! An attempt at the moment of the connect: the destination is in the ledger already, whoever put
//! it there, and a process writes and looks.

use std::sync::Arc;

use recording::{
    AzureContainer, AzureIdentity, Destination, Fault, Lookers, NoMeter, Originals, ParkReason,
    Secret, SendFault, Store, object_key,
};
use storage::{StoreSettings, Stores};

use super::landing::Names;
use super::staged::{self, Staging, Wish, announced, clocks, destination, send};

/// Which cloud's endpoint it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    S3,
    Azure,
}

/// "canary" over and over, in base64: an account key of nobody's.
const KEY: &str = "Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5";

/// One process's stores and a staged original.
pub(crate) struct Process {
    pub(crate) stores: Stores,
    pub(crate) names: Arc<Names>,
    staging: Staging,
    revision: i64,
}

/// As in production: https only, no private address.
pub(crate) fn strict() -> StoreSettings {
    StoreSettings {
        allow_http: false,
        allowed_private_ranges: Vec::new(),
        sts_endpoint: None,
        ..staged::settings("")
    }
}

impl Process {
    pub(crate) fn new(settings: StoreSettings) -> Self {
        let names = Arc::<Names>::default();
        let lookup = Arc::clone(&names);
        let stores = Stores::with_resolver(settings, clocks(), Arc::new(NoMeter), lookup);
        Self {
            stores: stores.unwrap(),
            names,
            staging: Staging::new(),
            revision: 1000,
        }
    }

    /// A destination at this endpoint that needs no session.
    pub(crate) fn destination(&mut self, of: Of, endpoint: &str) -> Destination {
        let mut destination = destination(endpoint);
        self.revision += 1;
        destination.revision = self.revision;
        match of {
            Of::S3 => staged::s3(&mut destination).role_arn = None,
            Of::Azure => {
                destination.store = Store::Azure(AzureContainer {
                    storage_account: "acmecalls".to_owned(),
                    container: "calls".to_owned(),
                    endpoint: Some(endpoint.to_owned()),
                    prefix: String::new(),
                    identity: AzureIdentity::AccessKey {
                        access_key: Secret::new(KEY.to_owned()),
                    },
                });
            }
        }
        destination
    }

    /// What becomes of a write and of a look there.
    pub(crate) async fn attempt(&self, destination: &Destination) -> (Fault, Fault) {
        self.staging.put("rec.wav", b"x");
        let announced = announced("rec", 1);
        let original = self.staging.originals.open(&announced.original.path).await;
        let writers = self.stores.writers();
        let wish = Wish::default();
        let sent = send(
            &writers,
            destination,
            &announced,
            &*original.unwrap(),
            &wish,
        )
        .await;
        let Err(SendFault::Store(written)) = sent else {
            panic!("{destination:?}: {sent:?}");
        };
        let (key, account) = (object_key(&announced, destination), "acme".parse().unwrap());
        let lookers = self.stores.lookers();
        let looked = lookers.look(destination, &account, &key).await;
        (written, looked.unwrap_err())
    }
}

/// Whether a fault says that the endpoint itself is refused, for good.
pub(crate) fn is_refusal(fault: &Fault) -> bool {
    matches!(
        fault.reason,
        ParkReason::AddressRefused | ParkReason::DestinationRefused
    )
}
