//! Checks of destinations: as far as the simulation goes, whether the bucket denies.

use async_trait::async_trait;
use recording::{
    AccountId, Capability, CheckReport, Checker, Destination, Finding, ParkReason, Verdict,
};

use super::bucket_of;
use crate::sim::call::Call;
use crate::sim::side::Side;
use crate::sim::world::wall_at;

/// One process's checks.
pub(crate) struct CheckPort(pub(crate) Side);

#[async_trait]
impl Checker for CheckPort {
    async fn check(&self, destination: &Destination, _account: &AccountId) -> CheckReport {
        let bucket = bucket_of(destination);
        let about = bucket.clone();
        let asked = self
            .0
            .step(Call::Check, &about, move |world| {
                let now = world.now();
                let store = world.buckets.get(&bucket)?;
                (store.denied_until > now).then(|| store.refusal())
            })
            .await;
        let (capability, reason) = match asked {
            Ok(denied) => (Capability::Put, denied),
            Err(_) => (Capability::Reach, Some(ParkReason::DestinationUnreachable)),
        };
        let verdict = if reason.is_some() {
            Verdict::Failed
        } else {
            Verdict::Passed
        };
        let now = self.0.sim.world().now();
        CheckReport {
            at: wall_at(now),
            findings: vec![Finding {
                capability,
                verdict,
                detail: "asked".to_owned(),
                reason,
                missing: Vec::new(),
                remedy: None,
            }],
        }
    }
}
