//! The kit in plain JSON, with the commands of the AWS command line that put it in place.

use recording::{Permission, Scope};
use serde_json::{Value, json};

use super::aws::sid;
use super::aws::{
    ABORT_AFTER_DAYS, AwsKit, POLICY_NAME, PolicyDocument, SESSION_SECONDS, Statement,
};
use super::{Document, comment, quoted};

/// The id of the trust policy's only statement.
pub(super) const TRUST_SID: &str = "CallferryWithTheExternalIdOfThisAccount";

pub(super) fn documents(kit: &AwsKit) -> Vec<Document> {
    let mut documents = vec![
        Document::json(
            "trust.json",
            "who may assume the role: callferry, and only with the external id",
            &trust(kit),
        ),
        Document::json(
            "permissions.json",
            "what the role may do, with a reason for each action",
            &permissions(kit),
        ),
    ];
    if kit.creates_bucket {
        documents.extend([
            Document::json(
                "encryption.json",
                "how the bucket encrypts",
                &encryption(kit),
            ),
            Document::json(
                "lifecycle.json",
                "what the bucket ends by itself",
                &lifecycle(),
            ),
        ]);
    }
    documents.push(Document::new(
        "create.sh",
        "the commands that put it in place, which may be run again",
        script(kit),
    ));
    documents
}

fn trust(kit: &AwsKit) -> PolicyDocument {
    PolicyDocument::of(vec![Statement {
        sid: TRUST_SID.to_owned(),
        effect: "Allow",
        principal: Some(json!({ "AWS": kit.principals })),
        action: "sts:AssumeRole",
        resource: None,
        condition: Some(json!({ "StringEquals": { "sts:ExternalId": kit.external_id } })),
    }])
}

pub(super) fn permissions(kit: &AwsKit) -> PolicyDocument {
    let statement = |permission: &Permission| Statement {
        sid: sid(*permission),
        effect: "Allow",
        principal: None,
        action: permission.action(),
        resource: Some(resource(kit, permission.scope())),
        condition: condition(kit, permission.scope()),
    };
    PolicyDocument::of(kit.permissions.iter().map(statement).collect())
}

fn resource(kit: &AwsKit, scope: Scope) -> String {
    let bucket = format!("arn:{}:s3:::{}", kit.partition, kit.bucket);
    match scope {
        Scope::Objects => format!("{bucket}/{}*", kit.keys),
        Scope::BucketBelowPrefix | Scope::Bucket => bucket,
        Scope::Key => kit.kms_key.clone().unwrap_or_default(),
    }
}

fn condition(kit: &AwsKit, scope: Scope) -> Option<Value> {
    match scope {
        Scope::Objects | Scope::Bucket => None,
        Scope::BucketBelowPrefix => {
            let keys = kit.listed_keys()?;
            Some(json!({ "StringLike": { "s3:prefix": keys } }))
        }
        Scope::Key => {
            let service = kit.via_service()?;
            Some(json!({ "StringEquals": { "kms:ViaService": service } }))
        }
    }
}

fn encryption(kit: &AwsKit) -> Value {
    let rule = match &kit.kms_key {
        Some(key) => json!({
            "ApplyServerSideEncryptionByDefault": {
                "SSEAlgorithm": "aws:kms",
                "KMSMasterKeyID": key,
            },
            "BucketKeyEnabled": true,
        }),
        None => json!({ "ApplyServerSideEncryptionByDefault": { "SSEAlgorithm": "AES256" } }),
    };
    json!({ "Rules": [rule] })
}

fn lifecycle() -> Value {
    json!({ "Rules": [{
        "ID": "EndUploadsThatNobodyGoesOnWith",
        "Status": "Enabled",
        "Filter": { "Prefix": "" },
        "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": ABORT_AFTER_DAYS },
    }] })
}

fn script(kit: &AwsKit) -> String {
    let mut script = String::from("#!/bin/sh\n");
    script.push_str(&comment("#", &kit.title()));
    script.push_str(
        "# Run it with an administrator's credentials of the AWS account that owns the bucket.\n\
         # It may be run again; it ends by printing the role's ARN.\n\
         set -eu\ncd \"$(dirname \"$0\")\"\n",
    );
    if kit.creates_bucket {
        script.push_str(&bucket(kit));
    }
    script.push_str(&role(kit));
    script
}

fn role(kit: &AwsKit) -> String {
    let (name, path) = (quoted(&kit.role.name), quoted(&kit.role.path));
    let description = quoted(&kit.description());
    let path = match kit.role.path.as_str() {
        "/" => String::new(),
        _ => format!(" --path {path}"),
    };
    format!(
        "
# Who may assume the role, and with what.
if aws iam get-role --role-name {name} >/dev/null 2>&1; then
  aws iam update-assume-role-policy --role-name {name} \\
    --policy-document file://trust.json
else
  aws iam create-role --role-name {name}{path} \\
    --description {description} \\
    --max-session-duration {SESSION_SECONDS} \\
    --assume-role-policy-document file://trust.json >/dev/null
fi

# What it may do.
aws iam put-role-policy --role-name {name} --policy-name {POLICY_NAME} \\
  --policy-document file://permissions.json

aws iam get-role --role-name {name} --query Role.Arn --output text
"
    )
}

/// What a bucket of ours is like, and the command that makes it so.
fn settings(bucket: &str, region: &str) -> [(&'static str, String); 4] {
    let put = |what: &str, how: &str| {
        format!("aws s3api {what} --bucket {bucket} --region {region} \\\n  {how}")
    };
    [
        (
            "nothing in it is public",
            put(
                "put-public-access-block",
                "--public-access-block-configuration \\\n  BlockPublicAcls=true,\
                 IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true",
            ),
        ),
        (
            "its objects are all its owner's",
            put(
                "put-bucket-ownership-controls",
                "--ownership-controls 'Rules=[{ObjectOwnership=BucketOwnerEnforced}]'",
            ),
        ),
        (
            "it encrypts",
            put(
                "put-bucket-encryption",
                "--server-side-encryption-configuration file://encryption.json",
            ),
        ),
        (
            "it ends uploads that nobody goes on with; this replaces every rule that it has, so \
             put them into lifecycle.json first",
            put(
                "put-bucket-lifecycle-configuration",
                "--lifecycle-configuration file://lifecycle.json >/dev/null",
            ),
        ),
    ]
}

fn indented(command: &str) -> String {
    let lines = command.lines().map(|line| format!("  {line}\n"));
    lines.collect()
}

/// **Decision.** A bucket that was there is left as it is, with advice. **Because** each of these
/// commands replaces what was set, and others may keep their things in it. **Instead of** merging
/// with what is there, which is the customer's to judge.
fn bucket(kit: &AwsKit) -> String {
    let (bucket, region) = (quoted(&kit.bucket), quoted(&kit.region));
    let settings = settings(&bucket, &region);
    let made: String = settings.iter().map(|(_, put)| indented(put)).collect();
    let advice = settings
        .iter()
        .map(|(what, put)| format!("- {what}:\n{}", indented(put)));
    let advice: String = advice.collect();
    // us-east-1 is where a bucket is made that names no place, and S3 refuses its name here.
    let place = match kit.region.as_str() {
        "us-east-1" => String::new(),
        _ => format!(" \\\n    --create-bucket-configuration LocationConstraint={region}"),
    };
    format!(
        "
# A bucket that is not public, whose objects are all its owner's, encrypted, and without leftovers.
# One that is there already is left as it is.
if told=$(aws s3api head-bucket --bucket {bucket} --region {region} 2>&1); then
  cat >&2 <<'ADVICE'
create.sh: the bucket {bucket} was there before, and is left as it is. We advise, where it is not
so yet (in this folder):
{advice}ADVICE
else
  # Anything but its absence, a bucket of somebody else's for instance, is for a person.
  case $told in
  *'(404)'*) ;;
  *) printf '%s\\n' \"$told\" >&2 && exit 1 ;;
  esac
  aws s3api create-bucket --bucket {bucket} --region {region}{place} >/dev/null
{made}fi
"
    )
}
