//! Secrets stay where they belong, and every request is counted.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use recording::{AzureIdentity, Clock, Cloud, Meter, Operation, RequestResult, Secret, StoreCode};
use storage::Stores;
use tracing_subscriber::fmt::MakeWriter;

use super::setting::{CONTAINER, PART, STORAGE_ACCOUNT, Setting, principal, sent, settings};
use super::staged::{Clocks, noise, unclear};
use super::tap::{Act, What};

/// All that is logged.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Heard {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_secret_is_logged_shown_or_put_into_a_fault() {
    let heard = Heard::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(heard.clone())
        .finish();
    let listening = tracing::subscriber::set_default(subscriber);
    let Some(mut it) = Setting::start("azure-secrets").await else {
        return;
    };
    let key = it.azurite.key(STORAGE_ACCOUNT).to_owned();
    let end = Clocks.now() + chrono::TimeDelta::hours(1);
    let sas = it.azurite.sas(STORAGE_ACCOUNT, CONTAINER, "rcw", end);
    let (_, signature) = sas.rsplit_once("sig=").unwrap();
    let given = AzureIdentity::Sas {
        sas_token: Secret::new(sas.clone()),
    };
    let secret = "canary-of-the-application";
    let identities = [
        it.destination.store.clone(),
        with(&it, given),
        with(&it, principal("t", "c", secret)),
    ];
    let mut shown = String::new();
    for (number, store) in identities.into_iter().enumerate() {
        it.destination.revision += 1;
        it.destination.store = store;
        shown.push_str(&format!("{:?} {:?}", it.destination, it.stores));
        shown.push_str(&serde_json::to_string(&it.destination.store).unwrap());
        for (what, act) in [
            (What::Put, Act::Lose),
            (What::Put, Act::Answer(500, "InternalError")),
            (What::Block, Act::Answer(403, "AuthenticationFailed")),
            (What::Commit, Act::Lose),
            (What::Head, Act::Answer(403, "AuthorizationFailure")),
        ] {
            it.tap.arm(what, act, (0, 1));
            for size in [9, PART + 9] {
                let recording = format!("rec-{number}-{size}");
                let outcome = it.send(&recording, &noise(size, 1)).await;
                shown.push_str(&format!("{outcome:?}"));
                shown.push_str(&format!("{:?}", it.look(&recording).await));
            }
            it.tap.disarm();
        }
        shown.push_str(&format!("{:?}", it.stores));
    }
    drop(listening);
    let minted = it.tap.seen();
    let minted = minted
        .iter()
        .filter_map(|(_, url, _)| url.split_once("sig="));
    let minted: Vec<&str> = minted
        .map(|(_, rest)| rest.split('&').next().unwrap())
        .collect();
    assert!(minted.len() > 10);
    let logged = String::from_utf8(heard.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("request is repeated"), "the log was heard");
    for text in [&logged, &shown] {
        for canary in [key.as_str(), signature, secret, "prose-canary"] {
            assert!(!text.contains(canary), "{canary} was let out");
        }
        for canary in &minted {
            assert!(!text.contains(canary), "a signature was let out");
        }
    }
}

fn with(it: &Setting, identity: AzureIdentity) -> recording::Store {
    let mut destination = it.destination.clone();
    super::setting::azure(&mut destination).identity = identity;
    destination.store
}

/// Counts by cloud, operation and result.
#[derive(Debug, Default)]
struct Counts {
    ended: Mutex<BTreeMap<(Cloud, Operation, RequestResult), u64>>,
    codes: Mutex<BTreeMap<(Operation, &'static str), u64>>,
}

impl Counts {
    fn of(&self, operation: Operation, result: RequestResult) -> u64 {
        let counts = self.ended.lock().unwrap();
        let count = counts.get(&(Cloud::Azure, operation, result));
        count.copied().unwrap_or_default()
    }
}

impl Meter for Counts {
    fn store_request(
        &self,
        cloud: Cloud,
        operation: Operation,
        result: RequestResult,
        _: Duration,
    ) {
        let mut counts = self.ended.lock().unwrap();
        *counts.entry((cloud, operation, result)).or_default() += 1;
    }
    fn store_refused(&self, _: Cloud, operation: Operation, code: StoreCode) {
        let mut codes = self.codes.lock().unwrap();
        *codes.entry((operation, code.as_str())).or_default() += 1;
    }
    fn statement(&self, _: &'static str, _: Duration) {}
    fn ledger_failed(&self, _: bool) {}
}

#[tokio::test]
async fn every_request_is_counted_by_what_it_did_and_how_it_ended() {
    let Some(mut it) = Setting::start("azure-counts").await else {
        return;
    };
    let counts = Arc::new(Counts::default());
    let clock: Arc<dyn Clock> = Arc::new(Clocks);
    let meter = Arc::clone(&counts);
    it.stores = Stores::new(settings(), clock, meter).unwrap();
    it.tap
        .arm(What::Put, Act::Answer(503, "ServerBusy"), (0, 1));
    sent(it.send("rec", b"x").await);
    unclear(it.send("rec", b"x").await);
    it.tap.arm(What::Put, Act::Lose, (0, 1));
    unclear(it.send("lost", b"x").await);
    sent(it.send("large", &noise(PART + 9, 1)).await);
    it.look("large").await.unwrap();
    it.look("absent").await.unwrap();
    let table = [
        (Operation::Put, RequestResult::Throttled, 1),
        (Operation::Put, RequestResult::Ok, 1),
        // The repetition of the first, and the second.
        (Operation::Put, RequestResult::Taken, 2),
        (Operation::Put, RequestResult::Refused, 1),
        (Operation::Put, RequestResult::Lost, 1),
        (Operation::PutPart, RequestResult::Ok, 2),
        (Operation::Complete, RequestResult::Ok, 1),
        (Operation::Look, RequestResult::Ok, 1),
        (Operation::Look, RequestResult::Absent, 1),
        (Operation::List, RequestResult::Ok, 1),
    ];
    for (operation, result, count) in table {
        assert_eq!(
            counts.of(operation, result),
            count,
            "{operation:?} {result:?}"
        );
    }
    let codes = counts.codes.lock().unwrap();
    for (operation, code, count) in [
        (Operation::Put, "server_busy", 1),
        (Operation::Look, "blob_not_found", 1),
    ] {
        let counted = codes.get(&(operation, code));
        assert_eq!(counted, Some(&count), "{operation:?} {code}: {codes:?}");
    }
    let total: u64 = counts.ended.lock().unwrap().values().sum();
    assert_eq!(total, u64::try_from(it.tap.seen().len()).unwrap());
}
