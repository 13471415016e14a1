//! Credentials of every kind that end, are revoked or are wrong: the reason for which recordings
//! wait, what `destination check` says to do, and that the repair alone delivers what waited and
//! releases what was stored before.

mod page;
mod trouble;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::load::{self, Load};
use callferry_tests::patience;
use callferry_tests::platform::Platform;
use serde_json::Value;

use self::page::Line;
use self::trouble::{TROUBLES, Trouble};
use super::setting::{LONG, Setting};
use super::switching::same;

fn load(seed: u64) -> Load {
    Load {
        accounts: TROUBLES.iter().map(|it| it.account().to_owned()).collect(),
        recordings: TROUBLES.len(),
        size_bytes: 5000,
        seed,
    }
}

/// The recording of an account in a load.
fn id(seed: u64, trouble: Trouble) -> Result<String> {
    let turn = TROUBLES.iter().position(|it| *it == trouble);
    Ok(format!(
        "rec-{seed:x}-{:05}",
        turn.context("not in the table")?
    ))
}

/// Waits until what was stored may not be released, and says why.
async fn refused(setting: &Setting, account: &str, id: &str) -> Result<String> {
    patience::until("its release is refused", LONG, async || {
        let row = setting.shown(account, id).await?;
        let reason = row.and_then(|row| row["release_reason"].as_str().map(str::to_owned));
        Ok(reason)
    })
    .await
}

/// Waits until the recording is parked, and says for which reason.
async fn parked(setting: &Setting, account: &str, id: &str) -> Result<String> {
    patience::until("it is parked", LONG, async || {
        let row = setting.shown(account, id).await?;
        let row = row.filter(|row| row["state"] == "parked");
        Ok(row.and_then(|row| row["reason"].as_str().map(str::to_owned)))
    })
    .await
}

/// What the check finds failed: it must exit 1 and say that nothing can be stored.
async fn checked(platform: &Platform, account: &str) -> Result<Vec<Value>> {
    let args = ["destination", "check", account, "--json"];
    let outcome = platform.fleet.run(&args).await?;
    assert_eq!(outcome.code, Some(1), "{account}: {}", outcome.stderr);
    let report = outcome.json()?;
    let findings = report["findings"].as_array().context("no findings")?;
    let failed = findings.iter().filter(|it| it["verdict"] == "failed");
    Ok(failed.cloned().collect())
}

/// Every account has exactly its two recordings, byte for byte.
async fn arrived(platform: &Platform, produce: &load::Produce) -> Result<()> {
    for trouble in TROUBLES {
        let account = trouble.account();
        let bucket = Platform::bucket(account);
        let found: Vec<(String, String)> = match trouble.is_in_azure() {
            true => {
                let blobs = platform.azure_objects(&bucket).await?;
                blobs.into_iter().map(|(k, f)| (k, f.sha256)).collect()
            }
            false => {
                let objects = platform.auditor().fetch(&bucket).await?;
                objects.into_iter().map(|(k, f)| (k, f.sha256)).collect()
            }
        };
        let mine: BTreeMap<_, _> = produce
            .iter()
            .filter(|((of, _), _)| of == account)
            .map(|(id, produced)| (id.clone(), produced.clone()))
            .collect();
        same(&bucket, found.into_iter(), &[&mine]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_broken_credential_is_named_and_its_repair_delivers_what_waited() -> Result<()> {
    let mut setting = Setting::new("credentials").await?;
    if !setting.platform.start_azure().await? {
        return Ok(());
    }
    for (key, value) in [("PROBE_S", "1"), ("PROBE_CAP_S", "2")] {
        let key = format!("CALLFERRY_DRIVE_{key}");
        setting.platform.fleet.set(&key, value);
    }
    for trouble in TROUBLES {
        trouble.set_up(&mut setting.platform).await?;
    }
    // One each while all is well. No originals are released yet, and no session outlives it.
    setting.start(&["transfer", "housekeeping"]).await?;
    let before = load(0xa1);
    let mut produce = before.stage(&setting.platform)?;
    before.publish(&setting.platform).await?;
    patience::until("one each is stored", LONG, async || {
        let stored = load::states(&setting.platform).await?;
        let stored = stored.get("stored").copied().unwrap_or(0);
        Ok((stored == u64::try_from(TROUBLES.len())?).then_some(()))
    })
    .await?;
    setting.stop().await?;

    for trouble in TROUBLES {
        let broken = trouble.strike(&setting.platform).await;
        broken.with_context(|| trouble.account().to_owned())?;
    }
    setting
        .start(&["transfer", "cleanup", "housekeeping"])
        .await?;
    let after = load(0xa2);
    produce.extend(after.stage(&setting.platform)?);
    after.publish(&setting.platform).await?;
    let mut lines = Vec::new();
    for trouble in TROUBLES {
        let account = trouble.account();
        let reason = parked(&setting, account, &id(0xa2, trouble)?).await?;
        let release = match trouble.may_still_look() {
            true => None,
            false => Some(refused(&setting, account, &id(0xa1, trouble)?).await?),
        };
        let failed = checked(&setting.platform, account).await?;
        lines.push(Line::new(trouble, reason, release, &failed)?);
    }

    let mut released = 0;
    for trouble in TROUBLES {
        let repaired = trouble.repair(&setting.platform).await;
        repaired.with_context(|| trouble.account().to_owned())?;
        released += 2;
    }
    load::until_released(&setting.platform, released, LONG).await?;
    arrived(&setting.platform, &produce).await?;
    assert_eq!(setting.platform.staged_files()?, Vec::<String>::new());
    // Health follows by itself.
    for trouble in TROUBLES {
        let args = ["destination", "show", trouble.account()];
        patience::until("it is healthy", LONG, async || {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let shown = setting.platform.json(&args).await?;
            Ok((shown["health"] == "healthy").then_some(()))
        })
        .await
        .context(trouble.account())?;
    }
    setting.stop().await?;
    page::compare(&lines)
}
