//! Where findings are collected: one for each capability in the end, whatever happened.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use recording::{Capability, Fault, Finding, Need, Permission, Verdict};

/// The findings so far.
#[derive(Debug, Default)]
pub(super) struct Book {
    findings: Mutex<BTreeMap<Capability, Finding>>,
}

impl Book {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// It is there.
    pub(super) fn passed(&self, capability: Capability, detail: impl Into<String>) {
        self.note(capability, Verdict::Passed, detail);
    }

    /// It does not apply here.
    pub(super) fn not_applicable(&self, capability: Capability, detail: impl Into<String>) {
        self.note(capability, Verdict::NotApplicable, detail);
    }

    /// It could not be tried.
    pub(super) fn skipped(&self, capability: Capability, detail: impl Into<String>) {
        self.note(capability, Verdict::Skipped, detail);
    }

    /// It works, and somebody should look at it.
    pub(super) fn warned(
        &self,
        capability: Capability,
        detail: impl Into<String>,
        remedy: Option<String>,
    ) {
        let finding = finding(capability, Verdict::Warned, detail.into());
        self.write(Finding { remedy, ..finding });
    }

    /// It is not there.
    pub(super) fn failed(
        &self,
        capability: Capability,
        fault: &Fault,
        missing: &[Permission],
        remedy: impl Into<String>,
    ) {
        let finding = finding(capability, Verdict::Failed, fault.detail.clone());
        self.write(Finding {
            reason: Some(fault.reason),
            missing: missing.to_vec(),
            remedy: Some(remedy.into()),
            ..finding
        });
    }

    /// A finding that is made elsewhere.
    pub(super) fn write(&self, finding: Finding) {
        let mut findings = self.lock();
        let known = findings.get(&finding.capability);
        // What was seen to be wrong is not mended by what works in spite of it, and what was wrong
        // first is why the rest is.
        let stands = |known: &Finding| match known.verdict {
            Verdict::Failed => true,
            Verdict::Passed | Verdict::NotApplicable | Verdict::Skipped | Verdict::Warned => {
                known.verdict > finding.verdict
            }
        };
        if !known.is_some_and(stands) {
            findings.insert(finding.capability, finding);
        }
    }

    /// Says more about what was found.
    pub(super) fn add(&self, capability: Capability, more: &str) {
        if let Some(finding) = self.lock().get_mut(&capability) {
            finding.detail.push_str("; ");
            finding.detail.push_str(more);
        }
    }

    /// Whether it was found to be there, if it was tried.
    pub(super) fn is_good(&self, capability: Capability) -> bool {
        let findings = self.lock();
        let verdict = findings.get(&capability).map(|finding| finding.verdict);
        matches!(verdict, Some(Verdict::Passed | Verdict::Warned))
    }

    /// Whether it failed.
    pub(super) fn has_failed(&self, capability: Capability) -> bool {
        let findings = self.lock();
        let verdict = findings.get(&capability).map(|finding| finding.verdict);
        verdict == Some(Verdict::Failed)
    }

    /// The time is over: the first thing that storing needs and nobody saw counts as failed.
    pub(super) fn ran_out(&self, fault: &Fault) {
        let unseen = |capability: &&Capability| {
            capability.need() == Need::Storing && !self.lock().contains_key(*capability)
        };
        if let Some(capability) = Capability::ALL.iter().find(unseen) {
            let remedy = "see that the endpoint answers in time, then check again";
            self.failed(*capability, fault, &[], remedy);
        }
    }

    /// Every finding, in the order of the capabilities. What was not tried says because of what.
    pub(super) fn close(&self) -> Vec<Finding> {
        let findings = self.lock();
        let mut because: Option<Capability> = None;
        let mut closed = Vec::with_capacity(Capability::ALL.len());
        let first = findings.values().find(|it| it.verdict == Verdict::Failed);
        let first = first.map(|finding| finding.capability);
        for capability in Capability::ALL {
            let finding = match findings.get(capability) {
                Some(finding) => finding.clone(),
                None => {
                    let detail = match because.or(first) {
                        Some(failed) => format!("not tried, because `{failed}` failed"),
                        None => "not tried".to_owned(),
                    };
                    finding(*capability, Verdict::Skipped, detail)
                }
            };
            if finding.verdict == Verdict::Failed {
                because = Some(*capability);
            }
            closed.push(finding);
        }
        closed
    }

    fn note(&self, capability: Capability, verdict: Verdict, detail: impl Into<String>) {
        self.write(finding(capability, verdict, detail.into()));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Capability, Finding>> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn finding(capability: Capability, verdict: Verdict, detail: String) -> Finding {
    Finding {
        capability,
        verdict,
        detail,
        reason: None,
        missing: Vec::new(),
        remedy: None,
    }
}

#[cfg(test)]
mod tests {
    use recording::ParkReason;

    use super::*;

    #[test]
    fn every_capability_has_a_finding_and_what_was_not_tried_says_because_of_what() {
        let book = Book::new();
        book.passed(Capability::Reach, "reached");
        let fault = Fault::new(ParkReason::AccessDenied, "put: 403");
        book.failed(
            Capability::Put,
            &fault,
            &[Permission::PutObject],
            "allow it",
        );
        // A worse finding stays.
        book.passed(Capability::Put, "and yet");
        let findings = book.close();
        assert_eq!(findings.len(), Capability::ALL.len());
        let of = |capability| {
            let mut found = findings.iter();
            found.find(|it| it.capability == capability).unwrap()
        };
        assert_eq!(of(Capability::Put).verdict, Verdict::Failed);
        assert_eq!(of(Capability::Put).reason, Some(ParkReason::AccessDenied));
        assert_eq!(of(Capability::Look).verdict, Verdict::Skipped);
        assert!(of(Capability::Look).detail.contains("`put`"));
    }

    #[test]
    fn a_check_that_ran_out_of_time_is_not_usable() {
        let book = Book::new();
        book.passed(Capability::Reach, "reached");
        let fault = Fault::new(ParkReason::DestinationUnreachable, "not finished");
        book.ran_out(&fault);
        let report = recording::CheckReport {
            at: chrono::DateTime::UNIX_EPOCH,
            findings: book.close(),
        };
        assert!(!report.is_usable());
        assert_eq!(
            report.of(Capability::Clock).unwrap().verdict,
            Verdict::Failed
        );
    }
}
