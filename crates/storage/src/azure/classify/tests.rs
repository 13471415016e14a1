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
    use Meaning::{Refused, Taken, Unknown};
    use ParkReason as Reason;
    let table = [
        (409, "BlobAlreadyExists", Taken),
        (412, "ConditionNotMet", Taken),
        (403, "UnauthorizedBlobOverwrite", Taken),
        (400, "InvalidBlockList", Taken),
        (409, "InvalidBlobType", Taken),
        (409, "BlobImmutableDueToPolicy", Taken),
        (409, "PathAlreadyExists", Taken),
        (409, "SomethingNew", Taken),
        (404, "ContainerNotFound", Refused(Reason::BucketMissing)),
        (409, "ContainerBeingDeleted", Refused(Reason::BucketMissing)),
        (404, "ResourceNotFound", Refused(Reason::BucketMissing)),
        (
            403,
            "AuthenticationFailed",
            Refused(Reason::CredentialRefused),
        ),
        (
            401,
            "InvalidAuthenticationInfo",
            Refused(Reason::CredentialRefused),
        ),
        (401, "", Refused(Reason::CredentialRefused)),
        (
            403,
            "KeyBasedAuthenticationNotPermitted",
            Refused(Reason::CredentialRefused),
        ),
        (403, "AuthorizationFailure", Refused(Reason::AccessDenied)),
        (
            403,
            "AuthorizationPermissionMismatch",
            Refused(Reason::AccessDenied),
        ),
        (403, "", Refused(Reason::AccessDenied)),
        (
            403,
            "KeyVaultEncryptionKeyNotFound",
            Refused(Reason::KmsKeyUnusable),
        ),
        (503, "ServerBusy", Refused(Reason::Throttled)),
        (503, "", Refused(Reason::DestinationUnreachable)),
        (
            409,
            "AccountBeingCreated",
            Refused(Reason::DestinationUnreachable),
        ),
        (400, "Crc64Mismatch", Refused(Reason::OutcomeUnknown)),
        (400, "Md5Mismatch", Refused(Reason::OutcomeUnknown)),
        (
            400,
            "InvalidHeaderValue",
            Refused(Reason::DestinationRefused),
        ),
        (
            413,
            "RequestBodyTooLarge",
            Refused(Reason::DestinationRefused),
        ),
        (404, "", Refused(Reason::DestinationRefused)),
        (500, "InternalError", Unknown),
        (500, "OperationTimedOut", Unknown),
        (502, "", Unknown),
        (599, "SomethingNew", Unknown),
    ];
    for (status, code, meaning) in table {
        assert_eq!(refusal(status, code).meaning(), meaning, "{status} {code}");
    }
}

#[test]
fn what_may_pass_by_itself_is_transient_and_nothing_is_ever_permanent() {
    for (status, code) in [(500, "OperationTimedOut"), (503, "ServerBusy"), (429, "")] {
        let refusal = refusal(status, code);
        assert!(refusal.is_passing(), "{status} {code}");
        assert_eq!(refusal.fault(Operation::Put).class(), Class::Transient);
    }
    for (status, code) in [
        (403, "AuthenticationFailed"),
        (409, "BlobAlreadyExists"),
        (404, "ContainerNotFound"),
    ] {
        let refusal = refusal(status, code);
        assert!(!refusal.is_passing(), "{status} {code}");
        assert_ne!(refusal.fault(Operation::Put).class(), Class::Permanent);
    }
}

#[test]
fn details_name_the_operation_and_the_code() {
    let fault = refusal(403, "AuthenticationFailed").fault(Operation::PutPart);
    assert_eq!(fault.detail, "put_part: 403 AuthenticationFailed");
}
