//! What a check found, for people: the verdicts as a table, and below it what to do, in lines that
//! can be pasted as they are.

use recording::{CheckReport, Finding, Verdict};
use serde_json::json;

use crate::output::tabular;

/// A whole report.
pub(super) fn report(report: &CheckReport) -> String {
    let mut text = findings(&report.findings);
    text.push_str(&format!("\n{}\n", summary(report)));
    text
}

/// Findings, and what to do.
pub(super) fn findings(findings: &[Finding]) -> String {
    let rows: Vec<_> = findings.iter().map(row).collect();
    let mut text = tabular(&json!(rows), &["verdict", "check", "seen"], "No findings.");
    text.push('\n');
    let mut worst: Vec<_> = findings.iter().filter(|it| it.remedy.is_some()).collect();
    worst.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    if !worst.is_empty() {
        text.push_str("\nWhat to do:\n");
    }
    for finding in worst {
        let remedy = finding.remedy.as_deref().unwrap_or_default();
        let remedy = remedy.replace('\n', "\n    ");
        text.push_str(&format!("  {}:\n    {remedy}\n", finding.capability));
    }
    text
}

fn row(finding: &Finding) -> serde_json::Value {
    let verdict = match finding.verdict {
        Verdict::Failed => "FAILED",
        Verdict::Warned => "warned",
        Verdict::Passed | Verdict::NotApplicable | Verdict::Skipped => finding.verdict.as_str(),
    };
    let mut seen = finding.detail.clone();
    if !finding.missing.is_empty() {
        let missing: Vec<_> = finding.missing.iter().map(|it| it.action()).collect();
        seen.push_str(&format!("; missing: {}", missing.join(", ")));
    }
    json!({"verdict": verdict, "check": finding.capability.as_str(), "seen": seen})
}

fn summary(report: &CheckReport) -> String {
    let blocking = report.blocking().count();
    let concerns: Vec<_> = report.concerns().map(|it| it.capability.as_str()).collect();
    let looked = match concerns.is_empty() {
        true => String::new(),
        false => format!(" Somebody should look at: {}.", concerns.join(", ")),
    };
    match blocking {
        0 => format!("Usable: recordings can be stored there.{looked}"),
        _ => format!("NOT usable: {blocking} of what storing needs failed.{looked}"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use recording::{Capability, ParkReason, Permission};

    use super::*;

    fn finding(capability: Capability, verdict: Verdict, remedy: Option<&str>) -> Finding {
        Finding {
            capability,
            verdict,
            detail: "HeadObject: 403".to_owned(),
            reason: Some(ParkReason::AccessDenied),
            missing: vec![Permission::GetObject],
            remedy: remedy.map(ToOwned::to_owned),
        }
    }

    #[test]
    fn failures_stand_out_and_what_to_do_can_be_pasted() {
        let statement = "{\"Effect\":\"Allow\",\"Action\":[\"s3:GetObject\"]}";
        let report = CheckReport {
            at: DateTime::UNIX_EPOCH,
            findings: vec![
                finding(Capability::Look, Verdict::Failed, Some(statement)),
                finding(Capability::Versioning, Verdict::Warned, Some("look")),
                finding(Capability::Delete, Verdict::Skipped, None),
            ],
        };
        let text = super::report(&report);
        assert!(
            text.contains("FAILED") && text.contains("missing: s3:GetObject"),
            "{text}"
        );
        assert!(text.contains(&format!("\n    {statement}\n")), "{text}");
        let (failed, warned) = (text.find("  look:"), text.find("  versioning:"));
        assert!(failed < warned, "{text}");
        assert!(text.contains("NOT usable: 1 of"), "{text}");
    }
}
