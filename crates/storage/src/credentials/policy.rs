//! What a session may do: the session policy and name that narrow a customer's role to one
//! purpose below one prefix.

use recording::{AccountId, S3Bucket};
use sha2::{Digest, Sha256};

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// Creating objects. It cannot read or delete.
    Write,
    /// Looking at objects and reading them. It cannot write or delete.
    Look,
    /// Listing and aborting uploads that nobody goes on with. It can do nothing to an object.
    Sweep,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Look => "look",
            Self::Sweep => "sweep",
        }
    }
}

/// The session's name in the customer's audit trail. An id may be longer than a name; twelve
/// digits of its hash tell accounts apart well enough for reading a trail.
pub(crate) fn session_name(purpose: Purpose, account: &AccountId) -> String {
    let hash = hex::encode(Sha256::digest(account.as_str()));
    let short = hash.get(..12).unwrap_or_default();
    format!("callferry-{}-{short}", purpose.as_str())
}

/// The session policy: it only ever takes away from what the role allows.
pub(crate) fn session_policy(
    s3: &S3Bucket,
    role_arn: &str,
    purpose: Purpose,
    prefix: &str,
) -> String {
    let partition = role_arn.split(':').nth(1).unwrap_or("aws");
    let bucket = format!("arn:{partition}:s3:::{}", s3.bucket);
    let below = literal(prefix);
    let objects = format!("{bucket}/{below}*");
    let mut statements = Vec::new();
    match purpose {
        Purpose::Write => {
            let mut actions = "\"s3:PutObject\",\"s3:AbortMultipartUpload\",\
                               \"s3:ListMultipartUploadParts\""
                .to_owned();
            if !s3.options.tags.is_empty() {
                actions.push_str(",\"s3:PutObjectTagging\"");
            }
            if s3.options.bucket_owner_full_control {
                actions.push_str(",\"s3:PutObjectAcl\"");
            }
            statements.push(allow(&actions, &objects, ""));
        }
        Purpose::Look => {
            statements.push(allow(
                "\"s3:GetObject\",\"s3:GetObjectVersion\"",
                &objects,
                "",
            ));
            let condition = match prefix {
                "" => String::new(),
                _ => format!(
                    "\"StringLike\":{{\"s3:prefix\":{}}}",
                    quoted(&format!("{below}*"))
                ),
            };
            statements.push(allow("\"s3:ListBucket\"", &bucket, &condition));
        }
        Purpose::Sweep => {
            // S3 knows no condition on the prefix of this listing; aborting is narrowed.
            statements.push(allow("\"s3:ListBucketMultipartUploads\"", &bucket, ""));
            statements.push(allow("\"s3:AbortMultipartUpload\"", &objects, ""));
        }
    }
    statements.extend(encryption(s3.kms_key.as_deref(), purpose));
    format!(
        "{{\"Version\":\"2012-10-17\",\"Statement\":[{}]}}",
        statements.join(",")
    )
}

/// Using the encryption key. A bucket without a key in the destination may still encrypt under
/// one by default; then any key will do, but only by way of S3.
fn encryption(kms_key: Option<&str>, purpose: Purpose) -> Option<String> {
    let actions = match purpose {
        Purpose::Write => "\"kms:GenerateDataKey\",\"kms:Decrypt\"",
        Purpose::Look => "\"kms:Decrypt\"",
        Purpose::Sweep => return None,
    };
    let is_key = |key: &&str| key.starts_with("arn:") && key.contains(":key/");
    Some(match kms_key.filter(is_key) {
        Some(arn) => allow(actions, &literal(arn), ""),
        // An alias or a bare id is no resource that a policy can name.
        None => {
            let by_s3 = "\"StringLike\":{\"kms:ViaService\":\"s3.*.amazonaws.com*\"}";
            allow(actions, "*", by_s3)
        }
    })
}

fn allow(actions: &str, resource: &str, condition: &str) -> String {
    let condition = match condition {
        "" => String::new(),
        some => format!(",\"Condition\":{{{some}}}"),
    };
    let resource = quoted(resource);
    format!("{{\"Effect\":\"Allow\",\"Action\":[{actions}],\"Resource\":{resource}{condition}}}")
}

/// Characters that a policy would take as a pattern stand for themselves.
fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '*' | '?' | '$' => {
                literal.push_str("${");
                literal.push(c);
                literal.push('}');
            }
            c => literal.push(c),
        }
    }
    literal
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len().saturating_add(2));
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/recordings";

    fn s3() -> S3Bucket {
        S3Bucket {
            bucket: "rec".to_owned(),
            region: "eu-west-1".to_owned(),
            role_arn: Some(ROLE.to_owned()),
            endpoint: None,
            prefix: String::new(),
            kms_key: None,
            storage_class: None,
            expected_owner: None,
            options: recording::S3Options::default(),
        }
    }

    #[test]
    fn each_purpose_gets_its_own_actions_below_its_prefix_only() {
        let write = session_policy(&s3(), ROLE, Purpose::Write, "acme/");
        assert!(write.contains("\"arn:aws:s3:::rec/acme/*\""), "{write}");
        for forbidden in ["s3:GetObject", "s3:Delete", "s3:ListBucket\"", "s3:*"] {
            assert!(!write.contains(forbidden), "{write}");
        }
        let look = session_policy(&s3(), ROLE, Purpose::Look, "acme/");
        assert!(look.contains("{\"s3:prefix\":\"acme/*\"}"), "{look}");
        for forbidden in ["s3:Put", "s3:Delete", "s3:Abort", "s3:*", "GenerateDataKey"] {
            assert!(!look.contains(forbidden), "{look}");
        }
        let sweep = session_policy(&s3(), ROLE, Purpose::Sweep, "acme/");
        let abort = "\"s3:AbortMultipartUpload\"],\"Resource\":\"arn:aws:s3:::rec/acme/*\"";
        assert!(sweep.contains(abort), "{sweep}");
        for forbidden in ["s3:Put", "s3:Get", "s3:Delete", "s3:*", "kms:"] {
            assert!(!sweep.contains(forbidden), "{sweep}");
        }
    }

    #[test]
    fn policies_are_short_and_patterns_in_a_prefix_stand_for_themselves() {
        let mut s3 = s3();
        s3.bucket = "b".repeat(63);
        let long = "p".repeat(256);
        for purpose in [Purpose::Write, Purpose::Look, Purpose::Sweep] {
            assert!(session_policy(&s3, ROLE, purpose, &long).len() <= 2048);
        }
        let odd = session_policy(&s3, ROLE, Purpose::Write, "a*b?\"/");
        assert!(odd.contains("/a${*}b${?}\\\"/*\""), "{odd}");
    }

    #[test]
    fn the_partition_is_the_roles_and_the_key_is_the_destinations() {
        let mut s3 = s3();
        let key = "arn:aws-cn:kms:cn-north-1:111122223333:key/k";
        s3.kms_key = Some(key.to_owned());
        let role = "arn:aws-cn:iam::111122223333:role/r";
        let policy = session_policy(&s3, role, Purpose::Write, "");
        assert!(policy.contains("\"arn:aws-cn:s3:::rec/*\""), "{policy}");
        assert!(
            policy.contains(&format!("\"Resource\":\"{key}\"")),
            "{policy}"
        );
    }

    #[test]
    fn names_fit_and_do_not_spell_out_the_account() {
        let account: AccountId = "x".repeat(128).parse().unwrap();
        let name = session_name(Purpose::Write, &account);
        assert!(
            name.len() <= 64 && name.starts_with("callferry-write-"),
            "{name}"
        );
        assert_ne!(name, session_name(Purpose::Look, &account));
    }
}
