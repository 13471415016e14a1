//! The kit as a Terraform module.

use recording::{Permission, Scope};

use super::aws::{ABORT_AFTER_DAYS, AwsKit, POLICY_NAME, SESSION_SECONDS, sid};
use super::iam::TRUST_SID;
use super::{Document, comment, text};

/// The file's name.
pub(super) const FILE: &str = "callferry-role.tf";

pub(super) fn document(kit: &AwsKit) -> Document {
    let mut hcl = comment("#", &kit.title());
    hcl.push_str(
        "
terraform {
  required_version = \">= 1.3\"
  required_providers {
    aws = {
      source  = \"hashicorp/aws\"
      version = \">= 5.0\"
    }
  }
}

",
    );
    hcl.push_str(&variables(kit));
    hcl.push_str("data \"aws_partition\" \"current\" {}\n\n");
    if kit.creates_bucket {
        hcl.push_str(&bucket(kit));
    }
    hcl.push_str(&trust());
    hcl.push_str(&permissions(kit));
    hcl.push_str(&role(kit));
    Document::new(FILE, "a Terraform module with the role", hcl)
}

fn variables(kit: &AwsKit) -> String {
    let mut variables = vec![
        ("bucket", "The bucket for the recordings", &kit.bucket),
        ("role_name", "What the role is called", &kit.role.name),
        (
            "external_id",
            "The external id that callferry gave this account; do not change it",
            &kit.external_id,
        ),
    ];
    if !kit.keys.is_empty() {
        let what = "What leads every key, with the slash at its end";
        variables.insert(1, ("key_prefix", what, &kit.keys));
    }
    if let Some(key) = &kit.kms_key {
        variables.push((
            "kms_key_arn",
            "The key that recordings are encrypted under",
            key,
        ));
    }
    let mut hcl = String::new();
    for (name, what, default) in variables {
        hcl.push_str(&variable(name, what, "string", &text(default)));
    }
    let principals: Vec<_> = kit.principals.iter().map(|arn| text(arn)).collect();
    let principals = format!("[{}]", principals.join(", "));
    let what = "The identities of callferry that may assume the role";
    hcl.push_str(&variable(
        "principal_arns",
        what,
        "list(string)",
        &principals,
    ));
    hcl
}

fn variable(name: &str, what: &str, kind: &str, default: &str) -> String {
    let what = text(what);
    format!(
        "variable \"{name}\" {{
  description = {what}
  type        = {kind}
  default     = {default}
}}

"
    )
}

fn trust() -> String {
    format!(
        "data \"aws_iam_policy_document\" \"trust\" {{
  # callferry, and only with the external id of this account.
  statement {{
    sid     = \"{TRUST_SID}\"
    actions = [\"sts:AssumeRole\"]
    principals {{
      type        = \"AWS\"
      identifiers = var.principal_arns
    }}
    condition {{
      test     = \"StringEquals\"
      variable = \"sts:ExternalId\"
      values   = [var.external_id]
    }}
  }}
}}

"
    )
}

fn permissions(kit: &AwsKit) -> String {
    let statements = kit.permissions.iter();
    let statements: String = statements.map(|one| statement(kit, *one)).collect();
    format!("data \"aws_iam_policy_document\" \"permissions\" {{\n{statements}}}\n\n")
}

fn statement(kit: &AwsKit, permission: Permission) -> String {
    let bucket = "arn:${data.aws_partition.current.partition}:s3:::${var.bucket}";
    let below = if kit.keys.is_empty() {
        ""
    } else {
        "${var.key_prefix}"
    };
    let resource = match permission.scope() {
        Scope::Objects => format!("\"{bucket}/{below}*\""),
        Scope::BucketBelowPrefix | Scope::Bucket => format!("\"{bucket}\""),
        Scope::Key => "var.kms_key_arn".to_owned(),
    };
    let condition = match permission.scope() {
        Scope::BucketBelowPrefix if !below.is_empty() => {
            condition("StringLike", "s3:prefix", &format!("\"{below}*\""))
        }
        Scope::Key => match kit.via_service() {
            Some(service) => condition("StringEquals", "kms:ViaService", &text(&service)),
            None => String::new(),
        },
        Scope::Objects | Scope::BucketBelowPrefix | Scope::Bucket => String::new(),
    };
    format!(
        "  # {}
  statement {{
    sid       = \"{}\"
    actions   = [\"{}\"]
    resources = [{resource}]
{condition}  }}
",
        permission.why(),
        sid(permission),
        permission.action(),
    )
}

fn condition(test: &str, variable: &str, value: &str) -> String {
    format!(
        "    condition {{
      test     = \"{test}\"
      variable = \"{variable}\"
      values   = [{value}]
    }}
"
    )
}

fn role(kit: &AwsKit) -> String {
    let path = match kit.role.path.as_str() {
        "/" => String::new(),
        path => format!("  path                 = {}\n", text(path)),
    };
    let description = text(&kit.description());
    format!(
        "resource \"aws_iam_role\" \"callferry\" {{
  name                 = var.role_name
{path}  description          = {description}
  max_session_duration = {SESSION_SECONDS}
  assume_role_policy   = data.aws_iam_policy_document.trust.json
}}

resource \"aws_iam_role_policy\" \"callferry\" {{
  name   = \"{POLICY_NAME}\"
  role   = aws_iam_role.callferry.id
  policy = data.aws_iam_policy_document.permissions.json
}}

output \"role_arn\" {{
  description = \"What callferry is told: callferry destination set … --role-arn\"
  value       = aws_iam_role.callferry.arn
}}
"
    )
}

fn bucket(kit: &AwsKit) -> String {
    let (algorithm, key) = if kit.kms_key.is_some() {
        ("aws:kms", "    bucket_key_enabled = true\n")
    } else {
        ("AES256", "")
    };
    let master = match &kit.kms_key {
        Some(_) => "      kms_master_key_id = var.kms_key_arn\n",
        None => "",
    };
    format!(
        "# Not public, all objects its owner's, encrypted, without leftovers.
resource \"aws_s3_bucket\" \"recordings\" {{
  bucket = var.bucket
  lifecycle {{
    prevent_destroy = true
  }}
}}

resource \"aws_s3_bucket_public_access_block\" \"recordings\" {{
  bucket                  = aws_s3_bucket.recordings.id
  block_public_acls       = true
  ignore_public_acls      = true
  block_public_policy     = true
  restrict_public_buckets = true
}}

resource \"aws_s3_bucket_ownership_controls\" \"recordings\" {{
  bucket = aws_s3_bucket.recordings.id
  rule {{
    object_ownership = \"BucketOwnerEnforced\"
  }}
}}

resource \"aws_s3_bucket_server_side_encryption_configuration\" \"recordings\" {{
  bucket = aws_s3_bucket.recordings.id
  rule {{
{key}    apply_server_side_encryption_by_default {{
      sse_algorithm = \"{algorithm}\"
{master}    }}
  }}
}}

resource \"aws_s3_bucket_lifecycle_configuration\" \"recordings\" {{
  bucket = aws_s3_bucket.recordings.id
  rule {{
    id     = \"EndUploadsThatNobodyGoesOnWith\"
    status = \"Enabled\"
    filter {{}}
    abort_incomplete_multipart_upload {{
      days_after_initiation = {ABORT_AFTER_DAYS}
    }}
  }}
}}

"
    )
}
