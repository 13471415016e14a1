//! Sessions: one renewal for many askers, stale ones served, denials remembered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use object_store::aws::AwsCredential;
use recording::{Clock, Fault, ParkReason};
use tokio::sync::Notify;

use super::{Issued, Session, Source};

#[derive(Debug, Default)]
struct At(AtomicU64);

impl At {
    fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for At {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }
    fn boot(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

#[derive(Debug, Default)]
struct Office {
    issued: AtomicU32,
    failing: std::sync::Mutex<Option<ParkReason>>,
    /// Where an answer waits, if it shall.
    gate: Option<Notify>,
}

#[derive(Debug)]
struct Desk(Arc<Office>, Arc<At>);

#[async_trait]
impl Source for Desk {
    async fn issue(&self) -> Result<Issued, Fault> {
        let asked_at = self.1.boot();
        let number = self.0.issued.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &self.0.gate {
            gate.notified().await;
        }
        if let Some(reason) = *self.0.failing.lock().unwrap() {
            return Err(Fault::new(reason, "no"));
        }
        let credential = AwsCredential {
            key_id: format!("key-{number}"),
            secret_key: String::new(),
            token: None,
        };
        Ok(Issued::new(credential, asked_at, Duration::from_secs(3600)))
    }
}

fn desk(office: Office) -> (Arc<Session>, Arc<Office>, Arc<At>) {
    let office = Arc::new(office);
    let clock = Arc::new(At::default());
    let source = Box::new(Desk(Arc::clone(&office), Arc::clone(&clock)));
    let shared: Arc<dyn Clock> = Arc::<At>::clone(&clock);
    (Arc::new(Session::new(source, shared)), office, clock)
}

async fn key(session: &Session) -> String {
    session.issued().await.unwrap().credential.key_id.clone()
}

#[tokio::test]
async fn one_call_serves_until_three_quarters_of_its_life() {
    let (session, office, clock) = desk(Office::default());
    assert_eq!(key(&session).await, "key-0");
    // Three quarters of an hour, less a tenth of it at most.
    clock.set(2339);
    assert_eq!(key(&session).await, "key-0");
    clock.set(2700);
    assert_eq!(key(&session).await, "key-1");
    assert_eq!(office.issued.load(Ordering::SeqCst), 2);
}

#[test]
fn sessions_that_began_together_are_not_renewed_together() {
    let life = Duration::from_secs(3600);
    let soft = (0..100).map(|_| Issued::new((), Duration::ZERO, life).soft);
    let soft: Vec<Duration> = soft.collect();
    let (first, last) = (soft.iter().min().unwrap(), soft.iter().max().unwrap());
    assert!(*first >= Duration::from_secs(2340) && *last <= Duration::from_secs(2700));
    assert!(
        *last - *first > Duration::from_secs(60),
        "{first:?} {last:?}"
    );
}

#[tokio::test]
async fn what_must_last_is_signed_with_a_session_that_does_or_with_a_new_one() {
    let (session, office, clock) = desk(Office::default());
    let lasting = async |seconds| {
        let (issued, left) = session.lasting(Duration::from_secs(seconds)).await.unwrap();
        (issued.credential.key_id.clone(), left.as_secs())
    };
    assert_eq!(lasting(300).await, ("key-0".to_owned(), 3600));
    // More than it can have is not a reason to renew it for every asker.
    assert_eq!(lasting(7 * 24 * 3600).await, ("key-0".to_owned(), 3600));
    clock.set(1801);
    assert_eq!(lasting(1700).await, ("key-0".to_owned(), 1799));
    assert_eq!(lasting(1800).await, ("key-1".to_owned(), 3600));
    // Where it cannot be renewed, it serves for what it has.
    clock.set(1801 + 2000);
    *office.failing.lock().unwrap() = Some(ParkReason::RoleNotAssumable);
    assert_eq!(lasting(1700).await, ("key-1".to_owned(), 1600));
    let asked = office.issued.load(Ordering::SeqCst);
    assert_eq!(lasting(1700).await, ("key-1".to_owned(), 1600));
    assert_eq!(
        office.issued.load(Ordering::SeqCst),
        asked,
        "asked again too soon"
    );
}

#[tokio::test]
async fn a_failed_early_renewal_leaves_the_old_one_in_use_until_the_margin() {
    let (session, office, clock) = desk(Office::default());
    assert_eq!(key(&session).await, "key-0");
    *office.failing.lock().unwrap() = Some(ParkReason::DestinationUnreachable);
    clock.set(2700);
    assert_eq!(key(&session).await, "key-0");
    assert_eq!(key(&session).await, "key-0");
    assert_eq!(
        office.issued.load(Ordering::SeqCst),
        2,
        "tried again too soon"
    );
    clock.set(2731);
    assert_eq!(key(&session).await, "key-0");
    assert_eq!(office.issued.load(Ordering::SeqCst), 3);
    clock.set(3300);
    assert!(session.issued().await.is_err());
}

#[tokio::test]
async fn many_askers_cost_one_call_and_nobody_waits_for_an_early_renewal() {
    let office = Office {
        gate: Some(Notify::new()),
        ..Office::default()
    };
    let (session, office, clock) = desk(office);
    let open = || office.gate.as_ref().unwrap().notify_one();
    open();
    assert_eq!(key(&session).await, "key-0");
    clock.set(2700);
    // The first asker renews and waits; the others go on with what there is.
    let renewing = Arc::clone(&session);
    let mut first = Box::pin(async move { key(&renewing).await });
    assert!(futures::poll!(&mut first).is_pending());
    for _ in 0..10 {
        assert_eq!(key(&session).await, "key-0");
    }
    open();
    assert_eq!(first.await, "key-1");
    // Without any credential all wait for one call.
    let issued = session.issued().await.unwrap();
    session.invalidate(&issued);
    let askers: Vec<_> = (0..10).map(|_| key(&session)).collect();
    let all = futures::future::join_all(askers);
    let (keys, ()) = tokio::join!(all, async { open() });
    assert!(keys.iter().all(|key| key == "key-2"), "{keys:?}");
    assert_eq!(office.issued.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_refusal_is_remembered_for_a_while_and_an_outage_is_not() {
    let (session, office, clock) = desk(Office::default());
    *office.failing.lock().unwrap() = Some(ParkReason::DestinationUnreachable);
    assert!(session.issued().await.is_err());
    assert!(session.issued().await.is_err());
    assert_eq!(office.issued.load(Ordering::SeqCst), 2);
    *office.failing.lock().unwrap() = Some(ParkReason::RoleNotAssumable);
    assert!(session.issued().await.is_err());
    assert!(session.issued().await.is_err());
    assert_eq!(office.issued.load(Ordering::SeqCst), 3);
    *office.failing.lock().unwrap() = None;
    clock.set(29);
    assert!(session.issued().await.is_err());
    clock.set(30);
    assert_eq!(key(&session).await, "key-3");
}

#[tokio::test]
async fn only_the_current_credential_can_be_given_up() {
    let (session, office, _clock) = desk(Office::default());
    let old = session.issued().await.unwrap();
    session.invalidate(&old);
    assert_eq!(key(&session).await, "key-1");
    session.invalidate(&old);
    assert_eq!(key(&session).await, "key-1");
    assert_eq!(office.issued.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn who_waited_for_an_attempt_that_failed_shares_its_outcome_and_who_comes_later_asks() {
    let office = Office {
        gate: Some(Notify::new()),
        ..Office::default()
    };
    let (session, office, _clock) = desk(office);
    let open = || office.gate.as_ref().unwrap().notify_one();
    let asked = || office.issued.load(Ordering::SeqCst);
    *office.failing.lock().unwrap() = Some(ParkReason::DestinationUnreachable);
    let askers: Vec<_> = (0..20).map(|_| session.issued()).collect();
    let all = futures::future::join_all(askers);
    let (all, ()) = tokio::join!(all, async { open() });
    assert!(all.iter().all(Result::is_err));
    assert_eq!(asked(), 1, "each asked by himself");
    // A blip is over for whoever comes after it.
    *office.failing.lock().unwrap() = None;
    open();
    assert_eq!(key(&session).await, "key-1");
}
