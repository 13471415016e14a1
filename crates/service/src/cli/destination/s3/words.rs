//! One check for each word of an S3 destination.

use std::net::Ipv4Addr;

use anyhow::Result;
use recording::ObjectTags;

use crate::failure::Failure;

/// What S3 lists for objects in general-purpose buckets.
const STORAGE_CLASSES: [&str; 8] = [
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
    "REDUCED_REDUNDANCY",
];

/// The longest ARN of a KMS key, in bytes: `storage` is tested to fit it into a session's policy.
const KMS_KEY_BYTES_MAX: usize = 128;
/// The longest ARN of an alias, in bytes.
const KMS_ALIAS_BYTES_MAX: usize = 384;
/// The longest name of a partition, in bytes; `aws-us-gov` is the longest there is.
const PARTITION_BYTES_MAX: usize = 16;

/// How names begin and end that S3 keeps for access points and the like.
const RESERVED_STARTS: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
const RESERVED_ENDS: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

fn refuse(message: &str, hint: impl Into<String>) -> anyhow::Error {
    Failure::usage(message).hint(hint).into()
}

/// The id of an AWS account.
pub(in crate::cli) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The name of a bucket.
pub(in crate::cli) fn bucket(name: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let plain_ends =
        name.bytes().next().is_some_and(plain) && name.bytes().last().is_some_and(plain);
    let sound = (3..=63).contains(&name.len())
        && plain_ends
        && name.bytes().all(|b| plain(b) || b == b'-' || b == b'.')
        && !name.contains("..")
        && name.parse::<Ipv4Addr>().is_err()
        && !RESERVED_STARTS.iter().any(|start| name.starts_with(start))
        && !RESERVED_ENDS.iter().any(|end| name.ends_with(end));
    if sound {
        return Ok(());
    }
    Err(refuse(
        "--bucket is not the name of a bucket",
        "3 to 63 lower-case letters, digits, hyphens and dots, as in acme-calls; no ARN, no URL",
    ))
}

/// The name of a region. It becomes part of a host name.
pub(in crate::cli) fn region(name: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=32).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(refuse(
        "--region is not the name of a region",
        "as in eu-central-1; for a compatible server what it is configured with, often us-east-1",
    ))
}

/// Checks a role's ARN and returns the account in it.
pub(in crate::cli) fn role(arn: &str) -> Result<String> {
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    if let ["arn", partition, "iam", "", account, resource] = parts.as_slice()
        && is_partition(partition)
        && is_account(account)
        && resource.strip_prefix("role/").is_some_and(is_role_path)
    {
        return Ok((*account).to_owned());
    }
    Err(refuse(
        "--role-arn is not the ARN of a role",
        "as in arn:aws:iam::123456789012:role/callferry",
    ))
}

fn is_partition(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b == b'-';
    let is_short = text.len() <= PARTITION_BYTES_MAX;
    text == "aws" || (is_short && text.starts_with("aws-") && text.bytes().all(plain))
}

fn is_role_path(path: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&b);
    let name = path.rsplit('/').next().unwrap_or_default();
    path.len() <= 576
        && (1..=64).contains(&name.len())
        && !path.starts_with('/')
        && !path.contains("//")
        && path.bytes().all(plain)
}

/// A KMS key's id, alias or ARN. The ARN of a key narrows session policies, for which STS has 2,048
/// characters; no key's is longer than this, even one for several regions.
pub(in crate::cli) fn kms_key(text: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b":/_-".contains(&b);
    // The name alone of an alias may have 256 characters, and no policy names it.
    let most = match text.contains(":key/") {
        true => KMS_KEY_BYTES_MAX,
        false => KMS_ALIAS_BYTES_MAX,
    };
    if (1..=most).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(());
    }
    Err(refuse(
        "--kms-key is not a key",
        "a key id, an alias such as alias/recordings, or an ARN",
    ))
}

/// A storage class.
pub(super) fn storage_class(text: &str) -> Result<()> {
    if STORAGE_CLASSES.contains(&text) {
        return Ok(());
    }
    Err(refuse(
        "--storage-class is not a class of S3",
        format!("one of {}", STORAGE_CLASSES.join(", ")),
    ))
}

/// Tags, each as `KEY=VALUE`. A key may not hold an equals sign here, though S3 would take it.
pub(super) fn tags(texts: &[String]) -> Result<ObjectTags> {
    const HINT: &str = "as in --tag team=sales --tag retention=7y";
    let mut tags = Vec::new();
    for text in texts {
        let Some((key, value)) = text.split_once('=') else {
            return Err(refuse("--tag has no equals sign", HINT));
        };
        tags.push((key.to_owned(), value.to_owned()));
    }
    ObjectTags::new(tags).map_err(|why| refuse(&format!("--tag: {why}"), HINT))
}
