//! The table of refusals.

use recording::{Class, Operation, ParkReason};

use super::{Answered, Meaning, Refusal};

fn refusal(status: u16, code: &str) -> Refusal {
    super::refusal(Answered {
        status,
        code: (!code.is_empty()).then(|| code.to_owned()),
        retry_after: None,
    })
}

#[test]
fn every_answer_means_what_the_table_says() {
    use Meaning::{Refused, Stale, Taken, Unknown};
    use ParkReason as Reason;
    let table = [
        (403, "AccessDenied", Refused(Reason::AccessDenied)),
        (403, "", Refused(Reason::AccessDenied)),
        (401, "", Refused(Reason::AccessDenied)),
        (404, "NoSuchBucket", Refused(Reason::BucketMissing)),
        (301, "PermanentRedirect", Refused(Reason::WrongRegion)),
        (301, "", Refused(Reason::WrongRegion)),
        (307, "", Refused(Reason::WrongRegion)),
        (
            400,
            "AuthorizationHeaderMalformed",
            Refused(Reason::WrongRegion),
        ),
        (
            400,
            "KMS.DisabledException",
            Refused(Reason::KmsKeyUnusable),
        ),
        (
            400,
            "KMS.NotFoundException",
            Refused(Reason::KmsKeyUnusable),
        ),
        (503, "SlowDown", Refused(Reason::Throttled)),
        (429, "", Refused(Reason::Throttled)),
        (
            503,
            "ServiceUnavailable",
            Refused(Reason::DestinationUnreachable),
        ),
        (503, "", Refused(Reason::DestinationUnreachable)),
        (
            400,
            "RequestTimeout",
            Refused(Reason::DestinationUnreachable),
        ),
        (
            403,
            "RequestTimeTooSkewed",
            Refused(Reason::DestinationUnreachable),
        ),
        (400, "BadDigest", Refused(Reason::OutcomeUnknown)),
        (404, "NoSuchUpload", Refused(Reason::OutcomeUnknown)),
        (501, "NotImplemented", Refused(Reason::DestinationRefused)),
        (501, "", Refused(Reason::DestinationRefused)),
        (
            403,
            "SignatureDoesNotMatch",
            Refused(Reason::DestinationRefused),
        ),
        (400, "SomethingNew", Refused(Reason::DestinationRefused)),
        (400, "ExpiredToken", Stale),
        (400, "InvalidToken", Stale),
        (403, "InvalidAccessKeyId", Stale),
        (412, "PreconditionFailed", Taken),
        (409, "ConditionalRequestConflict", Taken),
        (409, "OperationAborted", Taken),
        (409, "", Taken),
        (500, "InternalError", Unknown),
        (200, "InternalError", Unknown),
        (200, "", Unknown),
        (502, "", Unknown),
        (504, "", Unknown),
        (599, "SomethingNew", Unknown),
    ];
    for (status, code, meaning) in table {
        assert_eq!(refusal(status, code).meaning(), meaning, "{status} {code}");
    }
}

#[test]
fn what_may_pass_by_itself_is_transient_and_nothing_is_ever_permanent() {
    for (status, code) in [
        (500, ""),
        (503, "SlowDown"),
        (429, ""),
        (200, "InternalError"),
    ] {
        let refusal = refusal(status, code);
        assert!(refusal.is_passing(), "{status} {code}");
        assert_eq!(refusal.fault(Operation::Put).class(), Class::Transient);
    }
    for (status, code) in [
        (403, "AccessDenied"),
        (412, ""),
        (400, "ExpiredToken"),
        (501, ""),
    ] {
        let refusal = refusal(status, code);
        assert!(!refusal.is_passing(), "{status} {code}");
        assert_ne!(refusal.fault(Operation::Put).class(), Class::Permanent);
    }
}

#[test]
fn details_name_the_operation_and_the_code() {
    let fault = refusal(403, "AccessDenied").fault(Operation::Put);
    assert_eq!(fault.detail, "put: 403 AccessDenied");
    assert_eq!(refusal(403, "").fault(Operation::Look).detail, "look: 403");
}
