//! What an operator says and is asked: names of what is missing, who we are, what is in force, and
//! files that are never overwritten in passing.

use std::fs;

use anyhow::{Context, Result};
use callferry_tests::platform::{Platform, REGION};
use callferry_tests::s3::Identity;
use serde_json::Value;

use super::setting::{CUSTOMER, KEY, Setting};

/// An application that would trust anybody who can stand in the way.
const FEDERATED: [&str; 5] = [
    "--federated",
    "--issuer",
    "http://oidc.example",
    "--subject",
    "us",
];
const BUCKET: [&str; 4] = ["--bucket", "acme-recordings", "--region", REGION];

const CONTAINER: [&str; 2] = ["--storage-account", "acmecalls"];
const KEY_OF_ANOTHER: &str = "arn:aws:kms:eu-central-1:111122223333:key/1";

/// Format, options, and what is said of them.
fn refused() -> Vec<(&'static str, Vec<&'static str>, &'static str)> {
    vec![
        ("iam", vec![], "--bucket is missing"),
        ("iam", vec!["--bucket", "acme-calls"], "--region is missing"),
        ("iam", vec!["--bucket", "ACME"], "--bucket is not"),
        (
            "terraform",
            CONTAINER.to_vec(),
            "--storage-account has no meaning",
        ),
        ("bicep", vec![], "--storage-account is missing"),
        ("azure-cli", CONTAINER.to_vec(), "--container is missing"),
        ("azure-cli", BUCKET.to_vec(), "--bucket has no meaning"),
        (
            "iam",
            [&BUCKET[..], &["--kms-key", "alias/x"]].concat(),
            "by its ARN only",
        ),
        (
            "iam",
            [&BUCKET[..], &["--kms-key", KEY_OF_ANOTHER]].concat(),
            "--aws-account is missing",
        ),
        (
            "iam",
            [&BUCKET[..], &["--principal", "*"]].concat(),
            "`--principal` is not",
        ),
        (
            "iam",
            vec!["--bucket", "a-b", "--region", "cn-north-1"],
            "partitions of AWS",
        ),
        (
            "azure-cli",
            [&CONTAINER[..], &["--container", "calls"], &FEDERATED].concat(),
            "--issuer is not",
        ),
        (
            "iam",
            [&BUCKET[..], &FEDERATED].concat(),
            "--federated has no meaning",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_or_of_the_other_cloud_is_named() -> Result<()> {
    let mut setting = Setting::new("kit-asking").await?;
    setting.platform.plain_account("acme").await?;
    for (format, options, says) in refused() {
        let ask = ["setup-kit", "acme", "--format", format];
        let outcome = setting
            .platform
            .fleet
            .run(&[&ask[..], &options].concat())
            .await?;
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        let told = format!("{outcome:?}");
        assert!(
            outcome.stderr.contains(says) && told.contains("hint: "),
            "{says}: {told}"
        );
        assert!(outcome.stdout.is_empty(), "{told}");
    }
    let nobody = ["setup-kit", "nobody", "--format", "iam"];
    let outcome = setting
        .platform
        .fleet
        .run(&[&nobody[..], &BUCKET].concat())
        .await?;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn our_identity_is_said_configured_or_asked_of_sts() -> Result<()> {
    let mut setting = Setting::new("kit-principal").await?;
    setting.platform.plain_account("acme").await?;
    let ask = ["setup-kit", "acme", "--format", "iam"];
    let ask = [&ask[..], &BUCKET].concat();
    let kit = setting.platform.json(&ask).await?;
    let user = "arn:aws:iam::000000000000:user/callferry";
    assert_eq!(
        (&kit["principals"][0], &kit["principals_from"]),
        (&user.into(), &"sts".into())
    );
    assert!(kit["notes"].to_string().contains("trusts a user"), "{kit}");
    // The same as a machine's role.
    let (id, secret) = callferry_tests::platform::OURS;
    let role = Identity::new(id, secret)
        .named("callferry")
        .in_session("i-0a1b2c");
    setting.platform.lab.put_identity(role);
    let kit = setting.platform.json(&ask).await?;
    let role = "arn:aws:iam::000000000000:role/callferry";
    assert_eq!(
        (&kit["principals"][0], &kit["principals_from"]),
        (&role.into(), &"sts".into())
    );
    let trust = kit["documents"]["trust.json"]
        .as_str()
        .context("no trust")?;
    let trust: Value = serde_json::from_str(trust)?;
    assert_eq!(trust["Statement"][0]["Principal"]["AWS"][0], role);
    assert!(
        kit["notes"]
            .to_string()
            .contains("assumed-role/callferry/i-0a1b2c"),
        "{kit}"
    );
    // Without STS it must be said.
    let nowhere = [("CALLFERRY_STS_ENDPOINT", "http://127.0.0.1:1")];
    let refused = setting.platform.fleet.run_with(&ask, &nowhere).await?;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("CALLFERRY_AWS_PRINCIPAL"),
        "{refused:?}"
    );
    let configured = "arn:aws:iam::444455556666:role/platform/callferry";
    let two = format!("{configured},{user}");
    let own = [nowhere[0], ("CALLFERRY_AWS_PRINCIPAL", two.as_str())];
    let json = [&ask[..], &["--json"]].concat();
    let kit = setting
        .platform
        .fleet
        .run_with(&json, &own)
        .await?
        .success()?
        .json()?;
    let from = (&kit["principals"][0], &kit["principals_from"]);
    assert_eq!(from, (&configured.into(), &"aws_principal".into()));
    assert_eq!(kit["principals"][1], user);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_said_is_what_is_in_force() -> Result<()> {
    let mut setting = Setting::new("kit-in-force").await?;
    let options = ["--prefix", "calls/eu", "--with", "retention"];
    let first = setting.customer("acme", false, &options).await?;
    let again = [
        "setup-kit",
        "acme",
        "--format",
        "iam",
        "--with",
        "retention",
    ];
    let again = setting.platform.json(&again).await?;
    assert_eq!(again["documents"], first.kit["documents"]);
    // Set anew, it would lose what a kit does not speak of.
    assert_eq!(again["next"][0], first.kit["next"][1]);
    // Nor is what is in force, said once more, anything new; what differs must be set.
    let said = ["setup-kit", "acme", "--format", "iam"];
    let same = [&said[..], &["--prefix", "calls/eu", "--region", REGION]].concat();
    let same = setting.platform.json(&same).await?;
    assert_eq!(same["next"], again["next"]);
    for (option, value) in [("--kms-key", KEY), ("--prefix", "calls/us")] {
        let kit = [&said[..], &[option, value]].concat();
        let kit = setting.platform.json(&kit).await?;
        let next = kit["next"][0].as_str().context("no command")?;
        assert!(
            next.starts_with("callferry destination set acme s3"),
            "{kit}"
        );
        assert!(next.contains(&format!("{option} {value}")), "{kit}");
        assert!(kit["notes"].to_string().contains("storage class"), "{kit}");
    }
    let policy = first.document("permissions.json")?;
    assert!(policy.contains("acme-recordings/calls/eu/*"), "{policy}");
    assert!(policy.contains("s3:DeleteObjectVersion"), "{policy}");
    // Tags are the destination's to say.
    assert!(!policy.contains("s3:PutObjectTagging"), "{policy}");
    let set = first.kit["next"][0].as_str().context("no command")?;
    let words = set.replace("\\\n", " ");
    let words: Vec<_> = words.split_whitespace().skip(1).collect();
    let tagged = [&words[..], &["--tag", "kind=call", "--force"]].concat();
    setting.platform.json(&tagged).await?;
    let tagged = ["setup-kit", "acme", "--format", "iam"];
    let tagged = setting.platform.json(&tagged).await?;
    let policy = tagged["documents"]["permissions.json"].to_string();
    assert!(policy.contains("s3:PutObjectTagging"), "{policy}");
    // Another bucket is another story.
    let other = [
        "setup-kit",
        "acme",
        "--format",
        "iam",
        "--bucket",
        "elsewhere",
    ];
    let other = [&other[..], &["--region", REGION]].concat();
    let other = setting.platform.json(&other).await?;
    assert!(
        !other["documents"].to_string().contains("calls/eu"),
        "{other}"
    );
    // Whoever comes second into a bucket has its own folder there.
    setting.platform.plain_account("globex").await?;
    let endpoint = setting.platform.lab.endpoint();
    let shared = [
        "setup-kit",
        "globex",
        "--format",
        "iam",
        "--endpoint",
        &endpoint,
    ];
    let shared = setting
        .platform
        .json(&[&shared[..], &BUCKET].concat())
        .await?;
    let policy = shared["documents"]["permissions.json"].to_string();
    assert!(policy.contains("acme-recordings/globex/*"), "{policy}");
    // The platform's own: below any account's folder.
    let default = [
        "setup-kit",
        "default",
        "--format",
        "iam",
        "--prefix",
        "calls",
    ];
    let default = setting
        .platform
        .json(&[&default[..], &BUCKET].concat())
        .await?;
    let policy = default["documents"]["permissions.json"].to_string();
    assert!(policy.contains("acme-recordings/*/calls/*"), "{policy}");
    assert_ne!(default["external_id"], first.kit["external_id"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_written_once_and_everything_can_be_read_at_once() -> Result<()> {
    let mut setting = Setting::new("kit-files").await?;
    setting.platform.plain_account("acme").await?;
    let folder = setting.platform.staging.with_file_name("kit");
    let out = folder.display().to_string();
    let ask = [
        "setup-kit",
        "acme",
        "--format",
        "iam",
        "--aws-account",
        CUSTOMER,
    ];
    let ask = [&ask[..], &BUCKET].concat();
    let written = [&ask[..], &["--out", &out]].concat();
    let told = setting.platform.fleet.must(&written).await?.stdout;
    assert!(told.contains("callferry destination set acme s3"), "{told}");
    let trust = folder.join("trust.json");
    fs::write(&trust, "mine")?;
    let refused = setting.platform.fleet.run(&written).await?;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("--force"), "{refused:?}");
    assert_eq!(fs::read_to_string(&trust)?, "mine");
    let forced = [&written[..], &["--force"]].concat();
    setting.platform.fleet.must(&forced).await?;
    assert!(fs::read_to_string(&trust)?.contains("sts:ExternalId"));
    let all = setting.platform.fleet.must(&ask).await?.stdout;
    for says in [
        "==== trust.json",
        "==== permissions.json",
        "s3:PutObject",
        "Then here:",
    ] {
        assert!(all.contains(says), "{says}: {all}");
    }
    assert_eq!(Platform::bucket("acme"), "acme-recordings");
    Ok(())
}
