//! A bucket that does not answer, and another account's that does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use recording::{
    AccountId, Clock, CopyOf, Destination, Fault, Leftovers, OpenUpload, Outgoing, ParkReason,
    PublishFault, Publisher, Queue, Remains, Removable, Removal, Removers, Retained,
    RetentionLedger, Unsigned,
};
use roles::{Clocks, Retention, RetentionPorts, Tuning};
use telemetry::Metrics;

use super::retention::{now, released};
use super::world::{World, announced_of};

/// The machine's.
#[derive(Debug)]
struct Machine(Instant);

impl Clock for Machine {
    fn now(&self) -> DateTime<Utc> {
        now()
    }
    fn boot(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Globex's bucket has nothing left; acme's takes every request and says nothing; and whoever asks
/// initech's gives up before we do.
struct HalfSilent;

fn gave_up() -> Fault {
    Fault::new(ParkReason::DestinationUnreachable, "no answer in time")
}

#[async_trait]
impl Removers for HalfSilent {
    async fn remove(&self, removable: &Removable) -> Result<Removal, Fault> {
        match removable.copy().key.account_id.as_str() {
            "acme" => std::future::pending().await,
            "initech" => {
                tokio::time::sleep(Duration::from_secs(12)).await;
                Err(gave_up())
            }
            _ => Ok(Removal::Asked(1)),
        }
    }

    async fn remains(&self, copy: &CopyOf) -> Result<Remains, Fault> {
        match copy.key.account_id.as_str() {
            "acme" => std::future::pending().await,
            "initech" => Err(gave_up()),
            _ => Ok(Remains::default()),
        }
    }
}

#[async_trait]
impl Leftovers for HalfSilent {
    async fn open_uploads(
        &self,
        _destination: &Destination,
        _account: &AccountId,
    ) -> Result<Vec<OpenUpload>, Fault> {
        Ok(Vec::new())
    }

    async fn abort(
        &self,
        _destination: &Destination,
        _account: &AccountId,
        _upload: &OpenUpload,
    ) -> Result<(), Fault> {
        Ok(())
    }
}

#[async_trait]
impl Publisher for HalfSilent {
    async fn publish(&self, _event: Outgoing) -> Result<(), PublishFault> {
        Ok(())
    }

    fn is_live(&self) -> bool {
        true
    }

    async fn ready(&self, _queue: Queue) -> Result<u32, PublishFault> {
        Ok(0)
    }
}

#[tokio::test]
async fn a_bucket_that_does_not_answer_is_noted_and_put_off_and_keeps_nobody_else_waiting() {
    let world = World::settled().await;
    for account in ["globex", "initech"] {
        world.account(account).await;
        world
            .destination(account, &format!("{account}-recordings"))
            .await;
    }
    for account in ["acme", "globex", "initech"] {
        for n in 0..16 {
            released(&world, &announced_of(account, &format!("rec-{n}"))).await;
        }
    }
    world.sql("update retention_pace set next_at = now()").await;
    let ports = RetentionPorts {
        ledger: Arc::new(world.another(|_| {})),
        removers: Arc::new(HalfSilent),
        leftovers: Arc::new(HalfSilent),
        publisher: Arc::new(HalfSilent),
        signer: Arc::new(Unsigned),
        clock: Arc::new(Machine(Instant::now())),
        metrics: Metrics::new().unwrap(),
    };
    let retention = Retention::new(ports, Tuning::production());
    retention.sweep(&mut Clocks::default()).await.unwrap();
    let gone = "select count(*) from recordings where account_id = 'globex' and state = 'expired'";
    assert_eq!(world.sql(gone).await, "16");
    // Those that were tried are told of and wait; an attempt is counted for no other.
    let reading = world.catalog.retention_reading().await.unwrap();
    assert_eq!(reading.retained, [(Retained::Unclear, 8)]);
    let not_begun = "select count(*) from recordings \
         where account_id <> 'globex' and expiry_attempts = 0 and expiry_began_at is null \
           and lease_token is null and expiry_next_at <= now()";
    assert_eq!(world.sql(not_begun).await, "24");
    let put_off = "select string_agg(account_id, ' ' order by account_id) from retention_pace \
         where next_at > now() + interval '30 seconds'";
    assert!(world.sql(put_off).await.ends_with("acme initech"));
    let turn = world.catalog.begin_expiries(16, 16).await.unwrap();
    assert!(turn.begun.is_empty());
}
