//! What a customer's role on AWS is made of, whatever language it is written in.

use std::fmt;

use recording::{Need, Permission, Scope, When};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Document, Kit, cloudformation, command, iam, terraform};

/// The policy's name within the role.
pub(super) const POLICY_NAME: &str = "callferry";
/// A role's sessions may last an hour; ours ask for no more.
pub(super) const SESSION_SECONDS: u32 = 3600;
/// After so many days the bucket itself ends uploads in parts that nobody goes on with.
pub(super) const ABORT_AFTER_DAYS: u32 = 7;

/// A division of AWS whose identities and resources know nothing of the others'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Partition {
    /// All regions but those below.
    Aws,
    /// China.
    China,
    /// The government's.
    Government,
}

impl Partition {
    /// The partition of a region.
    pub(crate) fn of(region: &str) -> Self {
        if region.starts_with("cn-") {
            Self::China
        } else if region.starts_with("us-gov-") {
            Self::Government
        } else {
            Self::Aws
        }
    }

    /// The word in ARNs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::China => "aws-cn",
            Self::Government => "aws-us-gov",
        }
    }

    /// What the names of services end with.
    fn domain(self) -> &'static str {
        match self {
            Self::Aws | Self::Government => "amazonaws.com",
            Self::China => "amazonaws.com.cn",
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A role's name with the path before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleName {
    /// `/`, or as in `/vendors/`.
    pub(crate) path: String,
    /// Up to 64 characters.
    pub(crate) name: String,
}

/// Everything that the documents say.
#[derive(Debug, Clone)]
pub(crate) struct AwsKit {
    /// An account's id, or `default`.
    pub(crate) owner: String,
    /// Where.
    pub(crate) partition: Partition,
    /// The bucket's region.
    pub(crate) region: String,
    /// An S3-compatible server's origin.
    pub(crate) endpoint: Option<String>,
    /// The bucket's name.
    pub(crate) bucket: String,
    /// The destination's prefix, without slashes at its ends; empty for none.
    pub(crate) prefix: String,
    /// What leads every key, with a slash at its end or empty; `*` in it is a pattern.
    pub(crate) keys: String,
    /// The ARN of the encryption key.
    pub(crate) kms_key: Option<String>,
    /// The customer's AWS account, where it is known.
    pub(crate) aws_account: Option<String>,
    /// The role.
    pub(crate) role: RoleName,
    /// Whom the role trusts: the ARNs of our identities.
    pub(crate) principals: Vec<String>,
    /// What it must be asked with.
    pub(crate) external_id: String,
    /// What it allows.
    pub(crate) permissions: Vec<Permission>,
    /// Whether the kit also makes the bucket.
    pub(crate) creates_bucket: bool,
    /// The ARN of the role that the destination in force is reached by.
    pub(crate) in_force: Option<String>,
    /// Whether anything that was asked for is not as it is in force.
    pub(crate) differs: bool,
}

/// The permissions for these needs: `storing` and `tidiness` always are.
pub(crate) fn permissions(needs: &[Need], applies: impl Fn(When) -> bool) -> Vec<Permission> {
    let is_chosen = |permission: &Permission| {
        let mut purposes = permission.purposes().iter();
        let wanted = |need: Need| match need {
            Need::Storing | Need::Tidiness => true,
            Need::Playback | Need::Retention => needs.contains(&need),
        };
        applies(permission.when()) && purposes.any(|purpose| wanted(purpose.need()))
    };
    Permission::ALL.iter().copied().filter(is_chosen).collect()
}

/// Why, as an identifier: what IAM takes as a statement's id.
pub(super) fn sid(permission: Permission) -> String {
    let why = permission.why().replace('\'', "");
    let words = why.split(|c: char| !c.is_ascii_alphanumeric());
    words.map(capitalised).collect()
}

/// Whose recordings they are, for people.
pub(super) fn whose(owner: &str) -> &str {
    match owner {
        "default" => "accounts without a bucket of their own",
        account => account,
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

impl AwsKit {
    /// The role's ARN, if the customer's AWS account is known.
    pub(crate) fn role_arn(&self) -> Option<String> {
        let account = self.aws_account.as_ref()?;
        let RoleName { path, name } = &self.role;
        Some(format!(
            "arn:{}:iam::{account}:role{path}{name}",
            self.partition
        ))
    }

    /// The pattern of keys that listing is allowed for; `None`: of any.
    pub(super) fn listed_keys(&self) -> Option<String> {
        (!self.keys.is_empty()).then(|| format!("{}*", self.keys))
    }

    /// S3 as the service by whose way the key may be used; a compatible server has another name.
    pub(super) fn via_service(&self) -> Option<String> {
        let domain = self.partition.domain();
        let is_aws = self.endpoint.is_none();
        is_aws.then(|| format!("s3.{}.{domain}", self.region))
    }

    /// What the role is for.
    pub(super) fn description(&self) -> String {
        format!("callferry stores call recordings of {}", whose(&self.owner))
    }

    /// The first lines of each file that has comments.
    pub(super) fn title(&self) -> String {
        format!(
            "A role with which callferry stores call recordings of {} in the bucket {},\n\
             and can do nothing else. Made by: callferry setup-kit {}",
            whose(&self.owner),
            self.bucket,
            self.owner
        )
    }

    /// The kit in plain JSON, for the AWS command line.
    pub(crate) fn iam(&self) -> Kit {
        let steps = vec![
            "Run create.sh with an administrator's credentials of the AWS account that owns the \
             bucket; it needs the AWS command line, and ends by printing the role's ARN."
                .to_owned(),
        ];
        self.kit(iam::documents(self), steps)
    }

    /// The kit as a `CloudFormation` template.
    pub(crate) fn cloudformation(&self) -> Kit {
        let deploy = command(
            "aws cloudformation deploy --capabilities CAPABILITY_NAMED_IAM",
            &[
                ("--region", &self.region),
                ("--stack-name", &self.stack_name()),
                ("--template-file", cloudformation::FILE),
            ],
        );
        let steps = vec![
            format!(
                "Deploy {} in the account that owns the bucket:\n{deploy}",
                cloudformation::FILE
            ),
            "The stack's output RoleArn is the role's ARN.".to_owned(),
        ];
        self.kit(vec![cloudformation::document(self)], steps)
    }

    /// The kit as a Terraform module.
    pub(crate) fn terraform(&self) -> Kit {
        let steps = vec![
            format!(
                "Apply {} in the account that owns the bucket:\nterraform init && terraform apply",
                terraform::FILE
            ),
            "The output role_arn is the role's ARN.".to_owned(),
        ];
        self.kit(vec![terraform::document(self)], steps)
    }

    fn kit(&self, mut documents: Vec<Document>, mut steps: Vec<String>) -> Kit {
        if let Some(document) = self.key_policy() {
            steps.push(format!(
                "Where the key is of another account, or its policy does not let IAM policies \
                 decide, add the statement in {} to the key's policy.",
                document.name
            ));
            documents.push(document);
        }
        Kit {
            documents,
            steps,
            next: self.next(),
            notes: self.notes(),
        }
    }

    /// What must be added to the policy of a key that is another account's.
    fn key_policy(&self) -> Option<Document> {
        self.kms_key.as_ref()?;
        let role = self.role_arn()?;
        let actions = self.permissions.iter().copied();
        let actions = actions.filter(|permission| permission.scope() == Scope::Key);
        let actions: Vec<_> = actions.map(Permission::action).collect();
        let mut statement = json!({
            "Sid": "CallferryUsesThisKeyForRecordings",
            "Effect": "Allow",
            "Principal": { "AWS": role },
            "Action": actions,
            "Resource": "*",
        });
        if let (Some(service), Some(fields)) = (self.via_service(), statement.as_object_mut()) {
            let only = json!({ "StringEquals": { "kms:ViaService": service } });
            fields.insert("Condition".to_owned(), only);
        }
        let what = "a statement for the key's policy, if the key is another account's";
        Some(Document::json(
            "key-policy-statement.json",
            what,
            &statement,
        ))
    }

    fn stack_name(&self) -> String {
        // Letters, digits and hyphens only, beginning with a letter.
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = self.role.name.chars().map(plain).collect();
        format!("recordings-{name}")
    }

    /// Whether everything that the kit speaks of is in force already.
    fn is_in_force(&self) -> bool {
        !self.differs && self.in_force.is_some() && self.in_force == self.role_arn()
    }

    fn next(&self) -> Vec<String> {
        let check = format!("callferry destination check {}", self.owner);
        // Set anew, it would lose what a kit does not speak of: tags, a storage class.
        if self.is_in_force() {
            return vec![check];
        }
        let role = self.role_arn().unwrap_or_else(|| "ROLE_ARN".to_owned());
        let mut options = vec![
            ("--bucket", self.bucket.as_str()),
            ("--region", self.region.as_str()),
            ("--role-arn", role.as_str()),
        ];
        if let Some(endpoint) = &self.endpoint {
            options.push(("--endpoint", endpoint));
        }
        if !self.prefix.is_empty() {
            options.push(("--prefix", &self.prefix));
        }
        if let Some(key) = &self.kms_key {
            options.push(("--kms-key", key));
        }
        let set = format!("callferry destination set {} s3", self.owner);
        vec![command(&set, &options), check]
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.aws_account.is_none() {
            notes.push(
                "ROLE_ARN below is what the customer's administrator sends back: the role's ARN."
                    .to_owned(),
            );
        }
        if self.in_force.is_some() && !self.is_in_force() {
            notes.push(format!(
                "`destination set` puts what it is told in the place of what is in force: say \
                 again what a kit does not speak of (tags, a storage class, how to encrypt), which \
                 `callferry destination show {}` shows.",
                self.owner
            ));
        }
        if !self.creates_bucket {
            notes.push(format!(
                "The bucket should end uploads in parts that nobody goes on with, by a lifecycle \
                 rule (AbortIncompleteMultipartUpload, {ABORT_AFTER_DAYS} days); --create-bucket \
                 makes a bucket that does."
            ));
        }
        let is_role = |arn: &String| arn.contains(":role/");
        if !self.principals.iter().all(is_role) {
            notes.push(
                "The role trusts a user of ours. A role would be narrower and has no long-lived \
                 key: run the fleet with one, and make the kit again."
                    .to_owned(),
            );
        }
        notes
    }
}

/// One statement as IAM reads it, in the order in which people write it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Statement {
    pub(super) sid: String,
    pub(super) effect: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) principal: Option<Value>,
    pub(super) action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) condition: Option<Value>,
}

/// A policy document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PolicyDocument {
    pub(super) version: &'static str,
    pub(super) statement: Vec<Statement>,
}

impl PolicyDocument {
    pub(super) fn of(statement: Vec<Statement>) -> Self {
        Self {
            version: "2012-10-17",
            statement,
        }
    }
}
