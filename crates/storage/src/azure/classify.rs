//! What Azure's refusals mean: one table from status and code to what is known afterwards.

use recording::ParkReason;

use crate::exchange::{Answered, Meaning, Refusal};

/// What a refusal means.
pub(crate) fn refusal(answered: Answered) -> Refusal {
    let Answered {
        status,
        code,
        retry_after,
    } = answered;
    let meaning = code.as_deref().and_then(by_code);
    Refusal {
        meaning: meaning.unwrap_or_else(|| by_status(status)),
        status,
        code,
        retry_after,
        hint: None,
    }
}

fn by_code(code: &str) -> Option<Meaning> {
    use ParkReason as Reason;
    // The customer's own key for encryption at rest.
    if code.starts_with("KeyVault") {
        return Some(Meaning::Refused(Reason::KmsKeyUnusable));
    }
    let meaning = match code {
        // Something is there, whatever it is, and whoever protects it: a look tells. A hierarchical
        // namespace may have a directory there.
        "BlobAlreadyExists"
        | "ConditionNotMet"
        | "TargetConditionNotMet"
        | "UnauthorizedBlobOverwrite"
        | "InvalidBlobType"
        | "BlobImmutableDueToPolicy"
        | "LeaseIdMissing"
        | "LeaseAlreadyPresent"
        | "LeaseIdMismatchWithBlobOperation"
        | "LeaseLost"
        | "PendingCopyOperation"
        | "PathAlreadyExists"
        | "ResourceTypeMismatch"
        // The blocks are not there any more: committed by an attempt whose answer was lost, or
        // dropped by another writer's commit.
        | "InvalidBlockList" => Meaning::Taken,
        "InternalError" | "OperationTimedOut" => Meaning::Unknown,
        "ContainerNotFound" | "ContainerBeingDeleted" | "ResourceNotFound" => {
            Meaning::Refused(Reason::BucketMissing)
        }
        "AuthenticationFailed"
        | "InvalidAuthenticationInfo"
        | "NoAuthenticationInformation"
        | "KeyBasedAuthenticationNotPermitted" => Meaning::Refused(Reason::CredentialRefused),
        "AuthorizationFailure"
        | "AuthorizationPermissionMismatch"
        | "AuthorizationProtocolMismatch"
        | "AuthorizationResourceTypeMismatch"
        | "AuthorizationServiceMismatch"
        | "AuthorizationSourceIPMismatch"
        | "InsufficientAccountPermissions"
        | "AccountIsDisabled"
        | "PublicAccessNotPermitted"
        | "BlobArchived"
        | "BlobBeingRehydrated" => Meaning::Refused(Reason::AccessDenied),
        "ServerBusy" => Meaning::Refused(Reason::Throttled),
        "AccountBeingCreated" => Meaning::Refused(Reason::DestinationUnreachable),
        // The bytes did not arrive as they were sent: nothing was kept, sending again may do.
        "Crc64Mismatch" | "Md5Mismatch" | "BlobNotFound" => {
            Meaning::Refused(Reason::OutcomeUnknown)
        }
        _ => return None,
    };
    Some(meaning)
}

fn by_status(status: u16) -> Meaning {
    use ParkReason as Reason;
    match status {
        300..=399 => Meaning::Refused(Reason::WrongRegion),
        401 => Meaning::Refused(Reason::CredentialRefused),
        403 => Meaning::Refused(Reason::AccessDenied),
        // Of a 409 whose code is not known nothing is concluded but that a look must tell.
        409 | 412 => Meaning::Taken,
        408 | 503 => Meaning::Refused(Reason::DestinationUnreachable),
        429 => Meaning::Refused(Reason::Throttled),
        501 | 505 | 507 | 400..=499 => Meaning::Refused(Reason::DestinationRefused),
        // A server that broke on the way.
        _ => Meaning::Unknown,
    }
}

/// The code that says that a blob is not there. Nothing else says it: a container that is missing
/// has another, and a 404 without a code is somebody else's.
pub(super) const BLOB_NOT_FOUND: &str = "BlobNotFound";

/// Whether the bytes were found not to fit their checksum.
pub(super) fn is_damage(code: Option<&str>) -> bool {
    matches!(code, Some("Crc64Mismatch" | "Md5Mismatch"))
}

#[cfg(test)]
mod tests;
