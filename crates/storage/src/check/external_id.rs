//! Whether a role can be assumed by somebody who does not know its external id: the confused
//! deputy. Another customer of ours could then name the role as his own.

use recording::{Capability, Fault, ParkReason, Purpose, S3Bucket};
use uuid::Uuid;

use super::Subject;
use crate::credentials::{Role, Source, session_name, session_policy};

/// The condition that the role's trust policy lacks.
fn remedy(subject: Subject<'_>) -> String {
    let id = subject.destination.external_id.as_deref();
    let id = id.unwrap_or("the account's external id");
    format!(
        "add to the statement of the role's trust policy that allows sts:AssumeRole to us:\n\
         \"Condition\":{{\"StringEquals\":{{\"sts:ExternalId\":\"{id}\"}}}}"
    )
}

/// Tries both without an external id and with a wrong one. The session would be the least powerful
/// one, and is thrown away. The same with the right one was granted a moment ago: a refusal is of
/// the id, and not of a role that is broken anyway.
pub(super) async fn check(subject: Subject<'_>, s3: &S3Bucket) {
    let wrong = format!("callferry-{}", Uuid::new_v4().simple());
    let tries = [
        (
            Capability::ExternalIdRequired,
            None,
            "without an external id",
        ),
        (
            Capability::ExternalIdExact,
            Some(wrong),
            "with another external id",
        ),
    ];
    for (capability, external_id, how) in tries {
        let folder = subject.folder();
        let policy = |arn: &str| session_policy(s3, arn, Purpose::Sweep, &folder);
        let name = session_name(Purpose::Sweep, subject.account);
        let role = subject.shared.role(subject.destination, s3, policy, name);
        let Some(role) = role else {
            let detail = "no role is assumed: our own identity writes there";
            subject.book.not_applicable(capability, detail);
            continue;
        };
        let asked = Role {
            external_id,
            ..role
        };
        judge(subject, capability, how, asked.issue().await.map(drop));
    }
}

fn judge(subject: Subject<'_>, capability: Capability, how: &str, asked: Result<(), Fault>) {
    let book = subject.book;
    match asked {
        Ok(()) => {
            let detail = format!("the role can be assumed {how}");
            let fault = Fault::new(ParkReason::DestinationUnsafe, detail);
            book.failed(capability, &fault, &[], remedy(subject));
        }
        // It differs from the request that was granted in nothing but the external id.
        Err(fault) if fault.reason == ParkReason::RoleNotAssumable => {
            book.passed(capability, format!("the role is refused {how}"));
        }
        Err(fault) => {
            let detail = format!("it cannot be told: {}", fault.detail);
            book.warned(capability, detail, Some("check again later".to_owned()));
        }
    }
}
