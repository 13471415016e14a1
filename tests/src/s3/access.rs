//! Who is let in: secrets for the signature check, tokens, what must be signed, permissions.

use std::sync::Arc;

use http::{HeaderMap, Uri};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use super::clock::now;
use super::lab::Lab;
use super::operation::query;
use super::policy::Asked;

/// Authentication and authorisation.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) lab: Arc<Lab>,
}

/// The signature's own statements about itself.
struct Scope {
    access_key_id: String,
    service: String,
    signed_headers: Vec<String>,
    presigned: bool,
}

/// The key the request says it was signed with, unverified.
pub(crate) fn claimed_key(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    Scope::read(headers, uri).map(|scope| scope.access_key_id)
}

#[async_trait::async_trait]
impl S3Auth for Gate {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let known = self.lab.directory.secret(access_key);
        known.ok_or_else(|| s3_error!(InvalidAccessKeyId, "the access key id does not exist"))
    }
}

#[async_trait::async_trait]
impl S3Access for Gate {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        if cx.credentials().is_none() {
            return Err(denied());
        }
        let Some(scope) = Scope::read(cx.headers(), cx.uri()) else {
            let message = "Please use AWS4-HMAC-SHA256.";
            return Err(s3_error!(InvalidRequest, "{message}"));
        };
        scope.check(cx.headers())?;
        self.check_token(&scope, cx)?;
        let (bucket, key) = match cx.s3_path() {
            S3Path::Root => return Err(s3_error!(NotImplemented)),
            S3Path::Bucket { bucket } => (bucket, None),
            S3Path::Object { bucket, key } => (bucket, Some(key.as_ref())),
        };
        self.check_owner(bucket, cx)?;
        let operation = cx.s3_op().name();
        // Decided for each key by the operation itself.
        if operation == "DeleteObjects" {
            return Ok(());
        }
        let context = |name: &str| value_of(name, cx);
        for action in actions(operation, cx)? {
            let asked = Asked {
                action,
                resource: &arn(bucket, key),
                context: &context,
            };
            if !self.lab.directory.allows(&scope.access_key_id, &asked) {
                return Err(denied_to(action, asked.resource));
            }
        }
        Ok(())
    }
}

impl Gate {
    /// A session's key is worth nothing without its token, nor after its time.
    fn check_token(&self, scope: &Scope, cx: &S3AccessContext<'_>) -> S3Result<()> {
        let token = text(cx.headers(), "x-amz-security-token")
            .map(ToOwned::to_owned)
            .or_else(|| query(cx.uri(), "X-Amz-Security-Token"));
        let Some(session) = self.lab.directory.session(&scope.access_key_id) else {
            return match token {
                Some(_) => Err(s3_error!(InvalidToken, "the token is not for this key")),
                None => Ok(()),
            };
        };
        if token.as_deref() != Some(&session.token) {
            return Err(s3_error!(InvalidToken, "the provided token is malformed"));
        }
        if session.expires <= now() {
            return Err(s3_error!(ExpiredToken, "the provided token has expired"));
        }
        Ok(())
    }

    /// By header, or by a signed URL's query; there only in small letters, as S3 has it.
    fn check_owner(&self, bucket: &str, cx: &S3AccessContext<'_>) -> S3Result<()> {
        const NAME: &str = "x-amz-expected-bucket-owner";
        let expected = text(cx.headers(), NAME).map(ToOwned::to_owned);
        let Some(expected) = expected.or_else(|| query(cx.uri(), NAME)) else {
            return Ok(());
        };
        match self.lab.store().owner(bucket) {
            Some(owner) if owner != expected => Err(denied()),
            Some(_) | None => Ok(()),
        }
    }
}

impl Scope {
    fn read(headers: &HeaderMap, uri: &Uri) -> Option<Self> {
        let (credential, signed, presigned) = match text(headers, "authorization") {
            Some(value) => {
                let value = value.strip_prefix("AWS4-HMAC-SHA256")?;
                let field = |name: &str| {
                    let mut fields = value.split(',').map(str::trim);
                    fields.find_map(|field| field.strip_prefix(name).map(ToOwned::to_owned))
                };
                (field("Credential=")?, field("SignedHeaders=")?, false)
            }
            None => (
                query(uri, "X-Amz-Credential")?,
                query(uri, "X-Amz-SignedHeaders")?,
                true,
            ),
        };
        // KEY/DATE/REGION/SERVICE/aws4_request, and a key holds no slash here.
        let mut fields = credential.split('/');
        let access_key_id = fields.next()?.to_owned();
        let service = fields.nth(2)?.to_owned();
        Some(Self {
            access_key_id,
            service,
            signed_headers: signed.split(';').map(str::to_ascii_lowercase).collect(),
            presigned,
        })
    }

    /// S3 takes only its own signatures, and no `x-amz-` header that anybody could have added.
    fn check(&self, headers: &HeaderMap) -> S3Result<()> {
        if self.service != "s3" {
            let message = "the credential scope must name the service s3";
            let malformed = S3ErrorCode::AuthorizationHeaderMalformed;
            return Err(S3Error::with_message(malformed, message));
        }
        let signed = |name: &str| self.signed_headers.iter().any(|it| it == name);
        if !signed("host") {
            return Err(s3_error!(SignatureDoesNotMatch, "host is not signed"));
        }
        for name in headers.keys().map(http::HeaderName::as_str) {
            let exempt = self.presigned && name == "x-amz-content-sha256";
            if name.starts_with("x-amz-") && !exempt && !signed(name) {
                let message = "There were headers present in the request which were not signed";
                return Err(s3_error!(AccessDenied, "{message}: {name}"));
            }
        }
        Ok(())
    }
}

/// What an operation needs to be allowed.
fn actions(operation: &str, cx: &S3AccessContext<'_>) -> S3Result<Vec<&'static str>> {
    let versioned = query(cx.uri(), "versionId").is_some();
    let mut actions = match operation {
        "PutObject" | "CreateMultipartUpload" => vec!["s3:PutObject"],
        "UploadPart" | "CompleteMultipartUpload" => return Ok(vec!["s3:PutObject"]),
        "AbortMultipartUpload" => vec!["s3:AbortMultipartUpload"],
        "ListParts" => vec!["s3:ListMultipartUploadParts"],
        "ListMultipartUploads" => vec!["s3:ListBucketMultipartUploads"],
        "GetObject" | "HeadObject" if versioned => vec!["s3:GetObjectVersion"],
        "GetObject" | "HeadObject" => vec!["s3:GetObject"],
        "DeleteObject" if versioned => vec!["s3:DeleteObjectVersion"],
        "DeleteObject" => vec!["s3:DeleteObject"],
        "HeadBucket" | "ListObjectsV2" => vec!["s3:ListBucket"],
        "ListObjectVersions" => vec!["s3:ListBucketVersions"],
        "GetBucketLocation" => vec!["s3:GetBucketLocation"],
        "CreateBucket" => vec!["s3:CreateBucket"],
        "PutPublicAccessBlock" => vec!["s3:PutBucketPublicAccessBlock"],
        "PutBucketOwnershipControls" => vec!["s3:PutBucketOwnershipControls"],
        "PutBucketEncryption" => vec!["s3:PutEncryptionConfiguration"],
        "PutBucketLifecycleConfiguration" => vec!["s3:PutLifecycleConfiguration"],
        other => return Err(s3_error!(NotImplemented, "{other} is not emulated")),
    };
    // Whoever learns whether it is this object could as well have looked.
    if operation == "DeleteObject" && cx.headers().contains_key("if-match") {
        actions.push("s3:GetObject");
    }
    if cx.headers().contains_key("x-amz-tagging") {
        actions.push("s3:PutObjectTagging");
    }
    if cx.headers().contains_key("x-amz-acl") {
        actions.push("s3:PutObjectAcl");
    }
    Ok(actions)
}

/// Values of S3's condition keys: the listing's parameters and the `x-amz-` headers.
fn value_of(name: &str, cx: &S3AccessContext<'_>) -> Option<String> {
    let name = name.strip_prefix("s3:")?;
    match name {
        "prefix" | "delimiter" | "max-keys" => {
            // AWS has none of these keys for the listing of uploads.
            let listing = matches!(cx.s3_path(), S3Path::Bucket { .. })
                && cx.s3_op().name() != "ListMultipartUploads";
            listing.then(|| query(cx.uri(), name)).flatten()
        }
        _ if name.starts_with("x-amz-") => text(cx.headers(), name).map(ToOwned::to_owned),
        _ => None,
    }
}

/// The name policies give to a bucket or an object.
pub(crate) fn arn(bucket: &str, key: Option<&str>) -> String {
    match key {
        Some(key) => format!("arn:aws:s3:::{bucket}/{key}"),
        None => format!("arn:aws:s3:::{bucket}"),
    }
}

/// S3's refusal where it says of what.
pub(crate) fn denied_to(action: &str, resource: &str) -> S3Error {
    s3_error!(
        AccessDenied,
        "User: arn:aws:sts::111122223333:assumed-role/laboratory/session is not authorized to \
         perform: {action} on resource: \"{resource}\" because no identity-based policy allows \
         the {action} action"
    )
}

/// S3's refusal, which names no reason.
pub(crate) fn denied() -> S3Error {
    s3_error!(AccessDenied, "Access Denied")
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
