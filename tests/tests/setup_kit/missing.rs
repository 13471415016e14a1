//! What stops when one thing that the kit grants is taken away: each part of it is needed.

use anyhow::{Context, Result};
use callferry_tests::patience;
use callferry_tests::platform::{Platform, REGION};
use callferry_tests::s3::{Fault, FaultRule, Operation};
use serde_json::{Value, json};

use super::setting::{CUSTOMER, IN_PARTS, LONG, Setting, without};

/// What stops without it, as the fleet and its operator see it.
enum Stops {
    /// The first attempt, or the first look at the copy.
    Storing,
    /// The second attempt, after one whose outcome nobody knows.
    GoingOn,
    /// The sweep of uploads that nobody knows of.
    Tidying,
}

const NEEDED: [(&str, &str, Stops); 5] = [
    ("s3:PutObject", "no-put", Stops::Storing),
    ("s3:GetObject", "no-get", Stops::Storing),
    ("s3:ListBucket", "no-list", Stops::GoingOn),
    ("s3:AbortMultipartUpload", "no-abort", Stops::Tidying),
    (
        "s3:ListBucketMultipartUploads",
        "no-uploads",
        Stops::Tidying,
    ),
];

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::too_many_lines,
    reason = "one story from its beginning to its end"
)]
async fn each_permission_is_needed_and_the_fleet_says_so() -> Result<()> {
    let mut setting = Setting::new("kit-missing").await?;
    // One with everything, whose leftover goes: the sweep was there.
    let whole = setting.customer("whole", false, &[]).await?;
    for (action, account, _) in &NEEDED {
        let customer = setting.customer(account, false, &[]).await?;
        setting.grant(&customer, |policy| without(policy, action))?;
    }
    let lab = &setting.platform.lab;
    lab.arm(
        FaultRule::on(Operation::CreateMultipartUpload, Fault::CloseAfter)
            .bucket(&whole.bucket)
            .times(1),
    );
    for (_, account, stops) in &NEEDED {
        let bucket = Platform::bucket(account);
        let rule = match stops {
            Stops::Storing => continue,
            Stops::GoingOn => FaultRule::on(Operation::PutObject, Fault::CloseBefore),
            Stops::Tidying => FaultRule::on(Operation::CreateMultipartUpload, Fault::CloseAfter),
        };
        lab.arm(rule.bucket(&bucket).times(1));
    }
    setting
        .start(&["transfer", "cleanup", "housekeeping"])
        .await?;
    setting.record("whole", "rec-1", IN_PARTS).await?;
    for (_, account, stops) in &NEEDED {
        let size = match stops {
            Stops::Storing | Stops::GoingOn => 5000,
            Stops::Tidying => IN_PARTS,
        };
        setting.record(account, "rec-1", size).await?;
    }
    setting
        .until(("whole", "rec-1"), "released", &Value::Null)
        .await?;
    for (action, account, stops) in &NEEDED {
        let (state, reason) = match stops {
            Stops::Storing | Stops::GoingOn => ("parked", json!("access_denied")),
            Stops::Tidying => ("released", Value::Null),
        };
        let settled = setting.until((account, "rec-1"), state, &reason).await;
        settled.with_context(|| format!("without {action}"))?;
    }
    let lab = &setting.platform.lab;
    patience::until("the whole one's leftover is swept", LONG, async || {
        Ok(lab.open_uploads(&whole.bucket).is_empty().then_some(()))
    })
    .await?;
    // The same sweep came by the others, too, and was denied.
    for (action, account, stops) in &NEEDED {
        let bucket = Platform::bucket(account);
        if let Stops::Tidying = stops {
            patience::until("the sweep is denied", LONG, async || {
                let seen = lab.history();
                let mut of_bucket = seen
                    .iter()
                    .filter(|one| one.bucket.as_ref() == Some(&bucket));
                Ok(of_bucket.any(|one| one.status == Some(403)).then_some(()))
            })
            .await
            .with_context(|| format!("without {action}"))?;
            assert_eq!(lab.open_uploads(&bucket).len(), 1, "without {action}");
        }
    }
    // A repaired role drains by itself.
    for (_, account, stops) in &NEEDED {
        if let Stops::Storing = stops {
            let customer = setting.kit(account, &[]).await?;
            setting.grant(&customer, |policy| Ok(policy.to_owned()))?;
        }
    }
    let retry = ["parked", "retry", "--account"];
    for (_, account, stops) in &NEEDED {
        if let Stops::Storing = stops {
            let args = [&retry[..], &[*account]].concat();
            setting.platform.fleet.must(&args).await?;
            setting
                .until((account, "rec-1"), "released", &Value::Null)
                .await?;
        }
    }
    setting.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_the_kit_lets_nobody_in_without_its_own_external_id() -> Result<()> {
    let mut setting = Setting::new("kit-trust").await?;
    let acme = setting.customer("acme", false, &[]).await?;
    setting.platform.plain_account("mallory").await?;
    let external_id = acme.kit["external_id"].as_str().context("no external id")?;
    let trust = acme.document("trust.json")?;
    assert!(trust.contains(external_id), "{trust}");
    // Somebody else's account with acme's role: it is asked with that account's own external id.
    let bucket = Platform::bucket("mallory");
    setting.platform.lab.create_bucket(&bucket, CUSTOMER)?;
    let endpoint = setting.platform.lab.endpoint();
    let set = ["destination", "set", "mallory", "s3", "--bucket", &bucket];
    let how = ["--region", REGION, "--role-arn", &acme.role];
    let lab = ["--endpoint", endpoint.as_str()];
    let args = [&set[..], &how, &lab].concat();
    let refused = setting.platform.fleet.run(&args).await?;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("session"), "{refused:?}");
    let forced = [&args[..], &["--force"]].concat();
    setting.platform.fleet.must(&forced).await?;
    setting.start(&["transfer"]).await?;
    setting.record("mallory", "rec-1", 5000).await?;
    let reason = json!("role_not_assumable");
    setting
        .until(("mallory", "rec-1"), "parked", &reason)
        .await?;
    setting.stop().await?;
    assert!(setting.platform.lab.objects(&bucket).is_empty());
    Ok(())
}
