//! What a store's refusal means: one table from status and code to what is known afterwards.

use std::time::Duration;

use recording::{Fault, ParkReason};

/// A store's answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// HTTP status; 200 for an error document that came with a success.
    pub(crate) status: u16,
    /// The error document's code; a HEAD has none.
    pub(crate) code: Option<String>,
    /// How long the store asks us to wait.
    pub(crate) retry_after: Option<Duration>,
}

/// What is known after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Nothing was done, for this reason.
    Refused(ParkReason),
    /// Something is at the key already, or somebody else is writing there now.
    Taken,
    /// It may have been done.
    Unknown,
    /// The session is no longer good; another one may be.
    Stale,
}

impl Refusal {
    /// What is known now.
    pub(crate) fn meaning(&self) -> Meaning {
        let by_code = self.code.as_deref().and_then(by_code);
        by_code.unwrap_or_else(|| by_status(self.status))
    }

    /// Whether the same request may succeed in a moment.
    pub(crate) fn is_passing(&self) -> bool {
        match self.meaning() {
            Meaning::Unknown => true,
            Meaning::Refused(reason) => matches!(
                reason,
                ParkReason::Throttled | ParkReason::DestinationUnreachable
            ),
            Meaning::Taken | Meaning::Stale => false,
        }
    }

    /// The fault, for a request whose effect is not in doubt, or does not matter.
    pub(crate) fn fault(&self, operation: &str) -> Fault {
        let reason = match self.meaning() {
            Meaning::Refused(reason) => reason,
            Meaning::Taken => ParkReason::OutcomeUnknown,
            Meaning::Unknown => ParkReason::DestinationUnreachable,
            Meaning::Stale => ParkReason::AccessDenied,
        };
        Fault {
            reason,
            detail: self.describe(operation),
            retry_after: self.retry_after,
        }
    }

    /// Names the operation and the answer; never a URL, a key or a token.
    pub(crate) fn describe(&self, operation: &str) -> String {
        let Self { status, code, .. } = self;
        match code {
            Some(code) => format!("{operation}: {status} {code}"),
            None => format!("{operation}: {status}"),
        }
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
