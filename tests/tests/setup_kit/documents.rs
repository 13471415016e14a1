//! The kit's documents as programs that others wrote judge them. The files are those that the unit
//! tests of the kit compare with (`tests/golden/setup-kit`), so that these are the kit's own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::{environment, scratch};
use serde_json::Value;
use tokio::process::Command;

/// Nothing here computes for long; a program that hangs is a failure.
const LIMIT: Duration = Duration::from_secs(240);

/// Runs a command that must succeed, and returns what it wrote.
pub(crate) async fn must(command: &mut Command) -> Result<String> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let shown = format!("{:?}", command.as_std());
    let output = tokio::time::timeout(LIMIT, command.output()).await;
    let output = output.with_context(|| format!("did not end: {shown}"))??;
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{shown}\n{out}{errors}");
    Ok(out)
}

/// A program that `deploy/local/install.sh kit` has installed; skips `what` loudly where it could
/// not be.
pub(crate) fn installed(path: &str, what: &str) -> Result<Option<PathBuf>> {
    let program = environment::local().join("tools").join(path);
    if program.exists() {
        return Ok(Some(program));
    }
    let why = "deploy/local/install.sh kit has not run or could not install it";
    scratch::skip(what, why)?;
    Ok(None)
}

fn golden() -> PathBuf {
    environment::repository().join("tests/golden/setup-kit")
}

/// Every file of the golden kits that ends so.
fn files(end: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for case in std::fs::read_dir(golden())? {
        for file in std::fs::read_dir(case?.path())? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == end) {
                found.push(path);
            }
        }
    }
    found.sort();
    anyhow::ensure!(found.len() >= 2, "only {found:?} end with .{end}");
    Ok(found)
}

async fn read(file: &Path, what: &str) -> Result<Option<Value>> {
    let Some(python) = installed("kit/bin/python", what)? else {
        return Ok(None);
    };
    let script = environment::repository().join("tests/tools/setup_kit/read.py");
    let json = must(Command::new(python).arg(script).arg(file)).await?;
    Ok(Some(serde_json::from_str(&json)?))
}

/// Every (action, resource) of the statements of a policy in JSON, with what stands for it in
/// other languages put in.
fn granted(
    statements: &Value,
    names: (&str, &str),
    put_in: &[(&str, &str)],
) -> Vec<(String, String)> {
    let (action, resource) = names;
    let said = |value: &Value| {
        let value = value.get(0).unwrap_or(value);
        let value = value.get("Fn::Sub").or(value.get("Ref")).unwrap_or(value);
        let mut text = value.as_str().expect("a text").trim_matches('"').to_owned();
        for (from, to) in put_in {
            text = text.replace(from, to);
        }
        text
    };
    let statements = statements.as_array().expect("statements");
    let granted = statements.iter();
    granted
        .map(|one| (said(&one[action]), said(&one[resource])))
        .collect()
}

fn plain(case: &str) -> Result<Vec<(String, String)>> {
    let file = golden().join(format!("iam-{case}/permissions.json"));
    let policy: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    Ok(granted(&policy["Statement"], ("Action", "Resource"), &[]))
}

/// What stands in each language for what the plain documents say, in a kit of the unit tests.
fn put_in(case: &str) -> Vec<(&'static str, &'static str)> {
    let (partition, keys) = match case {
        "plain" => ("aws", ""),
        _ => ("aws-cn", "acme/calls/eu's/"),
    };
    let key = "arn:aws-cn:kms:cn-north-1:111122223333:key/0a1b";
    vec![
        ("${AWS::Partition}", partition),
        ("${data.aws_partition.current.partition}", partition),
        ("${BucketName}", "acme-recordings"),
        ("${var.bucket}", "acme-recordings"),
        ("${KeyPrefix}", keys),
        ("${var.key_prefix}", keys),
        ("${var.kms_key_arn}", key),
        ("var.kms_key_arn", key),
        ("KmsKeyArn", key),
    ]
}

#[tokio::test]
async fn cloudformation_takes_the_templates_and_they_grant_what_the_plain_documents_do()
-> Result<()> {
    let what = "CloudFormation templates of the kit";
    let Some(linter) = installed("kit/bin/cfn-lint", what)? else {
        return Ok(());
    };
    let files = files("yaml")?;
    must(
        Command::new(linter)
            .args(["--non-zero-exit-code", "warning"])
            .args(&files),
    )
    .await?;
    for case in ["plain", "full"] {
        let file = golden().join(format!("cloudformation-{case}/callferry-role.yaml"));
        let Some(template) = read(&file, what).await? else {
            return Ok(());
        };
        let properties = &template["Resources"]["Role"]["Properties"];
        let statements = &properties["Policies"][0]["PolicyDocument"]["Statement"];
        let said = granted(statements, ("Action", "Resource"), &put_in(case));
        assert_eq!(said, plain(case)?, "{case}");
        let trust = &properties["AssumeRolePolicyDocument"]["Statement"][0];
        assert_eq!(
            trust["Condition"]["StringEquals"]["sts:ExternalId"]["Ref"],
            "ExternalId"
        );
        assert!(template["Outputs"]["RoleArn"].is_object(), "{template}");
    }
    Ok(())
}

#[tokio::test]
async fn terraform_modules_are_read_and_grant_what_the_plain_documents_do() -> Result<()> {
    for case in ["plain", "full"] {
        let file = golden().join(format!("terraform-{case}/callferry-role.tf"));
        let Some(module) = read(&file, "Terraform modules of the kit").await? else {
            return Ok(());
        };
        let documents = module["data"].as_array().expect("data");
        let mut documents = documents.iter().map(unquoted);
        let permissions = documents.find_map(|one| {
            let found = &one["aws_iam_policy_document"]["permissions"];
            found.is_object().then(|| found.clone())
        });
        let permissions = permissions.context("no permissions")?;
        let said = granted(
            &permissions["statement"],
            ("actions", "resources"),
            &put_in(case),
        );
        assert_eq!(said, plain(case)?, "{case}");
    }
    Ok(())
}

/// Names without the quotes that a reader of HCL leaves on them.
fn unquoted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields =
                fields.map(|(key, value)| (key.trim_matches('"').to_owned(), unquoted(value)));
            Value::Object(fields.collect())
        }
        Value::Array(values) => Value::Array(values.iter().map(unquoted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[tokio::test]
async fn bicep_files_are_read_by_a_parser_that_is_not_ours() -> Result<()> {
    // No compiler of Bicep can be had here, so that types and API versions are not checked.
    for file in files("bicep")? {
        let Some(read) = read(&file, "Bicep files of the kit").await? else {
            return Ok(());
        };
        let resources = read["resources"].as_object().expect("resources");
        for name in ["account", "container", "role", "assignment"] {
            assert!(resources.contains_key(name), "{name}: {}", file.display());
        }
    }
    Ok(())
}

#[tokio::test]
async fn scripts_are_sound_by_shellcheck() -> Result<()> {
    let path = environment::path();
    let mut places = std::env::split_paths(&path).map(|place| place.join("shellcheck"));
    let Some(shellcheck) = places.find(|place| place.is_file()) else {
        return scratch::skip("scripts of the kit", "no shellcheck here");
    };
    must(
        Command::new(shellcheck)
            .args(["--shell", "sh", "--severity", "style"])
            .args(files("sh")?),
    )
    .await?;
    Ok(())
}
