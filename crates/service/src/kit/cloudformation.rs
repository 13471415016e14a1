//! The kit as a `CloudFormation` template. The values are parameters with defaults, so that an
//! administrator sees them in the console before the stack is made.

use recording::{Permission, Scope};

use super::aws::{ABORT_AFTER_DAYS, AwsKit, POLICY_NAME, SESSION_SECONDS, sid};
use super::iam::TRUST_SID;
use super::{Document, comment, text};

/// The file's name.
pub(super) const FILE: &str = "callferry-role.yaml";
/// The parameter that is a list.
const PRINCIPALS: &str = "PrincipalArns";

pub(super) fn document(kit: &AwsKit) -> Document {
    let mut yaml = comment("#", &kit.title());
    yaml.push_str("AWSTemplateFormatVersion: \"2010-09-09\"\n");
    yaml.push_str(&format!("Description: {}\n\n", text(&kit.description())));
    yaml.push_str(&parameters(kit));
    yaml.push_str("\nResources:\n");
    if kit.creates_bucket {
        yaml.push_str(&bucket(kit));
    }
    yaml.push_str(&role(kit));
    yaml.push_str(
        "
Outputs:
  RoleArn:
    Description: What callferry is told, as in `callferry destination set … --role-arn`
    Value: !GetAtt Role.Arn
",
    );
    Document::new(FILE, "a CloudFormation template with the role", yaml)
}

fn parameters(kit: &AwsKit) -> String {
    let principals = kit.principals.join(",");
    let mut parameters = vec![
        ("BucketName", "The bucket for the recordings", &kit.bucket),
        ("RoleName", "What the role is called", &kit.role.name),
        (
            PRINCIPALS,
            "The identities of callferry that may assume the role, with commas between them",
            &principals,
        ),
        (
            "ExternalId",
            "The external id that callferry gave this account; do not change it",
            &kit.external_id,
        ),
    ];
    if !kit.keys.is_empty() {
        let what = "What leads every key, with the slash at its end";
        parameters.insert(1, ("KeyPrefix", what, &kit.keys));
    }
    if let Some(key) = &kit.kms_key {
        parameters.push((
            "KmsKeyArn",
            "The key that recordings are encrypted under",
            key,
        ));
    }
    let mut yaml = String::from("Parameters:\n");
    for (name, what, default) in parameters {
        let kind = match name {
            PRINCIPALS => "CommaDelimitedList",
            _ => "String",
        };
        yaml.push_str(&format!(
            "  {name}:\n    Type: {kind}\n    Description: {}\n    Default: {}\n",
            text(what),
            text(default)
        ));
    }
    yaml
}

fn role(kit: &AwsKit) -> String {
    let path = match kit.role.path.as_str() {
        "/" => String::new(),
        path => format!("      Path: {}\n", text(path)),
    };
    let description = text(&kit.description());
    let mut yaml = format!(
        "  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: !Ref RoleName
{path}      Description: {description}
      MaxSessionDuration: {SESSION_SECONDS}
      AssumeRolePolicyDocument:
        Version: \"2012-10-17\"
        Statement:
          # callferry, and only with the external id of this account.
          - Sid: {TRUST_SID}
            Effect: Allow
            Principal:
              AWS: !Ref {PRINCIPALS}
            Action: sts:AssumeRole
            Condition:
              StringEquals:
                sts:ExternalId: !Ref ExternalId
      Policies:
        - PolicyName: {POLICY_NAME}
          PolicyDocument:
            Version: \"2012-10-17\"
            Statement:
"
    );
    for permission in &kit.permissions {
        yaml.push_str(&statement(kit, *permission));
    }
    yaml
}

fn statement(kit: &AwsKit, permission: Permission) -> String {
    let bucket = "arn:${AWS::Partition}:s3:::${BucketName}";
    let below = if kit.keys.is_empty() {
        ""
    } else {
        "${KeyPrefix}"
    };
    let resource = match permission.scope() {
        Scope::Objects => format!("!Sub \"{bucket}/{below}*\""),
        Scope::BucketBelowPrefix | Scope::Bucket => format!("!Sub \"{bucket}\""),
        Scope::Key => "!Ref KmsKeyArn".to_owned(),
    };
    let condition = match permission.scope() {
        Scope::BucketBelowPrefix if !below.is_empty() => {
            let keys = "StringLike:\n                    s3:prefix: !Sub \"${KeyPrefix}*\"";
            format!("                Condition:\n                  {keys}\n")
        }
        Scope::Key => match kit.via_service() {
            Some(service) => format!(
                "                Condition:\n                  StringEquals:\n                    \
                 kms:ViaService: {}\n",
                text(&service)
            ),
            None => String::new(),
        },
        Scope::Objects | Scope::BucketBelowPrefix | Scope::Bucket => String::new(),
    };
    format!(
        "              # {}
              - Sid: {}
                Effect: Allow
                Action: {}
                Resource: {resource}
{condition}",
        permission.why(),
        sid(permission),
        permission.action(),
    )
}

fn bucket(kit: &AwsKit) -> String {
    let encryption = if kit.kms_key.is_some() {
        "          - BucketKeyEnabled: true
            ServerSideEncryptionByDefault:
              SSEAlgorithm: aws:kms
              KMSMasterKeyID: !Ref KmsKeyArn"
    } else {
        "          - ServerSideEncryptionByDefault:
              SSEAlgorithm: AES256"
    };
    format!(
        "  # Not public, all objects its owner's, encrypted, without leftovers; it stays when the
  # stack goes.
  Bucket:
    Type: AWS::S3::Bucket
    DeletionPolicy: Retain
    UpdateReplacePolicy: Retain
    Properties:
      BucketName: !Ref BucketName
      PublicAccessBlockConfiguration:
        BlockPublicAcls: true
        IgnorePublicAcls: true
        BlockPublicPolicy: true
        RestrictPublicBuckets: true
      OwnershipControls:
        Rules:
          - ObjectOwnership: BucketOwnerEnforced
      BucketEncryption:
        ServerSideEncryptionConfiguration:
{encryption}
      LifecycleConfiguration:
        Rules:
          - Id: EndUploadsThatNobodyGoesOnWith
            Status: Enabled
            AbortIncompleteMultipartUpload:
              DaysAfterInitiation: {ABORT_AFTER_DAYS}
"
    )
}
