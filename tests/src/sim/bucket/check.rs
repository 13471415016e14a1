//! Checks of destinations: as far as the simulation goes, whether the bucket denies, and whether
//! its role is open to strangers.

use async_trait::async_trait;
use recording::{
    AccountId, Capability, CheckReport, Checker, Destination, Finding, ParkReason, Verdict,
};

use super::{Bucket, bucket_of};
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
                let store = world.buckets.get(&bucket);
                let denies = store.filter(|store| store.denied_until > now);
                let open = store.filter(|store| store.role_open);
                (
                    denies.map(Bucket::refusal),
                    open.map(|_| ParkReason::DestinationUnsafe),
                )
            })
            .await;
        let findings = match asked {
            Ok((denied, open)) => vec![
                finding(Capability::ExternalIdRequired, open),
                finding(Capability::Put, denied),
            ],
            Err(_) => vec![finding(
                Capability::Reach,
                Some(ParkReason::DestinationUnreachable),
            )],
        };
        let now = self.0.sim.world().now();
        CheckReport {
            at: wall_at(now),
            findings,
        }
    }
}

fn finding(capability: Capability, reason: Option<ParkReason>) -> Finding {
    Finding {
        capability,
        verdict: if reason.is_some() {
            Verdict::Failed
        } else {
            Verdict::Passed
        },
        detail: "asked".to_owned(),
        reason,
        missing: Vec::new(),
        remedy: None,
    }
}
