//! A bucket that does not answer, and another account's that does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use recording::{
    AccountId, Clock, CopyOf, Destination, Fault, Leftovers, OpenUpload, Outgoing, PublishFault,
    Publisher, Queue, Remains, Removable, Removal, Removers, Retained, RetentionLedger, Unsigned,
};
use roles::{Clocks, Retention, RetentionPorts, Tuning};
use telemetry::Metrics;

use super::retention::{now, released};
use super::world::{World, announced, announced_of};

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

/// Globex's bucket has nothing left; acme's takes every request and says nothing.
struct HalfSilent;

#[async_trait]
impl Removers for HalfSilent {
    async fn remove(&self, removable: &Removable) -> Result<Removal, Fault> {
        match removable.copy().key.account_id.as_str() {
            "acme" => std::future::pending().await,
            _ => Ok(Removal::Asked(1)),
        }
    }

    async fn remains(&self, copy: &CopyOf) -> Result<Remains, Fault> {
        match copy.key.account_id.as_str() {
            "acme" => std::future::pending().await,
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
    world.account("globex").await;
    world.destination("globex", "globex-recordings").await;
    for n in 0..16 {
        released(&world, &announced(&format!("rec-{n}"))).await;
        released(&world, &announced_of("globex", &format!("rec-{n}"))).await;
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
    assert_eq!(reading.retained, [(Retained::Unclear, 4)]);
    let not_begun = "select count(*) from recordings \
         where account_id = 'acme' and expiry_attempts = 0 and expiry_began_at is null \
           and lease_token is null and expiry_next_at <= now()";
    assert_eq!(world.sql(not_begun).await, "12");
    let put_off = "select next_at > now() + interval '30 seconds' from retention_pace \
         where account_id = 'acme'";
    assert_eq!(world.sql(put_off).await, "t");
    let turn = world.catalog.begin_expiries(16, 16).await.unwrap();
    assert!(turn.begun.is_empty());
}
