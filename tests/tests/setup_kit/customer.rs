//! The customer's side by the AWS command line: the kit's script makes bucket and role, may be run
//! again without touching a bucket that is there, and what it made is what the documents say.

use std::path::Path;

use anyhow::Result;
use callferry_tests::platform::{Platform, REGION};
use callferry_tests::s3::{Identity, Operation, Policy};
use tokio::process::Command;

use super::documents::installed;
use super::setting::{CUSTOMER, Setting};

/// The command line with an administrator's credentials of the customer's account.
fn as_administrator(aws: &Path, endpoint: &str, script: &Path) -> Command {
    let mut command = Command::new("sh");
    let tools = aws
        .parent()
        .map_or_else(String::new, |it| it.display().to_string());
    command
        .arg(script)
        .env_clear()
        .env("PATH", format!("{tools}:/usr/bin:/bin"))
        .env("HOME", script.parent().unwrap_or(script))
        .env("AWS_ACCESS_KEY_ID", "AKIDADMINISTRATORLAB")
        .env("AWS_SECRET_ACCESS_KEY", "laboratory-only-administrator")
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_makes_bucket_and_role_and_may_be_run_again() -> Result<()> {
    let Some(aws) = installed("aws/bin/aws", "the kit by the AWS command line")? else {
        return Ok(());
    };
    let mut setting = Setting::new("kit-script").await?;
    let lab = &setting.platform.lab;
    let everything = Policy::none().allow(&["s3:*", "iam:*"], &["*"]);
    let administrator = Identity::new("AKIDADMINISTRATORLAB", "laboratory-only-administrator")
        .named("administrator");
    lab.put_identity(administrator.of_account(CUSTOMER).allowed(everything));
    setting.platform.plain_account("acme").await?;
    let folder = setting.platform.staging.with_file_name("acme-kit");
    let out = folder.display().to_string();
    let options = ["--create-bucket", "--prefix", "calls", "--out", &out];
    let customer = setting.kit("acme", &options).await?;
    let endpoint = setting.platform.lab.endpoint();
    let script = folder.join("create.sh");
    let settings = |setting: &Setting| {
        let seen = setting.platform.lab.history().into_iter();
        let of_bucket = seen.filter(|one| {
            one.operation == Operation::Other && one.bucket.as_ref() == Some(&customer.bucket)
        });
        of_bucket.count()
    };
    let mut made = 0;
    for time in ["first", "second"] {
        let mut command = as_administrator(&aws, &endpoint, &script);
        let output = command.kill_on_drop(true).output().await?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let advice = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{time}: {printed}{advice}");
        assert_eq!(printed.trim(), customer.role, "{time}");
        // What is there by now may hold other people's rules: it is advised, and not replaced.
        if time == "first" {
            made = settings(&setting);
            assert!(made >= 4 && advice.is_empty(), "{made}: {advice}");
        } else {
            assert_eq!(settings(&setting), made, "the bucket was set up again");
            for says in ["was there before", "put-bucket-lifecycle-configuration"] {
                assert!(advice.contains(says), "{advice}");
            }
        }
    }
    assert_eq!(Platform::bucket("acme"), customer.bucket);
    setting.set(&customer).await?;
    setting
        .start(&["transfer", "cleanup", "housekeeping"])
        .await?;
    setting.record("acme", "rec-1", 5000).await?;
    let none = serde_json::Value::Null;
    setting.until(("acme", "rec-1"), "released", &none).await?;
    assert_eq!(setting.stored(&customer).len(), 1);
    setting.stop().await
}
