//! The codes by which stores and token services name their refusals, as a closed set: what is not
//! in it is counted as other, so that no text from outside ever becomes a time series.

use crate::Cloud;

/// The code of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreCode(&'static str);

/// A code and its label.
type Known = (&'static str, &'static str);

const S3: &[Known] = &[
    ("AccessDenied", "access_denied"),
    ("AccountProblem", "account_problem"),
    ("AllAccessDisabled", "all_access_disabled"),
    (
        "AuthorizationHeaderMalformed",
        "authorization_header_malformed",
    ),
    ("BadDigest", "bad_digest"),
    ("Busy", "busy"),
    ("ConditionalRequestConflict", "conditional_request_conflict"),
    ("EntityTooLarge", "entity_too_large"),
    ("EntityTooSmall", "entity_too_small"),
    ("ExpiredToken", "expired_token"),
    ("IncompleteBody", "incomplete_body"),
    ("InsufficientCapacity", "insufficient_capacity"),
    ("InternalError", "internal_error"),
    ("InvalidAccessKeyId", "invalid_access_key_id"),
    ("InvalidArgument", "invalid_argument"),
    ("InvalidDigest", "invalid_digest"),
    ("InvalidObjectState", "invalid_object_state"),
    ("InvalidPart", "invalid_part"),
    ("InvalidPartOrder", "invalid_part_order"),
    ("InvalidRequest", "invalid_request"),
    ("InvalidSecurity", "invalid_security"),
    ("InvalidStorageClass", "invalid_storage_class"),
    ("InvalidToken", "invalid_token"),
    ("KMS.AccessDeniedException", "kms_access_denied"),
    ("KMS.DisabledException", "kms_disabled"),
    ("KMS.InvalidStateException", "kms_invalid_state"),
    ("KMS.KMSInvalidStateException", "kms_invalid_state"),
    ("KMS.NotFoundException", "kms_not_found"),
    ("KMS.ThrottlingException", "kms_throttling"),
    ("MalformedXML", "malformed_xml"),
    ("MethodNotAllowed", "method_not_allowed"),
    ("NoSuchBucket", "no_such_bucket"),
    ("NoSuchKey", "no_such_key"),
    ("NoSuchUpload", "no_such_upload"),
    ("NoSuchVersion", "no_such_version"),
    ("NotImplemented", "not_implemented"),
    ("NotSignedUp", "not_signed_up"),
    ("ObjectLocked", "object_locked"),
    ("OperationAborted", "operation_aborted"),
    ("PermanentRedirect", "permanent_redirect"),
    ("PreconditionFailed", "precondition_failed"),
    ("QuotaExceeded", "quota_exceeded"),
    ("RequestTimeTooSkewed", "request_time_too_skewed"),
    ("RequestTimeout", "request_timeout"),
    ("ServiceUnavailable", "service_unavailable"),
    ("SignatureDoesNotMatch", "signature_does_not_match"),
    ("SlowDown", "slow_down"),
    ("TemporaryRedirect", "temporary_redirect"),
    ("TokenRefreshRequired", "token_refresh_required"),
    (
        "XAmzContentChecksumMismatch",
        "x_amz_content_checksum_mismatch",
    ),
    ("XAmzContentSHA256Mismatch", "x_amz_content_sha256_mismatch"),
];

const AZURE: &[Known] = &[
    ("AccountBeingCreated", "account_being_created"),
    ("AccountIsDisabled", "account_is_disabled"),
    ("AuthenticationFailed", "authentication_failed"),
    ("AuthorizationFailure", "authorization_failure"),
    (
        "AuthorizationPermissionMismatch",
        "authorization_permission_mismatch",
    ),
    (
        "AuthorizationProtocolMismatch",
        "authorization_protocol_mismatch",
    ),
    (
        "AuthorizationResourceTypeMismatch",
        "authorization_resource_type_mismatch",
    ),
    (
        "AuthorizationServiceMismatch",
        "authorization_service_mismatch",
    ),
    (
        "AuthorizationSourceIPMismatch",
        "authorization_source_ip_mismatch",
    ),
    ("BlobAlreadyExists", "blob_already_exists"),
    ("BlobArchived", "blob_archived"),
    ("BlobBeingRehydrated", "blob_being_rehydrated"),
    ("BlobImmutableDueToPolicy", "blob_immutable_due_to_policy"),
    ("BlobNotFound", "blob_not_found"),
    ("ConditionNotMet", "condition_not_met"),
    ("ContainerBeingDeleted", "container_being_deleted"),
    ("ContainerNotFound", "container_not_found"),
    ("Crc64Mismatch", "crc64_mismatch"),
    (
        "InsufficientAccountPermissions",
        "insufficient_account_permissions",
    ),
    ("InternalError", "internal_error"),
    ("InvalidAuthenticationInfo", "invalid_authentication_info"),
    ("InvalidBlobType", "invalid_blob_type"),
    ("InvalidBlockList", "invalid_block_list"),
    ("InvalidHeaderValue", "invalid_header_value"),
    ("InvalidInput", "invalid_input"),
    (
        "InvalidQueryParameterValue",
        "invalid_query_parameter_value",
    ),
    (
        "KeyBasedAuthenticationNotPermitted",
        "key_based_authentication_not_permitted",
    ),
    ("LeaseIdMissing", "lease_id_missing"),
    ("Md5Mismatch", "md5_mismatch"),
    (
        "NoAuthenticationInformation",
        "no_authentication_information",
    ),
    ("OperationTimedOut", "operation_timed_out"),
    ("PublicAccessNotPermitted", "public_access_not_permitted"),
    ("RequestBodyTooLarge", "request_body_too_large"),
    ("ResourceNotFound", "resource_not_found"),
    ("ResourceTypeMismatch", "resource_type_mismatch"),
    ("ServerBusy", "server_busy"),
    ("TargetConditionNotMet", "target_condition_not_met"),
    ("UnauthorizedBlobOverwrite", "unauthorized_blob_overwrite"),
    ("UnsupportedHeader", "unsupported_header"),
];

const STS: &[Known] = &[
    ("AccessDenied", "access_denied"),
    ("ExpiredToken", "expired_token"),
    ("ExpiredTokenException", "expired_token_exception"),
    ("InternalFailure", "internal_failure"),
    ("InvalidClientTokenId", "invalid_client_token_id"),
    ("MalformedPolicyDocument", "malformed_policy_document"),
    ("NoSuchEntity", "no_such_entity"),
    ("PackedPolicyTooLarge", "packed_policy_too_large"),
    ("RegionDisabledException", "region_disabled_exception"),
    ("ServiceUnavailable", "service_unavailable"),
    ("SignatureDoesNotMatch", "signature_does_not_match"),
    ("Throttling", "throttling"),
    ("ValidationError", "validation_error"),
];

const ENTRA: &[Known] = &[
    ("access_denied", "access_denied"),
    ("interaction_required", "interaction_required"),
    ("invalid_client", "invalid_client"),
    ("invalid_grant", "invalid_grant"),
    ("invalid_request", "invalid_request"),
    ("invalid_resource", "invalid_resource"),
    ("invalid_scope", "invalid_scope"),
    ("server_error", "server_error"),
    ("temporarily_unavailable", "temporarily_unavailable"),
    ("unauthorized_client", "unauthorized_client"),
];

/// A code that is not in the set.
const OTHER: StoreCode = StoreCode("other");
/// No code at all, as in the refusal of a HEAD or of a machine in between.
const NONE: StoreCode = StoreCode("none");

fn known(cloud: Cloud) -> impl Iterator<Item = &'static Known> {
    let (first, second): (&[Known], &[Known]) = match cloud {
        Cloud::S3 => (S3, &[]),
        Cloud::Azure => (AZURE, &[]),
        Cloud::Sts => (STS, &[]),
        Cloud::Entra => (ENTRA, &[]),
        Cloud::Staging => (S3, AZURE),
    };
    first.iter().chain(second)
}

impl StoreCode {
    /// The code that this cloud named.
    #[must_use]
    pub fn named(cloud: Cloud, code: Option<&str>) -> Self {
        let Some(code) = code.filter(|code| !code.is_empty()) else {
            return NONE;
        };
        let found = known(cloud).find(|(name, _)| *name == code);
        found.map_or(OTHER, |(_, label)| Self(label))
    }

    /// Every code that this cloud may be counted with, once.
    #[must_use]
    pub fn all(cloud: Cloud) -> Vec<Self> {
        let mut all: Vec<_> = known(cloud).map(|(_, label)| Self(label)).collect();
        all.extend([OTHER, NONE]);
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_or_other_and_its_absence_is_told_apart() {
        let label = |cloud, code| StoreCode::named(cloud, code).as_str();
        assert_eq!(label(Cloud::S3, Some("SlowDown")), "slow_down");
        assert_eq!(
            label(Cloud::S3, Some("KMS.DisabledException")),
            "kms_disabled"
        );
        assert_eq!(label(Cloud::Azure, Some("SlowDown")), "other");
        assert_eq!(label(Cloud::Azure, Some("ServerBusy")), "server_busy");
        assert_eq!(label(Cloud::Sts, Some("AccessDenied")), "access_denied");
        assert_eq!(
            label(Cloud::Entra, Some("invalid_client")),
            "invalid_client"
        );
        assert_eq!(label(Cloud::S3, Some("canary")), "other");
        assert_eq!(label(Cloud::S3, Some("")), "none");
        assert_eq!(label(Cloud::S3, None), "none");
    }

    #[test]
    fn codes_are_in_order_and_two_have_one_label_only_if_they_mean_the_same() {
        for codes in [S3, AZURE, STS, ENTRA] {
            assert!(codes.is_sorted(), "{codes:?}");
            let labels = codes.iter().map(|(_, label)| *label);
            let distinct: std::collections::BTreeSet<_> = labels.clone().collect();
            assert!(distinct.len() + 1 >= labels.count(), "{codes:?}");
        }
    }
}
