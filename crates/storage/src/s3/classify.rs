//! What a store's refusal means: one table from status and code to what is known afterwards.

use recording::ParkReason;

use crate::exchange::{Answered, Refusal};

pub(super) use crate::exchange::Meaning;

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

/// Codes that ask us to slow down, of S3 and of STS.
pub(crate) fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "SlowDown"
            | "SlowDownRead"
            | "SlowDownWrite"
            | "Throttling"
            | "ThrottlingException"
            | "RequestThrottled"
            | "RequestLimitExceeded"
            | "TooManyRequests"
            | "TooManyRequestsException"
            | "BandwidthLimitExceeded"
    )
}

fn by_code(code: &str) -> Option<Meaning> {
    use ParkReason as Reason;
    if code.starts_with("KMS") {
        return Some(Meaning::Refused(Reason::KmsKeyUnusable));
    }
    if is_throttling(code) {
        return Some(Meaning::Refused(Reason::Throttled));
    }
    let meaning = match code {
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidToken"
        | "TokenRefreshRequired"
        | "InvalidAccessKeyId" => Meaning::Stale,
        "PreconditionFailed" | "ConditionalRequestConflict" | "OperationAborted" => Meaning::Taken,
        "InternalError" => Meaning::Unknown,
        "NoSuchBucket" => Meaning::Refused(Reason::BucketMissing),
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "InvalidObjectState"
        | "InvalidSecurity" | "NotSignedUp" => Meaning::Refused(Reason::AccessDenied),
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "Redirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException"
        | "InvalidRegion" => Meaning::Refused(Reason::WrongRegion),
        "ServiceUnavailable" | "Busy" | "RequestTimeout" | "RequestTimeTooSkewed" => {
            Meaning::Refused(Reason::DestinationUnreachable)
        }
        // The bytes did not arrive as they were sent: nothing was kept, sending again may do.
        "BadDigest"
        | "InvalidDigest"
        | "XAmzContentChecksumMismatch"
        | "XAmzContentSHA256Mismatch"
        | "IncompleteBody"
        | "NoSuchUpload"
        | "InvalidPart"
        | "InvalidPartOrder" => Meaning::Refused(Reason::OutcomeUnknown),
        "SignatureDoesNotMatch"
        | "NotImplemented"
        | "MethodNotAllowed"
        | "InvalidArgument"
        | "InvalidRequest"
        | "InvalidStorageClass"
        | "EntityTooLarge"
        | "EntityTooSmall"
        | "MalformedXML"
        | "QuotaExceeded"
        | "XMinioStorageFull"
        | "InsufficientCapacity" => Meaning::Refused(Reason::DestinationRefused),
        _ => return None,
    };
    Some(meaning)
}

fn by_status(status: u16) -> Meaning {
    use ParkReason as Reason;
    match status {
        300..=399 => Meaning::Refused(Reason::WrongRegion),
        401 | 403 => Meaning::Refused(Reason::AccessDenied),
        409 | 412 => Meaning::Taken,
        408 => Meaning::Refused(Reason::DestinationUnreachable),
        429 => Meaning::Refused(Reason::Throttled),
        501 | 505 | 507 => Meaning::Refused(Reason::DestinationRefused),
        503 => Meaning::Refused(Reason::DestinationUnreachable),
        400..=499 => Meaning::Refused(Reason::DestinationRefused),
        // An error document in a success, or a server that broke on the way.
        _ => Meaning::Unknown,
    }
}

#[cfg(test)]
mod tests;
