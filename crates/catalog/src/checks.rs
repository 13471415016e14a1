//! What a destination must be before it is set: nothing that would make keys, sessions, hosts or
//! requests ambiguous. Nothing here needs a network.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use recording::{
    AzureContainer, AzureIdentity, DestinationOwner, Encryption, S3Bucket, Secret, Store,
};

use crate::admin::AdminFault;
use crate::places::{azures_account, host};
use crate::sas;

/// No secret of a destination is longer.
const MOST_SECRET_BYTES: usize = 4096;

/// Checks a destination at `now`.
pub(crate) fn check(
    owner: &DestinationOwner,
    store: &Store,
    now: DateTime<Utc>,
) -> Result<(), AdminFault> {
    check_prefix(store.prefix())?;
    match store {
        Store::S3(bucket) => check_s3(owner, bucket),
        Store::Azure(container) => check_azure(container, now),
    }
}

fn plain(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

fn check_prefix(prefix: &str) -> Result<(), AdminFault> {
    let whole = |part: &str| !part.is_empty() && part != "." && part != ".." && plain(part);
    // IAM reads these as wildcards in the policy that narrows a session to the prefix.
    let literal = !prefix.contains(['*', '?', '$']);
    if !prefix.is_empty() && (!prefix.split('/').all(whole) || !literal) {
        return Err(AdminFault::refused(
            format!("`{prefix}` cannot lead keys"),
            "words joined by single slashes, none at its ends, without spaces, *, ? and $",
        ));
    }
    Ok(())
}

fn check_s3(owner: &DestinationOwner, bucket: &S3Bucket) -> Result<(), AdminFault> {
    let name = bucket.bucket.as_str();
    let in_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if !(3..=63).contains(&name.len()) || !name.bytes().all(in_name) {
        return Err(AdminFault::refused(
            format!("`{name}` is not the name of a bucket"),
            "3 to 63 letters, digits, dots and hyphens",
        ));
    }
    if !plain(&bucket.region) || bucket.region.is_empty() {
        return Err(AdminFault::refused(
            "a destination needs its bucket's region",
            "for instance --region eu-central-1",
        ));
    }
    if bucket.role_arn.is_none() && *owner != DestinationOwner::Default {
        return Err(AdminFault::refused(
            "an account's bucket is written only as a role of the customer",
            "add --role-arn; `callferry setup-kit` makes the role",
        ));
    }
    let digits = |id: &String| id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit());
    if !bucket.expected_owner.as_ref().is_none_or(digits) {
        return Err(AdminFault::refused(
            "the bucket's expected owner is not an AWS account",
            "12 digits",
        ));
    }
    if bucket.kms_key.is_some() && bucket.options.sse == Some(Encryption::S3) {
        return Err(AdminFault::refused(
            "objects cannot be encrypted under S3's own keys and under a KMS key",
            "leave out --kms-key, or take --sse kms",
        ));
    }
    if bucket.options.bucket_key && bucket.encryption() != Some(Encryption::Kms) {
        return Err(AdminFault::refused(
            "a bucket key is of KMS",
            "add --sse kms or --kms-key, or leave out --bucket-key",
        ));
    }
    Ok(())
}

fn check_azure(azure: &AzureContainer, now: DateTime<Utc>) -> Result<(), AdminFault> {
    check_storage_account(azure)?;
    let name = azure.container.as_str();
    let in_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let bounded = !name.starts_with('-') && !name.ends_with('-') && !name.contains("--");
    if !(3..=63).contains(&name.len()) || !name.bytes().all(in_name) || !bounded {
        return Err(AdminFault::refused(
            format!("`{name}` is not the name of a container"),
            "3 to 63 lower-case letters, digits and single hyphens between them",
        ));
    }
    // Azure drops dots at the end of a segment, and takes a backslash for a slash.
    let kept = |part: &str| !part.ends_with('.');
    if azure.prefix.contains('\\') || !azure.prefix.split('/').all(kept) {
        return Err(AdminFault::refused(
            format!("`{}` cannot lead keys in Azure", azure.prefix),
            "no backslash, and no dot at the end of a word",
        ));
    }
    check_identity(&azure.identity, now)
}

fn check_storage_account(azure: &AzureContainer) -> Result<(), AdminFault> {
    let name = azure.storage_account.as_str();
    let Some(endpoint) = &azure.endpoint else {
        let in_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        // It becomes the first label of a host's name.
        if !(3..=24).contains(&name.len()) || !name.bytes().all(in_name) {
            return Err(AdminFault::refused(
                format!("`{name}` is not the name of a storage account"),
                "3 to 24 lower-case letters and digits",
            ));
        }
        return Ok(());
    };
    // Emulators and other implementations have names of their own.
    let in_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if !(1..=63).contains(&name.len()) || !name.bytes().all(in_name) {
        return Err(AdminFault::refused(
            format!("`{name}` is not the name of a storage account"),
            "letters, digits, hyphens and underscores",
        ));
    }
    let lower = endpoint.to_ascii_lowercase();
    let rest = lower
        .strip_prefix("https://")
        .or_else(|| lower.strip_prefix("http://"));
    let bare = rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with(['/', ':']) && !rest.ends_with('/')
    });
    if !bare || !plain(endpoint) || endpoint.contains(['?', '#', '@', '\\', '%']) {
        return Err(AdminFault::refused(
            "the endpoint is not the URL of a blob service",
            "as in https://blobs.example.com:10000/account: without the container, a slash at its \
             end, a user or a query",
        ));
    }
    // Otherwise two owners could share a container without anybody seeing it.
    match azures_account(host(&lower)) {
        Some(named) if named != name.to_ascii_lowercase() => Err(AdminFault::refused(
            format!("the endpoint is storage account {named}'s and not {name}'s"),
            "name the same storage account, or leave the endpoint out",
        )),
        Some(_) | None => Ok(()),
    }
}

fn check_identity(identity: &AzureIdentity, now: DateTime<Utc>) -> Result<(), AdminFault> {
    let secret = identity.secret().map(Secret::reveal).transpose();
    let secret = secret.map_err(|locked| {
        AdminFault::refused(locked.to_string(), "set the destination with its secret")
    })?;
    // What has no secret is judged by the rest of it.
    let secret = secret.unwrap_or("none");
    if secret.is_empty() || secret.len() > MOST_SECRET_BYTES || !plain(secret) {
        return Err(AdminFault::refused(
            "the secret is empty, too long, or holds spaces or line breaks",
            "give it as it was issued, in a file of its own",
        ));
    }
    match identity {
        AzureIdentity::AccessKey { .. } => match STANDARD.decode(secret).map(|key| key.len()) {
            Ok(1..) => Ok(()),
            Ok(0) | Err(_) => Err(AdminFault::refused(
                "the access key is not base64",
                "give the key itself and not the connection string",
            )),
        },
        AzureIdentity::Sas { .. } => sas::check(secret, now),
        AzureIdentity::ServicePrincipal {
            tenant_id,
            client_id,
            client_secret: _,
        }
        | AzureIdentity::Federated {
            tenant_id,
            client_id,
        } => check_principal(tenant_id, client_id),
        AzureIdentity::ManagedIdentity { client_id: None } => Ok(()),
        AzureIdentity::ManagedIdentity {
            client_id: Some(client_id),
        } => check_client(client_id),
    }
}

fn is_id(id: &str) -> bool {
    let in_id = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    (1..=253).contains(&id.len()) && id.bytes().all(in_id) && !id.starts_with('.')
}

/// Both become a part of a URL or form at the token service.
fn check_principal(tenant_id: &str, client_id: &str) -> Result<(), AdminFault> {
    // Words for "whoever signs in", which would not be the customer's directory.
    let anybodys = ["common", "organizations", "consumers"];
    let lower = tenant_id.to_ascii_lowercase();
    if !is_id(tenant_id) || anybodys.contains(&lower.as_str()) {
        return Err(AdminFault::refused(
            format!("`{tenant_id}` is not a directory"),
            "the tenant's id or its domain, as `az account show` prints it",
        ));
    }
    check_client(client_id)
}

fn check_client(client_id: &str) -> Result<(), AdminFault> {
    if is_id(client_id) {
        return Ok(());
    }
    Err(AdminFault::refused(
        format!("`{client_id}` is not an application"),
        "the application's (client) id",
    ))
}
