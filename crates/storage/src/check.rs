//! Checks a destination by doing what the fleet does there, with the fleet's own sessions.

use std::sync::Arc;

use async_trait::async_trait;
use recording::{AccountId, Capability, CheckReport, Checker, Destination, Finding, Verdict};

use crate::stores::Shared;

/// Checks destinations.
#[derive(Debug, Clone)]
pub struct BucketChecker {
    shared: Arc<Shared>,
}

impl BucketChecker {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[async_trait]
impl Checker for BucketChecker {
    async fn check(&self, _: &Destination, _: &AccountId) -> CheckReport {
        let findings = Capability::ALL.iter().map(|capability| Finding {
            capability: *capability,
            verdict: Verdict::Skipped,
            detail: "it is not tried yet".to_owned(),
            reason: None,
            missing: Vec::new(),
            remedy: None,
        });
        CheckReport {
            at: self.shared.clock.now(),
            findings: findings.collect(),
        }
    }
}
