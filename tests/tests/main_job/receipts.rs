//! Custody receipts, from the bytes in both clouds to the command line of whoever was given one:
//! taken from the broker, verified with a public key and nothing else, and while the key is
//! rotated.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use callferry_tests::load::{Load, Witness};
use callferry_tests::patience;
use callferry_tests::platform::{AzureAccess, Platform};
use callferry_tests::scratch::Scratch;
use serde_json::Value;

use super::setting::LONG;

const ACCOUNTS: [&str; 2] = ["acme", "blue"];

/// What somebody has who verifies: a folder with files, and a command without any server.
struct Verifier<'a> {
    platform: &'a Platform,
    folder: PathBuf,
}

impl Verifier<'_> {
    fn keep(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<String> {
        let path = self.folder.join(name);
        fs::write(&path, bytes)?;
        Ok(path.display().to_string())
    }

    /// Runs `receipt verify` with nothing configured, and returns its exit code and answer.
    async fn verify(&self, event: &str, keys: &str, file: &str) -> Result<(Option<i32>, Value)> {
        let nothing = [
            ("CALLFERRY_AMQP_URL", ""),
            ("CALLFERRY_DATABASE_URL", ""),
            ("CALLFERRY_STAGING_URL", ""),
            ("CALLFERRY_RECEIPT_KEY_FILE", ""),
            ("CALLFERRY_KEYRING_FILE", ""),
        ];
        let args = [
            "receipt",
            "verify",
            event,
            "--public-key",
            keys,
            "--file",
            file,
            "--json",
        ];
        let outcome = self.platform.fleet.run_with(&args, &nothing).await?;
        Ok((outcome.code, outcome.json()?))
    }

    /// The public keys as they are published now.
    async fn published(&self, name: &str) -> Result<String> {
        let keys = self.platform.json(&["receipt", "keys"]).await?;
        self.keep(name, keys.to_string())
    }
}

/// The bytes at the place that an event names, read with none of callferry's code.
async fn bytes(platform: &Platform, event: &Value) -> Result<Vec<u8>> {
    let location = event["data"]["location"].as_str().context("no location")?;
    if location.starts_with("az://") {
        let read = platform.azure_bytes(location).await?;
        return read.context("nothing is there");
    }
    let rest = location.strip_prefix("s3://").context("of no cloud")?;
    let (bucket, key) = rest.split_once('/').context("no key")?;
    platform.auditor().bytes(bucket, key).await
}

/// Stages and announces recordings of both accounts and returns as many acknowledgments.
async fn acknowledged(platform: &Platform, witness: &Witness, seed: u64) -> Result<Vec<Value>> {
    let load = Load {
        accounts: ACCOUNTS.map(str::to_owned).to_vec(),
        recordings: 4,
        size_bytes: 30_000,
        seed,
    };
    let produce = load.stage(platform)?;
    load.publish(platform).await?;
    let mut events = BTreeMap::new();
    patience::until("all are acknowledged", LONG, async || {
        for text in witness.read(platform).await? {
            let event: Value = serde_json::from_str(&text)?;
            let id = event["data"]["recording_id"].as_str().context("no id")?;
            events.insert(id.to_owned(), event);
        }
        let all = produce.keys().all(|(_, id)| events.contains_key(id));
        Ok(all.then_some(()))
    })
    .await?;
    Ok(events.into_values().collect())
}

/// Every one is valid, and of the bytes that are there; returns the keys that signed.
async fn all_valid(
    verifier: &Verifier<'_>,
    events: &[Value],
    keys: &str,
) -> Result<BTreeSet<String>> {
    let mut signed_by = BTreeSet::new();
    for event in events {
        let file = verifier.keep("event.json", event.to_string())?;
        let bytes = bytes(verifier.platform, event).await?;
        let recording = verifier.keep("recording", &bytes)?;
        let (code, answer) = verifier.verify(&file, keys, &recording).await?;
        ensure!(code == Some(0), "{answer} of {event}");
        assert_eq!(answer["valid"], true);
        let statement = &answer["statement"];
        assert_eq!(statement["location"], event["data"]["location"]);
        assert_eq!(statement["sha256"], event["data"]["receipt"]["sha256"]);
        signed_by.insert(answer["key_id"].as_str().context("no key")?.to_owned());

        let mut other = bytes;
        other[17] ^= 1;
        let other = verifier.keep("other", other)?;
        let (code, answer) = verifier.verify(&file, keys, &other).await?;
        assert_eq!((code, &answer["valid"]), (Some(1), &Value::Bool(false)));
        let why = answer["why"].as_str().unwrap_or_default();
        assert!(why.contains("SHA-256"), "{why}");
    }
    Ok(signed_by)
}

async fn make_key(platform: &mut Platform, folder: &Path) -> Result<String> {
    let file = folder.join("receipt-key").display().to_string();
    let made = platform.json(&["receipt-key", "new", &file]).await?;
    platform.fleet.set("CALLFERRY_RECEIPT_KEY_FILE", file);
    Ok(made["key_id"].as_str().context("no key")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_in_both_clouds_have_receipts_that_outlive_a_rotation() -> Result<()> {
    let scratch = Scratch::new("receipts")?;
    let mut platform = Platform::start(scratch.path()).await?;
    if !platform.start_azure().await? {
        return Ok(());
    }
    let first = make_key(&mut platform, scratch.path()).await?;
    platform.account("acme").await?;
    platform
        .azure_account("blue", AzureAccess::AccessKey)
        .await?;
    let witness = Witness::new(&platform).await?;
    let mut members = Vec::new();
    for (name, role) in [("one", "transfer"), ("two", "housekeeping")] {
        let mut member = platform.fleet.start(name, &[role])?;
        member.ready(LONG).await?;
        members.push(member);
    }
    let folder = scratch.path().join("verifier");
    fs::create_dir(&folder)?;
    let verifier = Verifier {
        platform: &platform,
        folder,
    };
    let keys = verifier.published("keys-before.json").await?;
    let before = acknowledged(&platform, &witness, 0x51).await?;
    let signed_by = all_valid(&verifier, &before, &keys).await?;
    assert_eq!(signed_by, BTreeSet::from([first.clone()]));
    let status = platform.json(&["status"]).await?;
    assert_eq!(status["receipts"]["key_id"], first.as_str());

    // The fleet runs on; it notices by the file alone.
    let turned = platform.json(&["receipt-key", "rotate"]).await?;
    let second = turned["key_id"].as_str().context("no key")?.to_owned();
    let later_keys = verifier.published("keys-after.json").await?;
    let mut seed = 0x60;
    let after = patience::until("receipts are under the new key", LONG, async || {
        seed += 1;
        let events = acknowledged(&platform, &witness, seed).await?;
        let signed_by = all_valid(&verifier, &events, &later_keys).await?;
        let all = signed_by == BTreeSet::from([second.clone()]);
        Ok(all.then_some(events))
    })
    .await?;
    // What the older key signed is as good as before, with the new set and the one of its time.
    for set in [&keys, &later_keys] {
        assert_eq!(all_valid(&verifier, &before, set).await?, signed_by);
    }
    let event = verifier.keep("event.json", after[0].to_string())?;
    let recording = verifier.keep("recording", bytes(&platform, &after[0]).await?)?;
    let (code, answer) = verifier.verify(&event, &keys, &recording).await?;
    assert_eq!(code, Some(1), "{answer}");
    let why = answer["why"].as_str().unwrap_or_default();
    assert!(why.contains(&second), "it is the key of later: {why}");

    let signed = "receipt=\"signed\"";
    let counted = members[0].metric("callferry_transfer_acknowledged_total", signed);
    assert!(counted.await? >= 8.0);
    for member in &mut members {
        member.stop(LONG).await?;
    }
    Ok(())
}

#[tokio::test]
async fn without_a_key_acknowledgments_are_as_before_and_public_keys_do_not_start_transfer()
-> Result<()> {
    let scratch = Scratch::new("receipts-none")?;
    let mut platform = Platform::start(scratch.path()).await?;
    platform.account("acme").await?;
    let witness = Witness::new(&platform).await?;
    let mut member = platform.fleet.start("one", &["transfer"])?;
    member.ready(LONG).await?;
    let load = Load {
        accounts: vec!["acme".to_owned()],
        recordings: 1,
        size_bytes: 100,
        seed: 0x71,
    };
    load.stage(&platform)?;
    load.publish(&platform).await?;
    let event = patience::until("it is acknowledged", LONG, async || {
        Ok(witness.read(&platform).await?.pop())
    })
    .await?;
    assert!(!event.contains("signed_receipt"), "{event}");
    let unsigned = "receipt=\"unsigned\"";
    let counted = member.metric("callferry_transfer_acknowledged_total", unsigned);
    assert!(counted.await? >= 1.0);
    let status = platform.json(&["status"]).await?;
    assert_eq!(status["receipts"]["keys"], "unsigned");
    member.stop(LONG).await?;

    make_key(&mut platform, scratch.path()).await?;
    let public = platform.json(&["receipt-key", "export-public"]).await?;
    let file = scratch.path().join("public.json");
    fs::write(&file, public.to_string())?;
    let file = file.display().to_string();
    let own = [("CALLFERRY_RECEIPT_KEY_FILE", file.as_str())];
    let refused = platform.fleet.run_with(&["run", "transfer"], &own).await?;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("public keys alone"), "{refused:?}");
    Ok(())
}
