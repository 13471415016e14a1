//! The key ring as an operator handles it, while the fleet runs: nothing waits for a rotation, and
//! nothing is lost by one that is broken off.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::load;
use callferry_tests::platform::{AzureAccess, Platform};
use callferry_tests::scratch::Scratch;
use serde_json::Value;

/// Bounds every wait; nothing is judged by how long it took.
const LONG: Duration = Duration::from_secs(240);

fn ring(scratch: &Scratch) -> PathBuf {
    scratch.path().join("keyring")
}

/// The keys that `keyring show` lists with this standing.
async fn keys(platform: &Platform, standing: &str) -> Result<Vec<String>> {
    let shown = platform.json(&["keyring", "show"]).await?;
    let keys = shown.as_array().context("no list")?.iter();
    let keys = keys.filter(|key| key["standing"] == standing);
    let ids = keys.filter_map(|key| key["key_id"].as_str());
    Ok(ids.map(str::to_owned).collect())
}

/// Announces recordings of three accounts, one after the other, until it is told to stop.
async fn flow(platform: &Platform, goes_on: &AtomicBool, announced: &AtomicU64) -> Result<()> {
    let mut number = 0;
    while goes_on.load(Ordering::SeqCst) {
        for account in ["principal", "signed", "keyed"] {
            let folder = platform.staging.join(account);
            fs::create_dir_all(&folder)?;
            let file = folder.join(format!("rec-{number}.wav"));
            fs::write(&file, format!("RIFF {account} {number}").repeat(500))?;
            let file = file.display().to_string();
            platform
                .json(&["publish", "--account", account, &file])
                .await?;
            announced.fetch_add(1, Ordering::SeqCst);
        }
        number += 1;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::too_many_lines,
    reason = "one story from its beginning to its end"
)]
async fn keys_are_rotated_and_retired_while_recordings_flow_and_none_is_parked() -> Result<()> {
    let scratch = Scratch::new("keyring-live")?;
    let mut platform = Platform::start(scratch.path()).await?;
    if !platform.start_azure().await? {
        return Ok(());
    }
    for (name, access) in ["principal", "signed", "keyed"]
        .iter()
        .zip(AzureAccess::ALL)
    {
        platform.azure_account(name, access).await?;
    }
    let mut members = Vec::new();
    for (name, role) in [
        ("one", "transfer"),
        ("two", "transfer"),
        ("three", "cleanup"),
    ] {
        members.push(platform.fleet.start(name, &[role])?);
    }
    members.push(platform.fleet.start("four", &["housekeeping"])?);
    for member in &mut members {
        member.ready(LONG).await?;
    }
    let (goes_on, announced) = (AtomicBool::new(true), AtomicU64::new(0));
    let rotations = async {
        let mut retired = Vec::new();
        for round in 0..4 {
            let before = announced.load(Ordering::SeqCst);
            while announced.load(Ordering::SeqCst) < before + 6 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            if round == 2 {
                let prepared = platform.json(&["keyring", "rotate", "--prepare"]).await?;
                assert_eq!(
                    keys(&platform, "prepared").await?,
                    [prepared["prepared"].clone()]
                );
            }
            let turned = platform.json(&["keyring", "rotate"]).await?;
            assert_eq!(turned["rewrapped"], 3, "{turned}");
            assert_eq!(turned["unopened"], Value::Array(vec![]), "{turned}");
            assert_eq!(turned["retirable"][0], turned["previous"], "{turned}");
            let old = turned["previous"].as_str().unwrap_or_default().to_owned();
            platform.json(&["keyring", "retire", &old]).await?;
            retired.push(old);
            assert_eq!(
                keys(&platform, "current").await?,
                [turned["key_id"].clone()]
            );
        }
        goes_on.store(false, Ordering::SeqCst);
        anyhow::Ok(retired)
    };
    let (flowed, retired) = tokio::join!(flow(&platform, &goes_on, &announced), rotations);
    flowed?;
    assert_eq!(retired?.len(), 4);
    load::until_released(&platform, announced.load(Ordering::SeqCst), LONG).await?;
    let locked = "select count(*) from recording_history where why like '%secret_locked%'";
    assert_eq!(platform.postgres.sql("callferry", locked).await?, "0");
    for member in &mut members {
        let locked = "reason=\"secret_locked\"";
        let parked = member
            .metric("callferry_transfer_parked_total", locked)
            .await?;
        let refused = member
            .metric("callferry_cleanup_refused_total", locked)
            .await?;
        assert!(parked + refused < 0.5, "{}", member.name());
        member.stop(LONG).await?;
    }
    let read_again = "the key ring changed and was read again";
    let log = members[0].log_text()? + &members[1].log_text()?;
    assert!(log.contains(read_again), "no process read the ring again");
    assert_eq!(platform.staged_files()?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story from its beginning to its end"
)]
async fn a_rotation_says_what_it_did_and_a_key_that_is_needed_stays() -> Result<()> {
    let scratch = Scratch::new("keyring-told")?;
    let mut platform = Platform::start(scratch.path()).await?;
    platform.plain_account("acme").await?;
    let key = scratch.path().join("key");
    fs::write(&key, "Y2FuYXJ5Y2FuYXJ5".repeat(5) + "Y2FuYXJ5")?;
    let key = key.display().to_string();
    let set = [
        "destination",
        "set",
        "acme",
        "azure",
        "--storage-account",
        "acmecalls",
    ];
    let set = [
        &set[..],
        &["--container", "calls", "--access-key-file", &key],
        // Nothing is there: it must be insisted on.
        &["--endpoint", "https://127.0.0.1:1025/acmecalls", "--force"],
    ]
    .concat();
    platform.json(&set).await?;
    let old = keys(&platform, "current").await?.concat();
    let told = platform.fleet.must(&["keyring", "rotate"]).await?;
    for says in [
        "is the current key now, after",
        "1 secret was brought under it",
        &old,
    ] {
        assert!(told.stdout.contains(says), "{told:?}");
    }
    let mode = fs::metadata(ring(&scratch))?.permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let current = keys(&platform, "current").await?.concat();
    let table = platform.fleet.must(&["keyring", "show"]).await?;
    assert!(table.stdout.contains("older"), "{table:?}");
    let needed = platform.fleet.run(&["keyring", "retire", &current]).await?;
    assert_eq!(needed.code, Some(1), "{needed:?}");
    assert!(
        needed.stderr.contains("secrets are under key"),
        "{needed:?}"
    );
    let unknown = platform.fleet.run(&["keyring", "retire", "k-none"]).await?;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("keyring show"), "{unknown:?}");
    let again = platform
        .fleet
        .must(&["keyring", "rotate", "--resume"])
        .await?;
    assert!(
        again.stdout.contains("No secret had to be brought"),
        "{again:?}"
    );

    // A ring that lost the key: everything else goes on, and the revision is named.
    let whole = fs::read_to_string(ring(&scratch))?;
    let lost: Vec<_> = whole
        .lines()
        .filter(|l| !l.starts_with(&format!("\"{current}\"")))
        .collect();
    let lost = lost
        .join("\n")
        .replace(&format!("\"{current}\""), &format!("\"{old}\""));
    fs::write(ring(&scratch), lost)?;
    let named = platform.fleet.run(&["keyring", "rotate", "--json"]).await?;
    assert_eq!(named.code, Some(1), "{named:?}");
    assert_eq!(named.json()?["unopened"][0]["revision"], 1, "{named:?}");
    assert!(named.stderr.contains("revision 1 of acme"), "{named:?}");
    assert_eq!(keys(&platform, "missing").await?, [current]);

    let nothing = [("CALLFERRY_KEYRING_FILE", "")];
    for args in [&["keyring", "rotate"][..], &["keyring", "show"]] {
        let refused = platform.fleet.run_with(args, &nothing).await?;
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(
            refused.stderr.contains("CALLFERRY_KEYRING_FILE"),
            "{refused:?}"
        );
    }
    // A ledger that does not answer leaves the file alone.
    let before = fs::read_to_string(ring(&scratch))?;
    let nowhere = [("CALLFERRY_DATABASE_URL", "postgres://u:p@127.0.0.1:1/d")];
    let refused = platform
        .fleet
        .run_with(&["keyring", "rotate"], &nowhere)
        .await?;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert_eq!(fs::read_to_string(ring(&scratch))?, before);
    Ok(())
}
