//! An account moves to another bucket, credential or cloud while its recordings are on their way:
//! what is stored stays where it is and stays readable with its own revision's credential, what is
//! new goes to the new place, nothing is in both, and `recording reroute` brings over what could
//! not be sent.

mod between;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::load::{self, Load, Produce};
use callferry_tests::patience;
use callferry_tests::platform::{Platform, REGION};
use callferry_tests::s3::{Operation, Policy, Role};
use serde_json::Value;

use super::setting::{LONG, Setting};

/// What a role must allow for storing.
const OBJECTS: [&str; 6] = [
    "s3:PutObject",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
    // Or the check leaves its object behind.
    "s3:DeleteObject",
];
/// The customer's other AWS account.
const ELSEWHERE: &str = "444455556666";

/// A bucket with a role of its own, as the customer's administrator makes them.
async fn make(platform: &Platform, account: &str, bucket: &str, role: &str) -> Result<String> {
    platform.lab.create_bucket(bucket, ELSEWHERE)?;
    let arn = format!("arn:aws:iam::{ELSEWHERE}:role/{role}");
    allow_in(platform, account, bucket, &arn).await?;
    Ok(arn)
}

/// A role for a bucket that is there.
async fn allow_in(platform: &Platform, account: &str, bucket: &str, arn: &str) -> Result<()> {
    let shown = platform.json(&["account", "show", account]).await?;
    let external_id = shown["external_id"].as_str().context("no external id")?;
    platform.lab.put_role(
        Role::new(arn, Policy::bucket(bucket, "", &OBJECTS))
            .external_id(external_id)
            .trusting("callferry"),
    );
    Ok(())
}

/// Sets it as the account's destination and returns the revision.
async fn set(
    platform: &Platform,
    account: &str,
    (bucket, arn): (&str, &str),
    from: Option<&str>,
) -> Result<i64> {
    let endpoint = platform.lab.endpoint();
    let mut args = vec!["destination", "set", account, "s3", "--bucket", bucket];
    args.extend([
        "--region",
        REGION,
        "--role-arn",
        arn,
        "--endpoint",
        &endpoint,
    ]);
    if let Some(from) = from {
        args.extend(["--in-force-from", from]);
    }
    let set = platform.json(&args).await?;
    set["revision"].as_i64().context("no revision")
}

fn acme(recordings: usize, seed: u64) -> Load {
    Load {
        accounts: vec!["acme".to_owned()],
        ..Setting::load(recordings, 20_000, seed)
    }
}

async fn until_stored(platform: &Platform, n: u64) -> Result<()> {
    patience::until("they are stored", LONG, async || {
        let states = load::states(platform).await?;
        let of = |state: &str| states.get(state).copied().unwrap_or(0);
        Ok((of("stored") + of("released") >= n).then_some(()))
    })
    .await
}

/// The ids and digests in a bucket must be exactly those staged by these loads.
async fn holds(platform: &Platform, bucket: &str, loads: &[&Produce]) -> Result<()> {
    let found = platform.auditor().fetch(bucket).await?;
    same(bucket, found.into_iter().map(|(k, f)| (k, f.sha256)), loads);
    Ok(())
}

pub(super) fn same(
    bucket: &str,
    found: impl Iterator<Item = (String, String)>,
    loads: &[&Produce],
) {
    let found: Vec<(String, String)> = found
        .map(|(key, sha256)| {
            let name = key.rsplit('/').next().unwrap_or_default();
            (name.trim_end_matches(".wav").to_owned(), sha256)
        })
        .collect();
    let expected: BTreeSet<(String, String)> = loads
        .iter()
        .flat_map(|load| load.iter())
        .map(|((_, id), produced)| (id.clone(), produced.sha256.clone()))
        .collect();
    assert_eq!(found.len(), expected.len(), "{bucket}: {found:?}");
    assert_eq!(
        found.into_iter().collect::<BTreeSet<_>>(),
        expected,
        "{bucket}"
    );
}

/// What `destination list` says that a revision holds.
async fn held(platform: &Platform, account: &str, revision: i64) -> Result<Value> {
    let listed = platform.json(&["destination", "list", account]).await?;
    let mut all = listed.as_array().context("no list")?.iter();
    let one = all.find(|one| one["revision"] == revision);
    Ok(one.context("no such revision")?["recordings"].clone())
}

/// Nobody has worked on anything for an hour, as far as the ledger knows.
async fn an_hour_passes(platform: &Platform) -> Result<()> {
    let age = "update recordings set updated_at = updated_at - interval '1 hour'";
    platform.postgres.sql("callferry", age).await.map(drop)
}

/// Runs `recording reroute` and returns its exit code, its answer and what it said.
async fn reroute(platform: &Platform, args: &[&str]) -> Result<(Option<i32>, Value, String)> {
    let whole = [
        &["recording", "reroute", "--account", "acme"],
        args,
        &["--json"],
    ]
    .concat();
    let outcome = platform.fleet.run(&whole).await?;
    let (code, stderr) = (outcome.code, outcome.stderr.clone());
    Ok((code, outcome.json()?, stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_keeps_its_own_role_and_what_is_new_goes_elsewhere() -> Result<()> {
    let mut setting = Setting::new("switch-role").await?;
    let listed = setting
        .platform
        .json(&["destination", "list", "acme"])
        .await?;
    let first = listed[0]["revision"].as_i64().context("no revision")?;
    let old_role = listed[0]["role_arn"]
        .as_str()
        .context("no role")?
        .to_owned();
    setting.start(&["transfer", "housekeeping"]).await?;
    let platform = &setting.platform;
    let stored = acme(3, 0x31);
    let before = stored.stage(platform)?;
    stored.publish(platform).await?;
    until_stored(platform, 3).await?;
    // On their way: the store is slow, and the switch comes in the middle.
    platform.lab.set_latency(Duration::from_millis(700));
    let moving = acme(6, 0x32);
    let in_flight = moving.stage(platform)?;
    moving.publish(platform).await?;
    let arn = make(platform, "acme", "acme-new", "new").await?;
    let second = set(platform, "acme", ("acme-new", &arn), None).await?;
    platform.lab.set_latency(Duration::ZERO);
    let later = acme(4, 0x33);
    let after = later.stage(platform)?;
    later.publish(platform).await?;
    until_stored(platform, 13).await?;
    let holds_9 = held(platform, "acme", first).await?;
    assert_eq!(
        (&holds_9["stored"], &holds_9["released"]),
        (&9.into(), &0.into())
    );
    assert_eq!(held(platform, "acme", second).await?["stored"], 4);

    // Only now the originals go, after a second look with each revision's own role.
    platform.lab.clear_history();
    setting.start(&["cleanup"]).await?;
    let platform = &setting.platform;
    load::until_released(platform, 13, LONG).await?;
    let seen = platform.lab.history();
    let looks = |bucket: &str, role: &str| {
        let by = |one: &&callferry_tests::s3::Seen| {
            one.operation == Operation::HeadObject
                && one.bucket.as_deref() == Some(bucket)
                && one.status == Some(200)
                && one.caller.role_arn.as_deref() == Some(role)
        };
        seen.iter().filter(by).count()
    };
    assert_eq!(looks("acme-recordings", &old_role), 9);
    assert_eq!(looks("acme-new", &arn), 4);
    assert_eq!(
        looks("acme-recordings", &arn) + looks("acme-new", &old_role),
        0
    );
    let row = setting
        .shown("acme", "rec-31-00000")
        .await?
        .context("unknown")?;
    assert_eq!(row["destination_revision"], first);
    let location = row["location"].as_str().unwrap_or_default();
    assert!(location.starts_with("s3://acme-recordings/"), "{location}");
    holds(platform, "acme-recordings", &[&before, &in_flight]).await?;
    holds(platform, "acme-new", &[&after]).await?;
    assert_eq!(platform.staged_files()?, Vec::<String>::new());
    // What is stored is nobody's to move.
    let (code, answer, _) = reroute(platform, &["rec-31-00000"]).await?;
    assert_eq!(
        (code, &answer["recordings"][0]["reason"]),
        (Some(1), &"stored".into())
    );
    setting.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_deleted_after_the_switch_keeps_nothing_from_arriving() -> Result<()> {
    let mut setting = Setting::new("switch-gone").await?;
    let listed = setting
        .platform
        .json(&["destination", "list", "acme"])
        .await?;
    let old_role = listed[0]["role_arn"]
        .as_str()
        .context("no role")?
        .to_owned();
    setting.platform.lab.remove_role(&old_role);
    setting
        .start(&["transfer", "cleanup", "housekeeping"])
        .await?;
    let stuck = acme(4, 0x41);
    let waiting = stuck.stage(&setting.platform)?;
    stuck.publish(&setting.platform).await?;
    for number in 0..4 {
        let id = format!("rec-41-{number:05}");
        setting.parked("acme", &id, "role_not_assumable").await?;
    }
    let platform = &setting.platform;
    let arn = make(platform, "acme", "acme-new", "new").await?;
    let second = set(platform, "acme", ("acme-new", &arn), None).await?;
    let later = acme(2, 0x42);
    let after = later.stage(platform)?;
    later.publish(platform).await?;
    load::until_released(platform, 2, LONG).await?;

    // Without a word from the old bucket nothing is believed.
    let (code, answer, said) = reroute(platform, &["--all-parked"]).await?;
    assert_eq!((code, &answer["refused"]), (Some(1), &4.into()), "{answer}");
    let detail = answer["recordings"][0]["detail"]
        .as_str()
        .unwrap_or_default();
    assert_eq!(answer["recordings"][0]["reason"], "unseen");
    assert!(detail.contains("role_not_assumable"), "{detail}");
    assert!(said.contains("--unproven"), "{said}");
    let insist = ["--all-parked", "--unproven", "--why", "the role is deleted"];
    let (code, answer, _) = reroute(platform, &[&insist[..], &["--dry-run"]].concat()).await?;
    assert_eq!(
        (code, &answer["rerouted"]),
        (Some(0), &4.into()),
        "{answer}"
    );
    let row = setting
        .shown("acme", "rec-41-00000")
        .await?
        .context("unknown")?;
    assert_ne!(
        row["destination_revision"], second,
        "a dry run moves nothing"
    );
    let (code, answer, _) = reroute(platform, &insist).await?;
    assert_eq!(
        (code, &answer["rerouted"]),
        (Some(0), &4.into()),
        "{answer}"
    );
    load::until_released(platform, 6, LONG).await?;
    let row = setting
        .shown("acme", "rec-41-00000")
        .await?
        .context("unknown")?;
    assert_eq!(row["destination_revision"], second);
    let history = row["history"].to_string();
    assert!(
        history.contains("insisted: the role is deleted"),
        "{history}"
    );
    holds(platform, "acme-new", &[&waiting, &after]).await?;
    holds(platform, "acme-recordings", &[]).await?;
    setting.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reroute_proves_that_the_old_place_is_empty_and_leaves_a_copy_there() -> Result<()> {
    let mut setting = Setting::new("switch-proof").await?;
    let listed = setting
        .platform
        .json(&["destination", "list", "acme"])
        .await?;
    let old_role = listed[0]["role_arn"]
        .as_str()
        .context("no role")?
        .to_owned();
    let allow = |platform: &Platform, actions: &[&str]| {
        let policy = Policy::bucket("acme-recordings", "", actions);
        platform
            .lab
            .change_role(&old_role, |role| role.permissions = policy.clone());
    };
    // One recording arrives and cannot be looked at; the others cannot even be written.
    allow(&setting.platform, &["s3:PutObject"]);
    setting.start(&["transfer"]).await?;
    let unseen = acme(1, 0x51);
    let there = unseen.stage(&setting.platform)?;
    unseen.publish(&setting.platform).await?;
    setting
        .parked("acme", "rec-51-00000", "access_denied")
        .await?;
    allow(&setting.platform, &["s3:GetObject"]);
    let stuck = acme(3, 0x52);
    let waiting = stuck.stage(&setting.platform)?;
    stuck.publish(&setting.platform).await?;
    for number in 0..3 {
        let id = format!("rec-52-{number:05}");
        setting.parked("acme", &id, "access_denied").await?;
    }
    setting.stop().await?;

    let platform = &setting.platform;
    let arn = make(platform, "acme", "acme-new", "new").await?;
    set(platform, "acme", ("acme-new", &arn), None).await?;
    let all = ["--all-parked", "--reason", "access_denied"];
    let (code, answer, said) = reroute(platform, &all).await?;
    assert_eq!(code, Some(1));
    assert_eq!(
        (&answer["copy_found"], &answer["refused"]),
        (&1.into(), &3.into()),
        "{answer}"
    );
    assert!(
        said.contains("repeat the command"),
        "a write may be on its way: {said}"
    );
    an_hour_passes(platform).await?;
    let (code, answer, _) = reroute(platform, &all).await?;
    assert_eq!(code, Some(0), "{answer}");
    assert_eq!(
        (&answer["copy_found"], &answer["rerouted"]),
        (&1.into(), &3.into()),
        "{answer}"
    );
    let moved = answer["recordings"].as_array().context("no list")?;
    let proven = moved.iter().filter(|one| one["proven"] == true).count();
    assert_eq!(proven, 3, "{answer}");
    setting
        .start(&["transfer", "cleanup", "housekeeping"])
        .await?;
    let platform = &setting.platform;
    load::until_released(platform, 4, LONG).await?;
    holds(platform, "acme-recordings", &[&there]).await?;
    holds(platform, "acme-new", &[&waiting]).await?;
    setting.stop().await
}

/// Of a recording that is stored and one that is not: a role for the same bucket delivers both,
/// and nobody has to move anything.
#[tokio::test(flavor = "multi_thread")]
async fn another_role_for_the_same_bucket_serves_what_is_there_already() -> Result<()> {
    let mut setting = Setting::new("switch-same").await?;
    let listed = setting
        .platform
        .json(&["destination", "list", "acme"])
        .await?;
    let first = listed[0]["revision"].as_i64().context("no revision")?;
    let old_role = listed[0]["role_arn"]
        .as_str()
        .context("no role")?
        .to_owned();
    setting.start(&["transfer", "housekeeping"]).await?;
    let stored = acme(2, 0x61);
    let before = stored.stage(&setting.platform)?;
    stored.publish(&setting.platform).await?;
    until_stored(&setting.platform, 2).await?;
    setting.stop().await?;
    setting.platform.lab.remove_role(&old_role);
    setting
        .start(&["transfer", "cleanup", "housekeeping"])
        .await?;
    let stuck = acme(3, 0x62);
    let waiting = stuck.stage(&setting.platform)?;
    stuck.publish(&setting.platform).await?;
    for number in 0..3 {
        let id = format!("rec-62-{number:05}");
        setting.parked("acme", &id, "role_not_assumable").await?;
    }
    let platform = &setting.platform;
    // Of the same AWS account, which must own the bucket.
    let arn = format!("{old_role}-renewed");
    allow_in(platform, "acme", "acme-recordings", &arn).await?;
    platform.lab.clear_history();
    let second = set(platform, "acme", ("acme-recordings", &arn), None).await?;
    load::until_released(platform, 5, LONG).await?;
    holds(platform, "acme-recordings", &[&before, &waiting]).await?;
    let asked = platform.lab.history();
    let by_old = |one: &&callferry_tests::s3::Seen| {
        one.caller.role_arn.as_deref() == Some(old_role.as_str())
    };
    assert_eq!(asked.iter().filter(by_old).count(), 0);
    // Each stays with the revision in force when its call ended.
    for id in ["rec-61-00000", "rec-62-00002"] {
        let row = setting.shown("acme", id).await?.context("unknown")?;
        assert_eq!(row["destination_revision"], first, "{row}");
    }
    let listed = platform.json(&["destination", "list", "acme"]).await?;
    assert_eq!(listed[0]["credential_revision"], second, "{listed}");
    let note = listed[0]["notes"][0].as_str().unwrap_or_default();
    assert!(note.contains(&format!("revision {second}")), "{listed}");
    setting.stop().await
}
