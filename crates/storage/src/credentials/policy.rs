//! What a session may do: the session policy and name that narrow a customer's role to one
//! purpose below one prefix. Its actions are those of the one table, [`Permission`].

use recording::{AccountId, Permission, Purpose, S3Bucket, Scope, When};
use sha2::{Digest, Sha256};

/// The session's name in the customer's audit trail. An id may be longer than a name; twelve
/// digits of its hash tell accounts apart well enough for reading a trail.
pub(crate) fn session_name(purpose: Purpose, account: &AccountId) -> String {
    let hash = hex::encode(Sha256::digest(account.as_str()));
    let short = hash.get(..12).unwrap_or_default();
    format!("callferry-{}-{short}", purpose.as_str())
}

/// When the permissions of a destination's sessions are needed. Encryption always is: a bucket
/// without a key in the destination may still encrypt under one by default.
fn conditions(s3: &S3Bucket) -> Vec<When> {
    let mut conditions = vec![When::Always, When::Encrypted];
    if !s3.options.tags.is_empty() {
        conditions.push(When::Tagged);
    }
    if s3.options.bucket_owner_full_control {
        conditions.push(When::OwnerControl);
    }
    conditions
}

/// The session policy: it only ever takes away from what the role allows.
pub(crate) fn session_policy(
    s3: &S3Bucket,
    role_arn: &str,
    purpose: Purpose,
    prefix: &str,
) -> String {
    let conditions = conditions(s3);
    let needed = Permission::ALL.iter().copied().filter(|permission| {
        permission.purposes().contains(&purpose) && conditions.contains(&permission.when())
    });
    let needed: Vec<_> = needed.collect();
    let statements = statements(s3, role_arn, &needed, prefix);
    format!(
        "{{\"Version\":\"2012-10-17\",\"Statement\":[{}]}}",
        statements.join(",")
    )
}

/// The statements that allow these permissions below a prefix, as a role's policy would say it.
pub(crate) fn statements(
    s3: &S3Bucket,
    role_arn: &str,
    permissions: &[Permission],
    prefix: &str,
) -> Vec<String> {
    let partition = role_arn.split(':').nth(1).unwrap_or("aws");
    let bucket = format!("arn:{partition}:s3:::{}", s3.bucket);
    let below = literal(prefix);
    let mut statements = Vec::new();
    for scope in [
        Scope::Objects,
        Scope::BucketBelowPrefix,
        Scope::Bucket,
        Scope::Key,
    ] {
        let actions = permissions.iter().filter(|it| it.scope() == scope);
        let actions: Vec<_> = actions.map(|it| quoted(it.action())).collect();
        if actions.is_empty() {
            continue;
        }
        let actions = actions.join(",");
        statements.push(match scope {
            Scope::Objects => allow(&actions, &format!("{bucket}/{below}*"), ""),
            Scope::BucketBelowPrefix if !prefix.is_empty() => {
                let below = quoted(&format!("{below}*"));
                let condition = format!("\"StringLike\":{{\"s3:prefix\":{below}}}");
                allow(&actions, &bucket, &condition)
            }
            Scope::BucketBelowPrefix | Scope::Bucket => allow(&actions, &bucket, ""),
            Scope::Key => of_key(&actions, s3.kms_key.as_deref()),
        });
    }
    statements
}

/// Using the encryption key.
fn of_key(actions: &str, kms_key: Option<&str>) -> String {
    let is_key = |key: &&str| key.starts_with("arn:") && key.contains(":key/");
    match kms_key.filter(is_key) {
        Some(arn) => allow(actions, &literal(arn), ""),
        // An alias or a bare id is no resource that a policy can name, and a bucket's own default
        // is not known here. Then any key will do, but only by way of S3.
        None => {
            let by_s3 = "\"StringLike\":{\"kms:ViaService\":\"s3.*.amazonaws.com*\"}";
            allow(actions, "*", by_s3)
        }
    }
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
    fn a_purpose_gets_every_permission_that_the_table_gives_it() {
        for purpose in Purpose::ALL {
            let policy = session_policy(&s3(), ROLE, purpose, "acme/");
            for permission in Permission::ALL {
                let action = format!("\"{}\"", permission.action());
                let needed = permission.purposes().contains(&purpose)
                    && matches!(permission.when(), When::Always | When::Encrypted);
                assert_eq!(policy.contains(&action), needed, "{purpose:?} {action}");
            }
        }
    }

    #[test]
    fn what_a_destination_gives_its_objects_is_allowed_to_whoever_writes_and_nobody_else() {
        let mut s3 = s3();
        let tags = [("team".to_owned(), "calls".to_owned())];
        s3.options.tags = recording::ObjectTags::new(tags).unwrap();
        s3.options.bucket_owner_full_control = true;
        for purpose in Purpose::ALL {
            let policy = session_policy(&s3, ROLE, purpose, "acme/");
            for action in ["\"s3:PutObjectTagging\"", "\"s3:PutObjectAcl\""] {
                let writes = purpose == Purpose::Write;
                assert_eq!(policy.contains(action), writes, "{purpose:?} {action}");
            }
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
        for gone in ["ListBucketVersions", "Uploads\""] {
            assert!(!look.contains(gone), "{look}");
        }
        let play = session_policy(&s3(), ROLE, Purpose::Play, "acme/");
        for forbidden in ["s3:Put", "s3:Delete", "s3:List", "s3:*"] {
            assert!(!play.contains(forbidden), "{play}");
        }
        let expire = session_policy(&s3(), ROLE, Purpose::Expire, "acme/");
        for forbidden in ["s3:Put", "s3:Abort", "s3:*", "GenerateDataKey"] {
            assert!(!expire.contains(forbidden), "{expire}");
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
        // The longest of everything that the command line takes: bucket, key, partition; account
        // and prefix with two slashes, and the folder of a check.
        let mut s3 = s3();
        s3.bucket = "b".repeat(63);
        let key = "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/";
        s3.kms_key = Some(format!("{key:a<128}"));
        let tags = [("team".to_owned(), "calls".to_owned())];
        s3.options.tags = recording::ObjectTags::new(tags).unwrap();
        s3.options.bucket_owner_full_control = true;
        let role = format!("arn:{:x<16}:iam::111122223333:role/r", "aws-");
        let long = format!("{}{}", "p".repeat(128 + 512 + 2), crate::check::FOLDER);
        for purpose in Purpose::ALL {
            let policy = session_policy(&s3, &role, purpose, &long);
            assert!(policy.len() <= 2048, "{purpose:?}: {}", policy.len());
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
