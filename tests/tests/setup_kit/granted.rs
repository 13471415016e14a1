//! The fleet with a role that allows exactly what the kit grants, on a server that enforces it:
//! everything that the fleet does for a recording works, and nothing is ever denied.

use anyhow::Result;
use callferry_tests::patience;
use callferry_tests::platform::Platform;
use callferry_tests::s3::{Fault, FaultRule, Operation};
use serde_json::Value;

use super::setting::{IN_PARTS, KEY, LONG, Setting};

/// What the fleet asked of a bucket and was denied.
fn denied(platform: &Platform) -> Vec<String> {
    let seen = platform.lab.history();
    let denied = seen.iter().filter(|one| one.status == Some(403));
    denied.map(|one| format!("{one:?}")).collect()
}

fn did(platform: &Platform, operation: Operation, role: &str) -> bool {
    let seen = platform.lab.history();
    let mut of_role = seen.iter();
    of_role.any(|one| one.operation == operation && one.caller.role_arn.as_deref() == Some(role))
}

#[tokio::test(flavor = "multi_thread")]
async fn with_exactly_the_permissions_of_the_kit_everything_works() -> Result<()> {
    let mut setting = Setting::new("kit-granted").await?;
    let plain = setting.customer("acme", false, &[]).await?;
    let options = ["--prefix", "calls/eu", "--kms-key", KEY];
    let below = setting.customer("globex", true, &options);
    let below = below.await?;
    let lab = &setting.platform.lab;
    // The check asks for what must be refused, too.
    lab.clear_history();
    for bucket in [&plain.bucket, &below.bucket] {
        let lost = |operation, fault| FaultRule::on(operation, fault).bucket(bucket).times(1);
        // A look and a listing before the next attempt, a copy that is found, an upload that
        // nobody knows of.
        lab.arm(lost(Operation::PutObject, Fault::CloseBefore));
        lab.arm(lost(Operation::PutObject, Fault::CloseAfter));
        lab.arm(lost(Operation::CreateMultipartUpload, Fault::CloseAfter));
    }
    setting
        .start(&["transfer", "cleanup", "housekeeping"])
        .await?;
    for account in ["acme", "globex"] {
        for (id, size) in [("small-1", 5000), ("small-2", 5000), ("parts-1", IN_PARTS)] {
            setting.record(account, id, size).await?;
        }
    }
    for account in ["acme", "globex"] {
        for id in ["small-1", "small-2", "parts-1"] {
            setting
                .until((account, id), "released", &Value::Null)
                .await?;
        }
    }
    let platform = &setting.platform;
    for customer in [&plain, &below] {
        patience::until("the leftover is swept", LONG, async || {
            let uploads = platform.lab.open_uploads(&customer.bucket);
            Ok(uploads.is_empty().then_some(()))
        })
        .await?;
        assert_eq!(setting.stored(customer).len(), 3);
        for operation in [
            Operation::PutObject,
            Operation::CreateMultipartUpload,
            Operation::CompleteMultipartUpload,
            Operation::HeadObject,
            Operation::ListObjectsV2,
            Operation::ListMultipartUploads,
            Operation::AbortMultipartUpload,
        ] {
            assert!(
                did(platform, operation, &customer.role),
                "{operation:?} was not needed"
            );
        }
    }
    let keys = setting.stored(&below);
    assert!(
        keys.iter().all(|key| key.starts_with("calls/eu/")),
        "{keys:?}"
    );
    assert_eq!(denied(platform), Vec::<String>::new());
    setting.stop().await
}
