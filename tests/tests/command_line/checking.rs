//! `destination check`, and that a destination becomes active only after one.

use anyhow::{Context, Result};
use callferry_tests::fleet::Outcome;
use callferry_tests::platform::{Platform, REGION};
use callferry_tests::s3::{Operation, Policy};
use callferry_tests::scratch::Scratch;
use serde_json::Value;

/// The finding of one capability.
fn of<'a>(check: &'a Value, capability: &str) -> Result<&'a Value> {
    let findings = check["findings"].as_array().context("no findings")?;
    let mut found = findings.iter();
    let found = found.find(|it| it["capability"] == capability);
    found.with_context(|| format!("no finding of {capability}: {check}"))
}

fn assert_failed(outcome: &Outcome, says: &[&str]) {
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    for says in says {
        assert!(outcome.stderr.contains(says), "{says}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_check_is_readable_and_exact_and_kept_with_the_revision() -> Result<()> {
    let scratch = Scratch::new("checking-check")?;
    let mut platform = Platform::start(scratch.path()).await?;
    let role = platform.account("acme").await?;
    // It was checked when it was set, and nothing is left of that.
    let shown = platform.json(&["destination", "show", "acme"]).await?;
    let last = &shown["last_check"];
    assert_eq!(last["usable"], true, "{shown}");
    assert_eq!(last["forced"], false, "{shown}");
    assert_eq!(of(last, "overlap")?["verdict"], "passed", "{last}");
    let bucket = Platform::bucket("acme");
    assert!(platform.lab.objects(&bucket).is_empty());

    let check = ["destination", "check", "acme"];
    let well = platform.fleet.must(&check).await?;
    for says in ["Usable", "passed", "external_id_required"] {
        assert!(well.stdout.contains(says), "{says}: {well:?}");
    }
    assert!(well.stderr.contains("as the fleet uses it"), "{well:?}");

    let reading = Policy::bucket(&bucket, "", &["s3:GetObject"]);
    platform
        .lab
        .change_role(&role, |role| role.permissions = reading.clone());
    let broken = platform.fleet.run(&check).await?;
    assert_failed(
        &broken,
        &[
            "error: nothing can be stored in s3://acme",
            "put failed",
            "hint: ",
        ],
    );
    for says in [
        "FAILED",
        "missing: s3:PutObject",
        "\"Action\":[\"s3:PutObject\"]",
        &role,
    ] {
        assert!(broken.stdout.contains(says), "{says}: {broken:?}");
    }
    let revision = shown["revision"].to_string();
    let json = [&check[..], &["--revision", &revision, "--json"]].concat();
    let broken = platform.fleet.run(&json).await?;
    assert_eq!(broken.code, Some(1), "{broken:?}");
    let answer = broken.json()?;
    assert_eq!(answer["usable"], false, "{answer}");
    assert_eq!(answer["revision"], shown["revision"], "{answer}");
    let put = of(&answer, "put")?;
    assert_eq!(put["missing"][0], "s3:PutObject", "{put}");
    assert_eq!(put["reason"], "access_denied", "{put}");
    assert_eq!(of(&answer, "look")?["verdict"], "skipped", "{answer}");

    let shown = platform.json(&["destination", "show", "acme"]).await?;
    assert_eq!(shown["last_check"]["usable"], false, "{shown}");
    let readable = platform
        .fleet
        .must(&["destination", "show", "acme"])
        .await?;
    assert!(readable.stdout.contains("not usable"), "{readable:?}");
    let nothing = ["destination", "check", "acme", "--revision", "999"];
    assert_failed(&platform.fleet.run(&nothing).await?, &["no revision 999"]);
    Ok(())
}

#[tokio::test]
async fn an_unusable_destination_is_refused_unless_a_person_insists_which_is_kept() -> Result<()> {
    let scratch = Scratch::new("checking-set")?;
    let mut platform = Platform::start(scratch.path()).await?;
    let role = platform.account("acme").await?;
    let before = platform.json(&["destination", "show", "acme"]).await?;
    let endpoint = platform.lab.endpoint();
    let set = ["destination", "set", "acme", "s3", "--bucket", "not-there"];
    let how = [
        "--region",
        REGION,
        "--role-arn",
        &role,
        "--endpoint",
        &endpoint,
    ];
    let set = [&set[..], &how].concat();
    platform
        .lab
        .change_role(&role, |role| role.permissions = Policy::everything());
    platform.lab.clear_history();
    let refused = platform.fleet.run(&set).await?;
    let says = [
        "owner failed",
        "aws s3 mb s3://not-there",
        "hint: ",
        "--force",
    ];
    assert_failed(&refused, &says);
    assert!(refused.stdout.is_empty(), "{refused:?}");
    let machine = platform
        .fleet
        .run(&[&set[..], &["--json"]].concat())
        .await?;
    assert_eq!(machine.code, Some(1), "{machine:?}");
    let answer = machine.json()?;
    assert_eq!(answer["usable"], false, "{answer}");
    assert_eq!(answer["revision"], 0, "{answer}");
    assert_eq!(
        platform.lab.count(Operation::PutObject),
        0,
        "no byte was sent"
    );
    let same = platform.json(&["destination", "show", "acme"]).await?;
    assert_eq!(same["revision"], before["revision"], "nothing was set");

    let forced = platform.json(&[&set[..], &["--force"]].concat()).await?;
    assert_ne!(forced["revision"], before["revision"], "{forced}");
    let shown = platform.json(&["destination", "show", "acme"]).await?;
    let last = &shown["last_check"];
    assert_eq!(last["forced"], true, "{last}");
    assert_eq!(of(last, "owner")?["reason"], "bucket_missing", "{last}");

    // Repaired, it is usable, and the check says so of this revision.
    platform
        .lab
        .create_bucket("not-there", role_account(&role))?;
    platform
        .fleet
        .must(&["destination", "check", "acme"])
        .await?;
    let shown = platform.json(&["destination", "show", "acme"]).await?;
    assert_eq!(shown["last_check"]["usable"], true, "{shown}");
    assert_eq!(shown["revision"], forced["revision"], "{shown}");
    Ok(())
}

fn role_account(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

#[tokio::test]
async fn the_platforms_own_and_accounts_without_one_are_checked_among_keys_of_their_own()
-> Result<()> {
    let scratch = Scratch::new("checking-default")?;
    let mut platform = Platform::start(scratch.path()).await?;
    platform.default_destination().await?;
    platform.plain_account("acme").await?;
    platform.lab.clear_history();
    platform
        .fleet
        .must(&["destination", "check", "acme"])
        .await?;
    platform
        .fleet
        .must(&["destination", "check", "default"])
        .await?;
    let keys = platform.lab.history().into_iter().filter_map(|it| it.key);
    let mut leads: Vec<String> = keys
        .filter_map(|key| {
            key.split_once("/callferry-check/")
                .map(|(lead, _)| lead.to_owned())
        })
        .collect();
    leads.sort();
    leads.dedup();
    assert_eq!(leads, ["acme", "callferry-check"]);
    let reserved = platform
        .fleet
        .run(&["account", "create", "callferry-check"]);
    assert_failed(&reserved.await?, &["kept for checks"]);
    let bucket = Platform::bucket("default");
    assert!(platform.lab.objects(&bucket).is_empty());
    Ok(())
}
